"""Which remotes we read, and from where.

`parse_remote` is asked at every write of an address and again before every crawl: an
address that was fine when entered may resolve to somewhere else today."""

from __future__ import annotations

import ipaddress
import os
import re
import socket
import unicodedata
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias
from urllib.parse import quote, unquote, urlsplit

from indexer.providers.errors import AddressRefused, Unavailable
from indexer.providers.links import HostKind, host_kind

PORTS = {"https": 443, "http": 80, "ssh": 22, "git": 9418}
MAX_LENGTH = 2000
# What follows OWNER/NAME in the addresses of GitHub's pages.
PAGES = frozenset(
    {"tree", "blob", "commit", "commits", "releases", "tags", "branches", "pulls"}
)

HOST = re.compile(r"[a-z0-9_]([a-z0-9_.-]*[a-z0-9_])?\.?", re.ASCII)
SCP = re.compile(r"(?:(?P<user>[^@/:]+)@)?(?P<host>[^@/:\[\]]+):(?P<path>[^/].*|/.*)")
USER = re.compile(r"[A-Za-z0-9_.][A-Za-z0-9_.+@-]*", re.ASCII)
AT = re.compile(r"@|%40|\uff20|\ufe6b")  # and what some take for one
TOKEN = re.compile(r"(gh[a-z]_|github_pat_|glpat-|gl[a-z]+-|muster_)[\w.-]{16,}", re.I)
USER_OF_SSH = re.compile(r"[a-z][a-z0-9_-]{0,15}", re.ASCII)
HELPER = re.compile(r"[^/]*?::")
NOT_IN_NAME = re.compile(r"[^A-Za-z0-9._-]+")

IPAddress: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address
IPNetwork: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network
# Which addresses may be asked beside public ones: all (True), none (False), or those of
# these networks.
AllowPrivate: TypeAlias = bool | tuple[IPNetwork, ...]

EXAMPLE = "Enter one such as https://github.com/owner/name."


@dataclass(frozen=True, slots=True)
class CleanRemote:
    """An address that may be read. `url` holds no credential (for ssh it keeps the
    user's name, which is no secret there). `addresses` are the IP addresses that were
    checked, to connect to; empty where every address is allowed. `path` is set for a
    repository of this machine."""

    url: str
    scheme: str
    host: str = ""  # "" is local
    port: int | None = None
    username: str = ""
    secret: str = field(default="", repr=False)
    name_guess: str = ""
    web_url: str = ""
    kind: HostKind = HostKind.OTHER
    addresses: tuple[str, ...] = ()
    path: Path | None = None


def parse_remote(
    url: str,
    *,
    allow_local: bool,
    allow_private: AllowPrivate,
    own_data: Path | None = None,
) -> CleanRemote:
    """Check an address as a person entered it. Raises AddressRefused with a sentence;
    looks up the host's name unless every address is allowed. A path inside
    `own_data` (our mirrors) is no repository of anybody."""
    url = url.strip()
    _refuse_odd_text(url)
    if HELPER.match(url):
        raise AddressRefused(
            "The address names a helper program of git (“…::”), which Muster never "
            f"runs. {EXAMPLE}"
        )
    if "://" in url:
        scheme = url.split("://", 1)[0].lower()
        if scheme == "file":
            return _local(_file_path(url), allow_local, own_data)
        if scheme not in PORTS:
            raise AddressRefused(
                "The address begins with a scheme that Muster does not read. It reads "
                "https, ssh and git addresses, and paths where they are allowed."
            )
        return _network(url, scheme, allow_private)
    match = SCP.fullmatch(url)
    if match and not url.startswith(("/", ".", "~")):
        return _scp(url, match, allow_private)
    return _local(url, allow_local, own_data)


