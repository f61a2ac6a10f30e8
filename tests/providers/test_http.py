"""Where a session of an API may go, over real sockets."""

from __future__ import annotations

import socket
import threading
from ipaddress import ip_network
from pathlib import Path

import pytest

from indexer.providers import addresses
from indexer.providers.errors import (
    AddressRefused,
    BadPayload,
    Unavailable,
)
from indexer.providers.http import ProviderSession
from tests.providers.sessions import (
    CANARY,
    NAME,
    WITH_TOKEN,
    Noted,
    SessionOf,
    name_server,
    refusal,
    trust,
)
from tests.providers.wire import (
    End,
    Wire,
    reply,
    wire,
)


def test_an_answer_comes_back_and_the_connection_is_kept(
    session: ProviderSession, wired: Wire, budget: Noted
) -> None:
    for _ in range(3):
        assert session.get(f"{wired.url}/x", headers=WITH_TOKEN).json() == {}
    assert wired.connections == 1
    assert budget.spent == 3
    assert wired.asked[0].headers["authorization"] == f"Bearer {CANARY}"
    assert wired.asked[0].headers["user-agent"] == "Muster"


@pytest.mark.parametrize(
    "other",
    [
        "http://127.0.0.1:{other}/api/v3/x",
        "https://127.0.0.1:{port}/api/v3/x",
        "http://127.0.0.2:{port}/api/v3/x",
        "http://localhost:{port}/api/v3/x",
        "http://127.0.0.1:{port}@127.0.0.1:{other}/x",
        "http://user:password@127.0.0.1:{port}/api/v3/x",
        "http://127.0.0.1:{other}\\@127.0.0.1:{port}/x",
        "http://127.0.0.1:{other}#@127.0.0.1:{port}/x",
        "http://127.1:{port}/x",
        "file:///etc/passwd",
        "//127.0.0.1:{port}/x",
        "/x",
        "",
        "http://127.0.0.1:99999999/x",
        "http://[::1/x",
    ],
)
def test_S4_the_token_goes_to_no_other_scheme_host_or_port(
    other: str, session: ProviderSession, wired: Wire
) -> None:
    with wire() as canary:
        url = other.format(port=wired.port, other=canary.port)
        refusal(AddressRefused, session, url, headers=WITH_TOKEN)
        assert canary.connections == 0
        assert wired.connections == 0


def test_S4_the_default_port_and_capitals_are_the_same_place(
    session_of: SessionOf,
) -> None:
    """Asked only as far as the place is compared: nobody listens on port 80."""
    session = session_of("http://LOCALHOST/api", seconds=5)
    for url in ("http://localhost:80/api/x", "HTTP://LocalHost/api/x"):
        refusal(Unavailable, session, url)


@pytest.mark.parametrize("status", [300, 301, 302, 303, 304, 305, 307, 308, 399])
@pytest.mark.parametrize("target", ["http://127.0.0.1:{other}/api/v3/x", ""])
def test_S2_S3_S4_a_redirect_elsewhere_is_an_error_and_gets_no_token(
    status: int, target: str, session: ProviderSession, wired: Wire
) -> None:
    with wire() as canary:
        location = target.format(other=canary.port)
        wired.say(reply(b"[]", status, {"Location": location}))
        error = refusal(BadPayload, session, f"{wired.url}/x", headers=WITH_TOKEN)
        assert error.status == status
        assert canary.connections == 0
        assert len(wired.asked) == 1


