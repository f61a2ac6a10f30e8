from __future__ import annotations

import socket
from ipaddress import ip_network
from pathlib import Path

import pytest

from indexer.providers.addresses import (
    AllowPrivate,
    CleanRemote,
    guess_name,
    is_public,
    may_go_openly,
    parse_remote,
)
from indexer.providers.errors import AddressRefused
from tests.providers.raw_repository import simple_repository


def parse(
    url: str, *, local: bool = False, private: AllowPrivate = True
) -> CleanRemote:
    return parse_remote(url, allow_local=local, allow_private=private)


HELPERS = [
    "ext::sh -c touch% /tmp/canary",
    "ext::git-upload-pack /x",
    "EXT::sh",
    "fd::17",
    "fd::17/foo",
    "http::file:///etc",
    "remote-ext::x",
    "a.b+c::x",
    "git-remote-ext::sh",
    "transport::address",
    "::x",
    "ext::ssh://host/x",
    "file::/srv/x",
    "-ext::sh",
]


@pytest.mark.parametrize("url", HELPERS)
def test_A1_helper_programs_are_refused(url: str) -> None:
    for local in (False, True):
        with pytest.raises(AddressRefused) as refused:
            parse(url, local=local)
        assert refused.value.sentence.endswith(".")


@pytest.mark.parametrize(
    "url", ["file:///etc", "/etc", "../x", "~/x", ".", "file://localhost/etc", "srv"]
)
def test_A2_paths_are_refused_unless_allowed(url: str) -> None:
    with pytest.raises(AddressRefused, match="MUSTER_ALLOW_LOCAL"):
        parse(url)


@pytest.mark.parametrize(
    "url",
    [
        "--upload-pack=touch canary",
        "-oProxyCommand=touch canary",
        "ssh://-oProxyCommand=touch/x",
        "ssh://-x@example.org/x",
        "-x@example.org:x",
        "example.org:-x",
        "ssh://git@-host/x",
        "https://-host/x",
        "git@-oProxyCommand=x:y",
    ],
)
def test_A3_nothing_may_begin_like_an_option(url: str) -> None:
    with pytest.raises(AddressRefused):
        parse(url)
    with pytest.raises(AddressRefused):
        parse(url, local=True)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "   ",
        "https://",
        "https://example.org",
        "https://example.org/",
        "https://exa mple.org/x",
        "https://example.org/a\nb",
        "https://example.org/a%0ab",
        "https://example.org/a%00b",
        "https://example.org/../x",
        "https://example.org/%2e%2e/x",
        "https://example.org/a\\b",
        "https://example.org/x?private_token=abc",
        "https://example.org/x#y",
        "https://example.org:99999/x",
        "https://example.org:x/x",
        "https://[::1/x",
        "https://[zz::1]/x",
        "https://example..org/x",
        "ftp://example.org/x",
        "s3://bucket/x",
        "git+ssh://example.org/x",
        "https://example.org/\u202ex",
        "https://example.org/" + "x" * 2000,
        "git://user@example.org/x",
        "ssh://git:password@example.org/x",
        "file://example.org/srv/x",
    ],
)
def test_malformed_addresses_are_refused_with_a_sentence(url: str) -> None:
    with pytest.raises(AddressRefused) as refused:
        parse(url, local=True)
    sentence = refused.value.sentence
    assert sentence[0].isupper() or sentence[0] in "/ “"
    assert "abc" not in sentence
    assert "password@" not in sentence


SPELLINGS = [
    "127.0.0.1",
    "2130706433",
    "0x7f000001",
    "0177.0.0.1",
    "127.1",
    "0",
    "0.0.0.0",  # noqa: S104 - to be refused
    "[::1]",
    "[::]",
    "[::ffff:127.0.0.1]",
    "[::ffff:7f00:1]",
    "[::127.0.0.1]",
    "[64:ff9b::7f00:1]",
    "[2002:7f00:1::]",
    "\uff11\uff12\uff17.\uff10.\uff10.\uff11",
    "127\u30020\u30020\u30021",
    "localhost",
    "\u24dbocalhost",
    "LOCALHOST.",
    "10.0.0.1",
    "172.16.0.1",
    "192.168.1.1",
    "169.254.169.254",
    "2852039166",
    "100.64.0.1",
    "192.0.0.1",
    "198.18.0.1",
    "224.0.0.1",
    "255.255.255.255",
    "[fd00::1]",
    "[fe80::1]",
    "[fec0::1]",
    "[ff02::1]",
]