def without_credential(text: str) -> str:
    """What a person typed as an address, fit to be shown again: without what stands
    before an `@`, after a `?` or after a `#`, whether it is an address or only meant as
    one, and "" where it cannot be told which is which. The user's name of ssh, which is
    no secret, stays."""
    text = text.strip()
    *before, place = AT.split(text)
    rest, question, _ = re.sub("[?#]", "?", place).partition("?")
    user = "@".join(before)
    if before and (question or re.search("[?#]", user)):
        return ""
    scheme, mark, name = user.rpartition("://") if "://" in user else ("", "", user)
    is_ssh = scheme.lower() == "ssh" or (not mark and SCP.fullmatch(text))
    kept = f"{name}@" if before and is_ssh and USER_OF_SSH.fullmatch(name) else ""
    return TOKEN.sub("…", f"{scheme}{mark}{kept}{rest}")


def resolve(host: str, port: int, allow_private: AllowPrivate) -> tuple[str, ...]:
    """Every IP address of a host. Raises AddressRefused if any of them is not allowed,
    Unavailable if there is none."""
    try:
        answers = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise Unavailable(
            f"The name {without_credential(host)} could not be resolved. Check the "
            "address and the network."
        ) from error
    found = tuple(dict.fromkeys(str(answer[4][0]).split("%")[0] for answer in answers))
    for address in found:
        if not (
            allow_private is True
            or is_public(address)
            or is_listed(address, allow_private)
        ):
            raise AddressRefused(
                f"{host} leads to {address}, which is not a public address. An "
                "administrator can allow such addresses with MUSTER_ALLOW_PRIVATE."
            )
    return found


def is_listed(address: str, allow_private: AllowPrivate) -> bool:
    """Whether an IP address is in one of the networks that are allowed by name."""
    if isinstance(allow_private, bool):
        return False
    ip: IPAddress = ipaddress.ip_address(address)
    if isinstance(ip, ipaddress.IPv6Address) and ip.ipv4_mapped:
        ip = ip.ipv4_mapped
    return any(ip in network for network in allow_private)


def may_go_openly(addresses: tuple[str, ...], allow_private: AllowPrivate) -> bool:
    """Whether a secret may travel to these addresses over plain http: where all
    addresses are allowed, or inside the networks that are."""
    if isinstance(allow_private, bool):
        return allow_private
    return all(is_listed(address, allow_private) for address in addresses)


def is_public(address: str) -> bool:
    """Whether an IP address is one of the public Internet, also by the IPv4 address
    that an IPv6 one may carry inside."""
    ip = ipaddress.ip_address(address)
    if isinstance(ip, ipaddress.IPv6Address):
        inner = [ip.ipv4_mapped, ip.sixtofour, *(ip.teredo or ())]
        if ip in ipaddress.ip_network("64:ff9b::/96") or int(ip) >> 32 == 0:
            inner.append(ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF))
        if ip.is_site_local or any(four and not _global(four) for four in inner):
            return False
        if ip in ipaddress.ip_network("64:ff9b::/96"):
            return True
    return _global(ip)


def guess_name(*parts: str) -> str:
    """OWNER/NAME from parts of an address: only letters, digits, `.`, `_`, `-` and
    `/`, and no segment `-`, `.` or `..`."""
    segments = []
    for part in "/".join(parts).removesuffix("/").removesuffix(".git").split("/"):
        clean = NOT_IN_NAME.sub("-", part).strip("-")
        if clean not in {"", ".", ".."}:
            segments.append(clean)
    name = "/".join(segments)
    while len(name) > 200 and "/" in name:
        name = name.split("/", 1)[1]
    return name[:200].rstrip("-/") or "repository"


def _global(ip: IPAddress) -> bool:
    return ip.is_global and not ip.is_multicast and not ip.is_reserved


