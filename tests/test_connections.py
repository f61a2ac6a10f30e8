"""Connecting an organisation: what people type, what is tested, what is kept."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from indexer import connections
from indexer.connection_addresses import WishRefused, parse_place
from indexer.connections import Wish
from indexer.models import Connection
from indexer.selection import parse_patterns, selection_of
from tests.providers.github_server import GitHubServer, serve_github
from tests.providers.raw_repository import simple_repository

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("own_site")]

GITHUB, GHE = "https://github.com", "https://ghe.example.com"
GITLAB, BELOW = "https://gitlab.example.com", "https://example.com/gitlab"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[GitHubServer]:
    root = tmp_path / "remotes"
    root.mkdir()
    with serve_github(root) as running:
        running.add_owner("acme")
        for name in ("churn", "ml-risk", "playground"):
            bare = simple_repository(root / f"{name}.git").path
            running.add_repository(f"acme/{name}", bare)
        running.add_repository("acme/forked", bare, fork=True)
        running.add_repository("acme/ml-old", bare, archived=True)
        yield running


def wish(server: GitHubServer, **changes: Any) -> Wish:
    fields = {"address": server.url, "owner": "acme", "secret": server.token}
    return Wish(kind="github", **{**fields, **changes})


@pytest.mark.parametrize(
    ("kind", "address", "owner", "web_url", "api", "name"),
    [
        ("github", "", "acme", GITHUB, "https://api.github.com", "acme"),
        ("github", "", f"{GITHUB}/acme", GITHUB, "https://api.github.com", "acme"),
        ("github", "", "github.com/orgs/acme/repositories", GITHUB, "", "acme"),
        ("github", f"{GITHUB}/acme", "", GITHUB, "", "acme"),
        ("github", "https://api.github.com", "acme", GITHUB, "", "acme"),
        ("github", "ghe.example.com", "acme", GHE, f"{GHE}/api/v3", "acme"),
        ("github", f"{GHE}:8443/api/v3", "acme", f"{GHE}:8443", "", "acme"),
        (
            "github", "https://acme.ghe.com", "acme",
            "https://acme.ghe.com", "https://api.acme.ghe.com", "acme",
        ),
        (
            "gitlab", "", "acme/ml",
            "https://gitlab.com", "https://gitlab.com/api/v4", "acme/ml",
        ),
        ("gitlab", "", f"{GITLAB}/groups/acme/ml", GITLAB, "", "acme/ml"),
        ("gitlab", f"{GITLAB}/acme/ml/-/issues", "", GITLAB, "", "acme/ml"),
        ("gitlab", f"{GITLAB}/groups/acme", "acme/ml", GITLAB, "", "acme/ml"),
        ("gitlab", BELOW, "acme", BELOW, f"{BELOW}/api/v4", "acme"),
        ("gitlab", BELOW, f"{BELOW}/acme/ml", BELOW, "", "acme/ml"),
    ],
)  # fmt: skip
def test_what_people_paste_is_understood(
    kind: str, address: str, owner: str, web_url: str, api: str, name: str
) -> None:
    place = parse_place(kind, address, owner)
    assert (place.web_url, place.owner) == (web_url, name)
    assert not api or place.api_url == api


@pytest.mark.parametrize(
    ("address", "owner", "field"),
    [
        ("http://ghe.example.com", "acme", "address"),
        ("https://127.0.0.1", "acme", "address"),
        ("https://2130706433", "acme", "address"),
        ("https://[::ffff:169.254.169.254]", "acme", "address"),
        ("https://token@ghe.example.com", "acme", "address"),
        ("file:///etc", "acme", "address"),
        ("", "http://10.0.0.1/acme", "owner"),
        ("https://github.com", "https://gitlab.com/acme", "owner"),
        ("https://github.com", "ac me", "owner"),
        ("https://github.com", "../acme", "owner"),
    ],
)
def test_S1_an_address_that_must_not_be_reached_is_refused_at_its_field(
    settings: Any, address: str, owner: str, field: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.MUSTER_ALLOW_PRIVATE = False
    real = socket.getaddrinfo

    def look_up(host: str, port: int, **rest: Any) -> Any:
        """Names of the Internet lead somewhere public, without asking it."""
        if host.endswith(".com"):
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("140.82.121.4", port))]
        return real(host, port, **rest)

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    with pytest.raises(WishRefused) as refused:
        parse_place("github", address, owner)
    assert refused.value.field == field


@pytest.mark.parametrize(
    ("kind", "address", "owner", "field"),
    [
        ("github", "https://gitlab.com", "acme", "address"),
        ("github", "", "https://gitlab.com/acme", "owner"),
        ("gitlab", "", "https://github.com/acme", "owner"),
    ],
)
def test_the_home_of_the_other_kind_is_named(
    settings: Any, kind: str, address: str, owner: str, field: str
) -> None:
    settings.MUSTER_ALLOW_PRIVATE = True
    with pytest.raises(WishRefused, match=r"Choose “Connect Git(Hub|Lab)”") as refused:
        parse_place(kind, address, owner)
    assert refused.value.field == field


@pytest.mark.parametrize(
    ("pattern", "path", "matches"),
    [
        ("ml-*", "acme/ml-risk", True),
        ("ml-*", "acme/web", False),
        ("ML-*", "acme/ml-risk", True),
        ("acme/ml-*", "acme/ml-risk", True),
        ("acme/ml-*", "other/ml-risk", False),
        ("acme/*", "acme/ml/churn", False),
        ("acme/**", "acme/ml/churn", True),
        ("**/churn", "churn", True),
        ("acme/**/churn", "acme/churn", True),
        ("acme/**/churn", "acme/a/b/churn", True),
        ("churn?", "acme/churn2", True),
        ("churn[12]", "acme/churn3", False),
    ],
)
def test_patterns(pattern: str, path: str, matches: bool) -> None:
    [parsed] = parse_patterns("include", pattern)
    assert parsed.matches(path) is matches


@pytest.mark.parametrize(
    "text", ["ml-[", "a//b", "a, b", "a b", "https://github.com/acme", "a" * 300]
)
def test_a_bad_pattern_is_named_at_its_field(text: str) -> None:
    with pytest.raises(WishRefused) as refused:
        parse_patterns("exclude", f"fine-*\n{text}")
    assert refused.value.field == "exclude"
    assert text[:60] in refused.value.sentence


def test_a_pattern_of_many_stars_takes_no_time() -> None:
    [pattern] = parse_patterns("include", "/".join(["**", "a*a*a*a*a*a*a*a*b"] * 8))
    assert not pattern.matches("/".join(["a" * 60] * 8))


def test_a_draft_is_tested_and_shows_what_it_would_take(server: GitHubServer) -> None:
    draft = connections.draft_connection(
        wish(server, exclude="play*", with_archived=False)
    )
    findings = connections.test_connection(draft)
    assert findings.works, findings.sentence
    assert findings.account == "robot"
    assert {right.ability.value for right in findings.rights} == {
        "read", "tags", "contents", "hooks",
    }  # fmt: skip
    draft.refresh_from_db()
    assert (draft.owner, draft.owner_kind, draft.state) == ("acme", "org", "draft")
    found = connections.preview(draft)
    assert [one.path for one in found.chosen] == ["acme/churn", "acme/ml-risk"]
    assert {one.repository.path: one.why for one in found.left_out} == {
        "acme/forked": "a fork",
        "acme/ml-old": "archived",
        "acme/playground": "excluded by “play*”",
    }


def test_K1_a_token_is_stored_encrypted_and_shown_nowhere(server: GitHubServer) -> None:
    draft = connections.draft_connection(wish(server))
    assert connections.secret_of(draft) == server.token
    row = Connection.objects.values().get()
    assert server.token not in repr(row)
    assert server.token not in repr(draft)
    assert server.token not in repr(wish(server))


def test_a_wrong_token_is_a_sentence(server: GitHubServer) -> None:
    draft = connections.draft_connection(wish(server, secret="ghp_wrong"))
    findings = connections.test_connection(draft)
    assert not findings.works
    assert "token" in findings.sentence


def test_an_owner_that_is_not_there_is_a_sentence(server: GitHubServer) -> None:
    draft = connections.draft_connection(wish(server, owner="nobody"))
    findings = connections.test_connection(draft)
    assert not findings.works
    assert "nobody" in findings.sentence


def test_a_connected_draft_is_owed_a_look(server: GitHubServer) -> None:
    draft = connections.draft_connection(wish(server))
    connections.connect(draft, by="alice")
    assert draft.state == Connection.State.NEW
    assert draft.requested_seq > draft.done_seq


def test_an_owner_is_connected_once(server: GitHubServer) -> None:
    first, second = (connections.draft_connection(wish(server)) for _ in range(2))
    connections.connect(first)
    with pytest.raises(WishRefused):
        connections.connect(second)
    with pytest.raises(WishRefused):
        connections.draft_connection(wish(server, owner="ACME"))


def test_another_server_empties_the_token(server: GitHubServer) -> None:
    connection = connections.draft_connection(wish(server))
    connections.connect(connection)
    connections.change_connection(
        connection, wish(server, address="http://127.0.0.1:9", secret=None)
    )
    connection.refresh_from_db()
    assert connection.secret == ""
    assert connection.state == Connection.State.DENIED
    findings = connections.test_connection(connection)
    assert not findings.works


def test_a_change_keeps_the_token_of_the_same_server(server: GitHubServer) -> None:
    connection = connections.draft_connection(wish(server))
    connections.change_connection(connection, wish(server, secret=None, include="ml-*"))
    connection.refresh_from_db()
    assert connections.secret_of(connection) == server.token
    assert [p.text for p in selection_of(connection).include] == ["ml-*"]