@pytest.mark.parametrize("scheme", ["https", "http", "ssh", "git"])
@pytest.mark.parametrize("host", SPELLINGS)
def test_S1_private_targets_are_refused_in_every_spelling(
    host: str, scheme: str
) -> None:
    with pytest.raises(AddressRefused):
        parse(f"{scheme}://{host}/owner/name", private=False)


def test_S1_scp_addresses_are_checked_too() -> None:
    for url in ("git@127.0.0.1:owner/name.git", "localhost:owner/name"):
        with pytest.raises(AddressRefused, match="MUSTER_ALLOW_PRIVATE"):
            parse(url, private=False)


def answers(*addresses: str) -> object:
    def getaddrinfo(host: object, port: object, **_: object) -> list[object]:
        return [
            (socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))
            for address in addresses
        ]

    return getaddrinfo


def test_S1_one_private_address_among_public_ones_is_enough(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", answers("93.184.215.14", "10.0.0.1"))
    with pytest.raises(AddressRefused, match=r"10\.0\.0\.1"):
        parse("https://example.org/x", private=False)


def test_S5_a_public_host_is_pinned_to_the_addresses_that_were_checked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(
        socket, "getaddrinfo", answers("93.184.215.14", "2606:2800:21f::1")
    )
    clean = parse("https://example.org/owner/name", private=False)
    assert clean.addresses == ("93.184.215.14", "2606:2800:21f::1")


def test_a_host_without_an_address_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    def nothing(*_: object, **__: object) -> list[object]:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", nothing)
    with pytest.raises(AddressRefused, match="could not be resolved"):
        parse("https://nowhere.example/x", private=False)


OURS = (ip_network("10.20.0.0/16"), ip_network("fd00:20::/32"))


@pytest.mark.parametrize(
    ("found", "refused"),
    [
        (("10.20.3.4",), ""),
        (("::ffff:10.20.3.4",), ""),
        (("fd00:20::1", "10.20.0.1"), ""),
        (("93.184.215.14", "10.20.3.4"), ""),
        (("10.21.0.1",), "10.21.0.1"),
        (("10.20.3.4", "169.254.169.254"), "169.254.169.254"),
        (("127.0.0.1",), "127.0.0.1"),
        (("::1",), "::1"),
    ],
)
def test_S1_of_private_addresses_those_of_the_listed_networks_are_allowed(
    monkeypatch: pytest.MonkeyPatch, found: tuple[str, ...], refused: str
) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", answers(*found))
    if refused:
        with pytest.raises(AddressRefused, match=f"leads to {refused}, "):
            parse("https://git.example.org/x/y", private=OURS)
    else:
        assert parse("https://git.example.org/x/y", private=OURS).addresses == found


@pytest.mark.parametrize(
    ("allowed", "found", "openly"),
    [
        (True, (), True),
        (False, (), False),
        (False, ("93.184.215.14",), False),
        (OURS, ("10.20.3.4", "fd00:20::1"), True),
        (OURS, ("10.20.3.4", "93.184.215.14"), False),
    ],
)
def test_a_secret_goes_over_plain_http_inside_the_listed_networks_only(
    allowed: AllowPrivate, found: tuple[str, ...], openly: bool
) -> None:
    assert may_go_openly(found, allowed) is openly


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("93.184.215.14", True),
        ("2606:2800:21f::1", True),
        ("64:ff9b::5db8:d70e", True),
        ("64:ff9b::a00:1", False),
        ("2002:a00:1::", False),
        ("198.51.100.1", False),
        ("240.0.0.1", False),
    ],
)
def test_what_is_a_public_address(address: str, public: bool) -> None:
    assert is_public(address) is public