def _refuse_odd_text(url: str) -> None:
    if not url:
        raise AddressRefused(f"The address is empty. {EXAMPLE}")
    if len(url) > MAX_LENGTH:
        raise AddressRefused(
            f"The address has more than {MAX_LENGTH} characters. {EXAMPLE}"
        )
    if url.startswith("-"):
        raise AddressRefused(f"An address cannot begin with “-”. {EXAMPLE}")
    if any(unicodedata.category(character)[0] == "C" for character in url):
        raise AddressRefused(
            "The address has a character that cannot be seen (a line break or a "
            f"control character). {EXAMPLE}"
        )


def _network(url: str, scheme: str, allow_private: AllowPrivate) -> CleanRemote:
    # Nothing of what follows quotes the address: it may hold a credential.
    try:
        parts = urlsplit(url)
        port = parts.port
        raw_host = parts.hostname or ""
    except ValueError:
        raise AddressRefused(f"The address is malformed. {EXAMPLE}") from None
    if parts.query or parts.fragment or "?" in url or "#" in url:
        raise AddressRefused(
            "An address has no “?” and no “#”. Enter a token in its own field."
        )
    host = _host(raw_host)
    path = _path(parts.path)
    username = unquote(parts.username or "")
    secret = unquote(parts.password or "")
    _refuse_odd_userinfo(username, secret)
    if port == PORTS[scheme]:
        port = None
    shown = f"[{host}]" if ":" in host else host
    if port:
        shown += f":{port}"
    if scheme == "ssh":
        if secret:
            raise AddressRefused(
                "An ssh address takes no password. Use a key of the user that "
                "runs Muster, or an https address with a token."
            )
        if username:
            if not USER.fullmatch(username):
                raise AddressRefused(f"The user name is malformed. {EXAMPLE}")
            shown = f"{username}@{shown}"
            username = ""
    elif scheme == "git" and (username or secret):
        raise AddressRefused("A git:// address takes no user name and no password.")
    elif username and not secret:
        # https://TOKEN@host: the way tokens are pasted; a name alone opens nothing.
        username, secret = "", username
    kind = host_kind(host)
    path = _without_page(path.rstrip("/"), kind)
    plain = path.removesuffix(".git")
    if kind is HostKind.GITLAB and scheme in {"http", "https"}:
        path = f"{plain}.git"  # GitLab redirects from the shorter address
    return CleanRemote(
        url=f"{scheme}://{shown}{path}",
        scheme=scheme,
        host=host,
        port=port,
        username=username,
        secret=secret,
        name_guess=guess_name(unquote(plain)),
        web_url=_web_url(scheme, host, port, plain, kind),
        kind=kind,
        addresses=_addresses(host, port or PORTS[scheme], allow_private),
    )


def _scp(url: str, match: re.Match[str], allow_private: AllowPrivate) -> CleanRemote:
    user, path = match["user"] or "", match["path"]
    host = _host(match["host"])
    if user and not USER.fullmatch(user):
        raise AddressRefused(f"The user name is malformed. {EXAMPLE}")
    if path.startswith("-"):
        raise AddressRefused(f"A path cannot begin with “-”. {EXAMPLE}")
    _path("/" + path.lstrip("/"))
    kind = host_kind(host)
    plain = "/" + path.strip("/").removesuffix(".git")
    return CleanRemote(
        url=f"{user}@{host}:{path}" if user else f"{host}:{path}",
        scheme="ssh",
        host=host,
        name_guess=guess_name(plain),
        web_url=_web_url("ssh", host, None, plain, kind),
        kind=kind,
        addresses=_addresses(host, PORTS["ssh"], allow_private),
    )


def _host(raw: str) -> str:
    """The host as it goes over the wire: ASCII, lower case, so that what is checked
    is what git sees."""
    try:
        if ":" in raw:
            return ipaddress.IPv6Address(raw).compressed
        host = raw.encode("idna").decode("ascii").lower()
    except (UnicodeError, ValueError):
        host = ""
    if not HOST.fullmatch(host) or ".." in host or len(host) > 253:
        raise AddressRefused(f"The name of the host is malformed. {EXAMPLE}")
    return host.removesuffix(".")