@pytest.mark.parametrize(
    "location",
    [
        "/other/x",
        "/api/v30/x",
        "/api/v3/../../other",
        "/api/v3/%2e%2e/%2E%2E/other",
        "/api/v3/..%2fother",
        "../../x",
        "//127.0.0.2/api/v3/x",
        "https://127.0.0.1/api/v3/x",
        "http://user@127.0.0.1:{port}/api/v3/x",
        "http://[",
        "javascript:alert(1)",
    ],
)
def test_S2_a_redirect_out_of_the_API_is_an_error(
    location: str, session: ProviderSession, wired: Wire
) -> None:
    wired.say(reply(b"", 302, {"Location": location.format(port=wired.port)}))
    refusal(BadPayload, session, f"{wired.url}/x/y", headers=WITH_TOKEN)
    assert len(wired.asked) == 1


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_renamed_repository_is_followed_on_the_same_server(
    status: int, session: ProviderSession, wired: Wire, budget: Noted
) -> None:
    moved = reply(b"", status, {"Location": f"{wired.url}/repositories/1?page=2"})
    wired.say(moved, reply('{"id": 1}'))
    answer = session.get(f"{wired.url}/repos/a/b", headers=WITH_TOKEN)
    assert answer.json() == {"id": 1}
    assert wired.asked[1].path == "/api/v3/repositories/1?page=2"
    assert wired.asked[1].headers["authorization"] == f"Bearer {CANARY}"
    assert budget.spent == 2


def test_no_more_than_two_redirects_are_followed(
    session: ProviderSession, wired: Wire
) -> None:
    wired.say(reply(b"", 302, {"Location": "/api/v3/x"}))
    refusal(BadPayload, session, f"{wired.url}/x")
    assert len(wired.asked) == 3


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "HEAD"])
def test_only_a_GET_is_redirected(
    method: str, session: ProviderSession, wired: Wire
) -> None:
    wired.say(reply(b"", 307, {"Location": "/api/v3/y"}))
    refusal(BadPayload, session, f"{wired.url}/x", method=method)
    assert len(wired.asked) == 1


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "localhost", "[::1]", "0.0.0.0", "2130706433", "127.1"],  # noqa: S104 - to be refused
)
def test_S1_a_private_address_is_refused_when_it_connects(
    host: str, session_of: SessionOf, wired: Wire, budget: Noted
) -> None:
    url = f"http://{host}:{wired.port}"
    session = session_of(url, allow_private=False)
    refusal(AddressRefused, session, f"{url}/x", match="not a public address")
    assert wired.connections == 0


@pytest.fixture
def public_loopback(monkeypatch: pytest.MonkeyPatch) -> str:
    """An address of loopback that counts as public, for a server to listen on."""
    real = addresses.is_public
    monkeypatch.setattr(
        addresses, "is_public", lambda address: address == "127.0.0.2" or real(address)
    )
    return "127.0.0.2"


