"""Where a connection leads: a server and an owner, from what a person typed.

People paste the address of a page (https://github.com/acme,
https://gitlab.example.com/groups/acme/ml) where a server or a name is asked for; both
fields take either."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

from django.conf import settings

from indexer.models import Connection
from indexer.providers.addresses import CleanRemote, may_go_openly
from indexer.providers.errors import AddressRefused
from indexer.repositories import checked_remote

HOME = {Connection.Kind.GITHUB: "github.com", Connection.Kind.GITLAB: "gitlab.com"}
API = {Connection.Kind.GITHUB: "/api/v3", Connection.Kind.GITLAB: "/api/v4"}
SEGMENT = re.compile(r"[A-Za-z0-9_.][A-Za-z0-9_.-]*", re.ASCII)
HOST_FIRST = re.compile(r"(localhost|[\w-]+(\.[\w-]+)+)(:\d+)?(/|$)")
MAX_OWNER = 255


class WishRefused(AddressRefused):
    """What was asked for cannot be connected; `field` of `connections.Wish` is why."""

    def __init__(self, field: str, sentence: str) -> None:
        super().__init__(sentence)
        self.field = field


@dataclass(frozen=True, slots=True)
class Place:
    """A server and whose repositories on it. `api_url` is where its API usually is;
    a GitHub of one's own is asked before that is relied on."""

    web_url: str
    api_url: str
    server: str  # host[:port]
    owner: str


@dataclass(frozen=True, slots=True)
class _Pasted:
    root: str  # https://host[:port]
    server: str
    path: tuple[str, ...]


def parse_place(kind: str, address: str, owner: str) -> Place:
    """The server and the owner that two fields mean together. Looks up the host's name
    unless private addresses are allowed. Raises WishRefused."""
    home = HOME[Connection.Kind(kind)]
    address, owner = address.strip(), owner.strip().strip("/").removeprefix("@")
    server = _pasted("address", address or f"https://{home}", kind)
    named = _pasted("owner", owner, kind) if _is_address(owner, kind) else None
    if named is not None:
        if address and named.server != server.server:
            raise WishRefused(
                "owner",
                f"This page is at {named.server}, and the address says "
                f"{server.server}. Enter only the name, or correct the address.",
            )
        prefix = server.path if address else ()
        if named.path[: len(prefix)] != prefix:
            prefix = ()
        path, root_path = named.path[len(prefix) :], prefix
        server = named
    elif owner:
        path = tuple(owner.split("/"))
        is_page = server.path[:1] in {("groups",), ("users",)}
        root_path = () if is_page or server.path == path else server.path
    else:
        path, root_path = server.path, ()
    _check_kind(kind, server.server, "address" if named is None else "owner")
    if kind == Connection.Kind.GITHUB:
        root_path = ()  # a GitHub is never below a path: this was one of its pages
    web_url = "/".join((server.root, *root_path))
    name = "/".join(_owner_of(kind, path))
    if len(name) > MAX_OWNER:
        raise WishRefused("owner", f"A name has at most {MAX_OWNER} characters.")
    return Place(web_url, _api_url(kind, web_url, server.server), server.server, name)


def check_address(url: str) -> CleanRemote:
    """A server's address as this site allows it: https, unless private addresses are
    allowed, and leading nowhere private. Raises AddressRefused."""
    allowed = settings.MUSTER_ALLOW_PRIVATE
    in_the_open = AddressRefused(
        "A token is sent over https only. Enter an address that begins with https://."
    )
    if not url.startswith("https://") and not (allowed and url.startswith("http://")):
        raise in_the_open
    # The check is that of repositories, whose addresses have a path.
    remote = checked_remote(f"{url.rstrip('/')}/owner/name")
    if remote.scheme == "http" and not may_go_openly(remote.addresses, allowed):
        raise in_the_open
    if remote.username or remote.secret:
        raise AddressRefused(
            "The address holds a user name or a token. Enter the token in its own "
            "field."
        )
    return remote


def _check_kind(kind: str, server: str, field: str) -> None:
    """Raises WishRefused if the server is the home of another kind."""
    for other, home in HOME.items():
        if server == home and other != kind:
            raise WishRefused(
                field,
                f"{home} is a {other.label}. Choose “Connect {other.label}”, or enter "
                f"the address of a {Connection.Kind(kind).label}.",
            )


def _is_address(text: str, kind: str) -> bool:
    """Whether the owner's field holds an address. A name may have dots, but is no
    host's; a path of groups begins with none."""
    if "://" in text:
        return True
    first = text.partition("/")[0]
    return (
        "/" in text
        and bool(HOST_FIRST.match(text))
        and (first in HOME.values() or kind == Connection.Kind.GITHUB)
    )


def _pasted(field: str, text: str, kind: str) -> _Pasted:
    if "://" not in text:
        text = f"https://{text}"
    try:
        parts = urlsplit(text)
        plain = f"{parts.scheme.lower()}://{parts.netloc}"
        remote = check_address(plain)
    except AddressRefused as refusal:
        raise WishRefused(field, refusal.sentence) from refusal
    except ValueError:
        raise WishRefused(
            field, "The address is malformed. Enter one such as https://github.com."
        ) from None
    host = f"[{remote.host}]" if ":" in remote.host else remote.host
    server = f"{host}:{remote.port}" if remote.port else host
    # What people copy: the address of the API, or of a host's other name.
    path = unquote(parts.path).strip("/").removesuffix(API[Connection.Kind(kind)][1:])
    if kind == Connection.Kind.GITHUB and server in {
        "api.github.com",
        "www.github.com",
    }:
        server, path = "github.com", ""
    return _Pasted(
        f"{remote.scheme}://{server}",
        server,
        tuple(part for part in path.split("/") if part),
    )


def _owner_of(kind: str, path: tuple[str, ...]) -> tuple[str, ...]:
    """The owner that a page's path or a typed name means. Raises WishRefused."""
    if kind == Connection.Kind.GITHUB:
        if path[:1] in {("orgs",), ("organizations",), ("users",)}:
            path = path[1:]
        path = path[:1]
    else:
        if path[:1] in {("groups",), ("users",)}:
            path = path[1:]
        if "-" in path:
            path = path[: path.index("-")]
    if any(not SEGMENT.fullmatch(part) or part == ".." for part in path):
        raise WishRefused(
            "owner",
            "A name has letters, digits, “.”, “_” and “-” only. Enter one such as "
            "acme, or the address of its page.",
        )
    return path


def _api_url(kind: str, web_url: str, server: str) -> str:
    if kind == Connection.Kind.GITHUB:
        if server == "github.com":
            return "https://api.github.com"
        if server.endswith(".ghe.com"):  # GitHub Enterprise Cloud, data residency
            return f"https://api.{server}"
    return web_url + API[Connection.Kind(kind)]