def _path(path: str) -> str:
    clear = unquote(path)
    if not clear.strip("/"):
        raise AddressRefused(f"The address names a host and no repository. {EXAMPLE}")
    if (
        "\\" in clear
        or ".." in clear.split("/")
        or any(unicodedata.category(character)[0] == "C" for character in clear)
    ):
        raise AddressRefused(f"The path of the address is malformed. {EXAMPLE}")
    return quote(path, safe="/%:@!$&'()*+,;=~-._")


def _without_page(path: str, kind: HostKind) -> str:
    """The repository's path where the address of one of its pages was pasted."""
    if kind is HostKind.GITLAB:
        return path.split("/-/", 1)[0]
    owner_and_name, page = path.split("/")[:3], path.split("/")[3:4]
    if kind is HostKind.GITHUB and page and page[0] in PAGES:
        return "/".join(owner_and_name)
    return path


def _refuse_odd_userinfo(username: str, secret: str) -> None:
    for value in (username, secret):
        if any(unicodedata.category(character)[0] == "C" for character in value):
            raise AddressRefused("The user name or the password is malformed.")


def _addresses(host: str, port: int, allow_private: AllowPrivate) -> tuple[str, ...]:
    if allow_private is True:
        return ()
    try:
        return resolve(host, port, allow_private)
    except Unavailable as error:
        raise AddressRefused(error.sentence) from error


def _web_url(
    scheme: str, host: str, port: int | None, path: str, kind: HostKind
) -> str:
    shown = f"[{host}]" if ":" in host else host
    if scheme in {"http", "https"}:
        return f"{scheme}://{shown}{f':{port}' if port else ''}{path}"
    if kind is HostKind.OTHER:
        return ""
    return f"https://{shown.removeprefix('ssh.')}{path}"


def _file_path(url: str) -> str:
    try:
        parts = urlsplit(url)
    except ValueError:
        raise AddressRefused(f"The address is malformed. {EXAMPLE}") from None
    if parts.netloc not in {"", "localhost"} or parts.query or parts.fragment:
        raise AddressRefused(
            "A file address names a path of this machine, such as file:///srv/models."
        )
    path = unquote(parts.path)
    _refuse_odd_text(path)
    return path


def _local(text: str, allow_local: bool, own_data: Path | None) -> CleanRemote:
    if not allow_local:
        raise AddressRefused(
            "Paths of this machine are not allowed here. An administrator can allow "
            f"them with MUSTER_ALLOW_LOCAL. {EXAMPLE}"
        )
    try:
        path = Path(os.path.expanduser(text)).resolve()
        inside = own_data is not None and path.is_relative_to(own_data.resolve())
        found = is_repository(path) or is_repository(path / ".git")
    except (OSError, RuntimeError, ValueError):
        raise AddressRefused(f"{_shown_path(text)} cannot be read.") from None
    if inside:
        raise AddressRefused("This path holds Muster's own data.")
    if not path.exists():
        raise AddressRefused(
            f"There is nothing at {_shown_path(str(path))}. Check the path."
        )
    if not found:
        raise AddressRefused(
            f"{_shown_path(str(path))} is not a Git repository. Enter the folder that "
            "holds .git, or a bare repository."
        )
    shown = path.parent if path.name == ".git" else path
    return CleanRemote(
        url=str(path),
        scheme="file",
        name_guess=guess_name(shown.parent.name, shown.name),
        path=path,
    )


def _shown_path(path: str) -> str:
    """A path for a sentence; not one that is an address with a credential, mistyped."""
    return path if without_credential(path) == path else "this path"


def is_repository(path: Path) -> bool:
    """Whether git would take the path for a repository: its own three marks, or the
    file of a work tree that names where they are."""
    if path.is_file():
        return path.name == ".git"
    return (
        (path / "HEAD").exists()
        and (path / "refs").is_dir()
        and ((path / "objects").is_dir() or (path / "commondir").is_file())
    )