def test_S5_S6_a_name_that_leads_elsewhere_later_is_refused_at_the_next_connection(
    session_of: SessionOf, public_loopback: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """DNS rebinding: what was checked is what is connected to, asked for once."""
    with wire(public_loopback) as wired, wire("127.0.0.1", wired.port) as canary:
        asked = name_server(monkeypatch, "127.0.0.2", "127.0.0.1")
        url = f"http://api.example.org:{wired.port}"
        session = session_of(url, allow_private=False)
        wired.say(reply(end=End.KEEP), reply(end=End.CLOSE))
        session.get(f"{url}/x")
        session.get(f"{url}/x")
        assert asked == ["api.example.org"]  # once for a connection
        refusal(AddressRefused, session, f"{url}/x", match=r"127\.0\.0\.1")
        assert len(wired.asked) == 2
        assert canary.connections == 0


def test_S1_one_private_address_among_public_ones_is_enough(
    session_of: SessionOf, public_loopback: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with wire(public_loopback) as wired:
        name_server(monkeypatch, ("127.0.0.2", "169.254.169.254"))
        url = f"http://api.example.org:{wired.port}"
        session = session_of(url, allow_private=False)
        refusal(AddressRefused, session, f"{url}/x", match=r"169\.254")
        assert wired.connections == 0


def test_the_next_address_is_tried_when_one_refuses(
    session_of: SessionOf, wired: Wire, monkeypatch: pytest.MonkeyPatch
) -> None:
    name_server(monkeypatch, ("127.0.0.3", "127.0.0.1"))
    url = f"http://api.example.org:{wired.port}"
    assert session_of(url).get(f"{url}/x").json() == {}


def test_a_name_that_cannot_be_resolved_is_unavailable(
    session_of: SessionOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    def nothing(*_: object, **__: object) -> list[object]:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", nothing)
    for allowed in (True, False):
        session = session_of("http://nowhere.example", allow_private=allowed)
        refusal(
            Unavailable,
            session,
            "http://nowhere.example/x",
            match="could not be resolved",
        )


def test_D6_a_resolver_that_hangs_is_left_behind(
    session_of: SessionOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    over = threading.Event()

    def hang(*_: object, **__: object) -> list[object]:
        over.wait(20)
        raise socket.gaierror

    monkeypatch.setattr(socket, "getaddrinfo", hang)
    session = session_of("http://slow.example", seconds=0.2)
    refusal(Unavailable, session, "http://slow.example/x", match="0.2 seconds")
    over.set()


def test_a_token_is_not_sent_in_the_open_unless_private_addresses_are_allowed(
    session_of: SessionOf, public_loopback: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with wire(public_loopback) as wired:
        session = session_of(wired.url, allow_private=False)
        for name in ("Authorization", "PRIVATE-TOKEN"):
            refusal(
                AddressRefused,
                session,
                wired.url,
                headers={name: CANARY},
                match="in the open",
            )
        assert wired.connections == 0
        assert session.get(wired.url).json() == {}


def test_a_token_goes_over_plain_http_into_a_listed_network_only(
    session_of: SessionOf, public_loopback: str
) -> None:
    """Also over a connection that was opened for a request without one."""
    listed = (ip_network("127.0.0.1/32"),)
    secret = {"Authorization": CANARY}
    with wire(public_loopback) as wired, wire("127.0.0.1") as inside:
        session = session_of(wired.url, allow_private=listed)
        wired.say(reply(end=End.KEEP))
        assert session.get(wired.url).json() == {}
        refusal(AddressRefused, session, wired.url, headers=secret, match="in the open")
        assert CANARY not in repr(wired.asked)
        session = session_of(inside.url, allow_private=listed)
        assert session.get(inside.url, headers=secret).json() == {}
        assert CANARY in repr(inside.asked)


def test_S8_no_proxy_netrc_or_cookie_has_a_say(
    session: ProviderSession,
    wired: Wire,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login eve password secret\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    with wire() as proxy:
        for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "https_proxy"):
            monkeypatch.setenv(name, proxy.root)
        wired.say(reply(headers={"Set-Cookie": "a=b; Path=/"}))
        session.get(f"{wired.url}/x")
        session.get(f"{wired.url}/x", proxies={"http": proxy.root})
        assert proxy.connections == 0
    assert "authorization" not in wired.asked[1].headers
    assert "cookie" not in wired.asked[1].headers


def test_a_certificate_is_checked_against_the_name_and_not_the_address(
    session_of: SessionOf,
    tls_server: tuple[Wire, Path],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    wired, authority = tls_server
    trust(monkeypatch, authority)
    url = f"https://{NAME}:{wired.port}"
    assert session_of(url).get(f"{url}/x", headers=WITH_TOKEN).json() == {}
    assert wired.server_names == [NAME]
    other = f"https://other.example.test:{wired.port}"
    refusal(
        Unavailable,
        session_of(other),
        f"{other}/x",
        headers=WITH_TOKEN,
        verify=False,
        match="certificate of other.example.test",
    )
    assert len(wired.asked) == 1


def test_a_certificate_that_nobody_vouches_for_is_refused(
    session_of: SessionOf, tls_server: tuple[Wire, Path]
) -> None:
    wired, _ = tls_server
    url = f"https://{NAME}:{wired.port}"
    refusal(Unavailable, session_of(url), f"{url}/x", match="certificate")
    assert wired.asked == []