@pytest.mark.parametrize(
    ("url", "clean", "name", "web"),
    [
        (
            "https://github.com/iterative/example-gto",
            "https://github.com/iterative/example-gto",
            "iterative/example-gto",
            "https://github.com/iterative/example-gto",
        ),
        (
            " https://GitHub.com:443/Owner/Name.git/ ",
            "https://github.com/Owner/Name.git",
            "Owner/Name",
            "https://github.com/Owner/Name",
        ),
        (
            "https://github.com/owner/name/tree/main/models",
            "https://github.com/owner/name",
            "owner/name",
            "https://github.com/owner/name",
        ),
        (
            "https://gitlab.com/group/sub/project/-/tags",
            "https://gitlab.com/group/sub/project.git",
            "group/sub/project",
            "https://gitlab.com/group/sub/project",
        ),
        (
            "git@github.com:owner/name.git",
            "git@github.com:owner/name.git",
            "owner/name",
            "https://github.com/owner/name",
        ),
        (
            "https://gitlab.com/group/sub/project",
            "https://gitlab.com/group/sub/project.git",
            "group/sub/project",
            "https://gitlab.com/group/sub/project",
        ),
        (
            "ssh://git@git.example.org:2222/~alice/models.git",
            "ssh://git@git.example.org:2222/~alice/models.git",
            "alice/models",
            "",
        ),
        (
            "git://example.org/models",
            "git://example.org/models",
            "models",
            "",
        ),
        (
            "https://example.org:8443/a%20b/c",
            "https://example.org:8443/a%20b/c",
            "a-b/c",
            "https://example.org:8443/a%20b/c",
        ),
        (
            "https://b\u00fccher.example/x/y",
            "https://xn--bcher-kva.example/x/y",
            "x/y",
            "https://xn--bcher-kva.example/x/y",
        ),
    ],
)
def test_addresses_are_cleaned_and_named(
    url: str, clean: str, name: str, web: str
) -> None:
    remote = parse(url)
    assert (remote.url, remote.name_guess, remote.web_url) == (clean, name, web)


@pytest.mark.parametrize(
    ("userinfo", "username", "secret"),
    [
        ("alice:s3cret", "alice", "s3cret"),
        ("alice:p%40ss%3Aword", "alice", "p@ss:word"),
        ("ghp_CANARY", "", "ghp_CANARY"),
        (":glpat-CANARY", "", "glpat-CANARY"),
        ("oauth2:glpat-CANARY", "oauth2", "glpat-CANARY"),
    ],
)
def test_K4_a_credential_is_moved_out_of_the_address(
    userinfo: str, username: str, secret: str
) -> None:
    remote = parse(f"https://{userinfo}@example.org/owner/name")
    assert remote.url == "https://example.org/owner/name"
    assert (remote.username, remote.secret) == (username, secret)
    assert secret not in repr(remote)


def test_K3_no_refusal_quotes_a_credential() -> None:
    for end in ("", "/..", ":x/y", "/a?b", "/a\\b"):
        with pytest.raises(AddressRefused) as refused:
            parse(f"https://alice:CANARY@example.org{end}", local=True)
        assert "CANARY" not in str(refused.value)
        assert "CANARY" not in repr(refused.value.__cause__)


@pytest.mark.parametrize(
    ("parts", "name"),
    [
        (("/owner/name.git",), "owner/name"),
        (("/-/..", "name"), "name"),
        (("/a b/c#d",), "a-b/c-d"),
        (("/",), "repository"),
        (("/\u00fc\u00e4/x",), "x"),
        (("/" + "a" * 300 + "/b",), "b"),
        (("/...",), "..."),
    ],
)
def test_names_fit_their_addresses(parts: tuple[str, ...], name: str) -> None:
    assert guess_name(*parts) == name


def test_a_local_repository_is_read_by_its_real_path(tmp_path: Path) -> None:
    path = simple_repository(tmp_path / "team" / "churn.git").path
    (tmp_path / "link").symlink_to(path)
    for url in (str(path), f"file://{path}", str(tmp_path / "link")):
        remote = parse(url, local=True, private=False)
        assert remote.path == path
        assert remote.url == str(path)
        assert remote.host == ""
    assert parse(str(path), local=True).name_guess == "team/churn"


def test_a_path_that_is_no_repository_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    for path in (tmp_path, tmp_path / "file", tmp_path / "nothing"):
        with pytest.raises(AddressRefused):
            parse(str(path), local=True)


def test_our_own_mirrors_are_no_repositories(tmp_path: Path) -> None:
    path = simple_repository(tmp_path / "mirrors" / "1").path
    with pytest.raises(AddressRefused, match="own data"):
        parse_remote(
            str(path),
            allow_local=True,
            allow_private=True,
            own_data=tmp_path / "mirrors",
        )
