"""By whose right it is written, and that a right that is gone writes nothing."""

from __future__ import annotations

import logging
from collections.abc import Callable
from unittest import mock

import pytest
from django.contrib.auth.models import User
from django.utils import timezone

from indexer import actions
from indexer.action_rows import Held
from indexer.models import Account, ActionLog, Connection, ProviderToken, Repository
from tests.actions.places import ActionPlace, give_token
from tests.providers.github_server import GitHubServer

Status = ActionLog.Status
MakePlace = Callable[[str], ActionPlace]
API = "/api/v3/repos/acme/churn/git/"


def writes_to(server: GitHubServer) -> int:
    return server.count(f"POST {API}")


@pytest.fixture
def at_github(make_place: MakePlace) -> ActionPlace:
    return make_place("github")


def github(place: ActionPlace) -> GitHubServer:
    assert isinstance(place.server, GitHubServer)
    return place.server


def test_Z3_nobody_writes_with_the_connections_token(at_github: ActionPlace) -> None:
    """Eddy has no token of his own, and no admin allowed the connection's."""
    at_github.people["eddy"].provider_tokens.all().delete()
    row = at_github.register(0)
    assert (row.status, row.code) == (Status.REFUSED, "no-token")
    assert "has no token of yours" in row.sentence
    assert writes_to(github(at_github)) == 0
    assert at_github.tags() == {}


def test_Z3_nobody_writes_with_anothers_token(at_github: ActionPlace) -> None:
    """Erna's is there; and Eddy's for another server is not for this one."""
    eddy: User = at_github.people["eddy"]
    eddy.provider_tokens.update(web_url="https://github.com")
    assert ProviderToken.objects.filter(user=at_github.people["erna"]).exists()
    assert at_github.register(0).code == "no-token"
    assert writes_to(github(at_github)) == 0


def test_the_connections_token_where_an_admin_allowed_it(
    at_github: ActionPlace,
) -> None:
    at_github.people["eddy"].provider_tokens.all().delete()
    Connection.objects.update(shares_writing=True)
    row = at_github.register(0, message="Because")
    assert (row.status, row.right) == (Status.DONE, "shared"), row.sentence
    body = at_github.body("churn@v0.0.1")
    assert "tagger Eddy <eddy@example.org>" in body
    assert body.endswith("Because\n\nRequested-by: eddy (Eddy <eddy@example.org>)")
    # Who has a token writes with that.
    own = at_github.register(1, by="erna")
    assert (own.status, own.right) == (Status.DONE, "own")
    assert "Requested-by" not in at_github.body(own.tag)


def test_the_providers_own_rights_decide(at_github: ActionPlace) -> None:
    """Eddy's token may read and not write: GitHub's no, and the form is told."""
    server = github(at_github)
    eddy = at_github.people["eddy"]
    give_token(eddy, at_github, server.add_token("github_pat_reader", "contents:read"))
    row = at_github.register(0)
    assert row.status == Status.REFUSED
    assert "token" in row.sentence
    assert at_github.tags() == {}
    give_token(eddy, at_github, server.token)
    assert at_github.register(0).status == Status.DONE


@pytest.mark.parametrize("what", ["role", "person", "token", "repository"])
@pytest.mark.parametrize("is_there", [False, True])
def test_Z3_a_right_that_goes_between_click_and_writing(
    at_github: ActionPlace, what: str, is_there: bool
) -> None:
    """The process died after the order was fixed, or after the tag was written. Whoever
    goes on finds the right gone: nothing is written any more, and what is there is
    known to be."""

    class Killed(BaseException):
        pass

    def die(*_: object, **__: object) -> None:
        raise Killed

    place = (
        "indexer.action_rows.Held.end"
        if is_there
        else ("indexer.providers.github.writer.GitHubTagWriter.write_tag")
    )
    with mock.patch(place, die), pytest.raises(Killed):
        at_github.register(0)
    row = ActionLog.objects.get()
    assert row.status == Status.WRITING
    eddy = at_github.people["eddy"]
    if what == "role":
        Account.objects.filter(user=eddy).update(role="viewer")
    elif what == "person":
        User.objects.filter(pk=eddy.pk).update(is_active=False)
    elif what == "token":
        eddy.provider_tokens.all().delete()
    else:
        Repository.objects.update(hidden_at=timezone.now())
    ActionLog.objects.update(lease_id=None, lease_expires_at=None)
    before = writes_to(github(at_github))
    assert actions.resume_open() == 1
    row.refresh_from_db()
    assert writes_to(github(at_github)) == before
    if is_there and what != "repository":
        assert row.status == Status.DONE
        assert at_github.tags() == {row.tag: row.object_id}
    elif is_there:
        assert row.status in {Status.DONE, Status.REFUSED}
    else:
        assert (row.status, row.code) == (Status.REFUSED, "not-allowed")
        assert at_github.tags() == {}


def test_a_right_that_is_gone_before_anything_was_fixed(
    at_github: ActionPlace,
) -> None:
    """Killed while it was being checked."""
    with (
        mock.patch.object(Held, "fix", side_effect=SystemExit),
        pytest.raises(SystemExit),
    ):
        at_github.register(0)
    Account.objects.update(role="viewer")
    ActionLog.objects.update(lease_id=None, lease_expires_at=None)
    actions.resume_open()
    row = ActionLog.objects.get()
    assert (row.status, row.code) == (Status.REFUSED, "not-allowed")
    assert at_github.tags() == {}


@pytest.mark.parametrize(
    ("answer", "status", "said"),
    [
        ({"status": 401}, Status.REFUSED, "token"),
        ({"status": 403}, Status.REFUSED, "Nothing was written"),
        ({"status": 404}, Status.REFUSED, "right to write contents"),
        (
            {"status": 422, "body": b'{"message": "Cannot create ref due to rules"}'},
            Status.REFUSED,
            "Cannot create ref due to rules",
        ),
        ({"status": 429, "headers": {"Retry-After": "60"}}, Status.FAILED, "UTC"),
        ({"status": 503}, Status.FAILED, "Nothing was written"),
    ],
)
def test_F_T3_what_the_provider_refuses_is_said_and_may_be_tried_again(
    at_github: ActionPlace, answer: dict[str, object], status: Status, said: str
) -> None:
    server = github(at_github)
    server.is_checked = False
    server.fault(f"POST {API}tags", **answer)
    row = at_github.register(0)
    assert (row.status, row.ended_at is None) == (status, False), row.sentence
    assert said in row.sentence
    assert "Traceback" not in row.sentence
    assert at_github.tags() == {}
    again = at_github.register(0)
    assert again.status == Status.DONE, again.sentence


def test_F_T4_the_crawl_is_faster_than_our_own_writing(place: ActionPlace) -> None:
    """A webhook overtakes the answer: the tag is in the rows before we are done."""
    from indexer.providers.git.writer import GitTagWriter
    from indexer.providers.github.writer import GitHubTagWriter

    kind = GitHubTagWriter if place.kind == "github" else GitTagWriter
    write = kind.write_tag

    def overtaken(self: object, order: object) -> object:
        tag = write(self, order)  # type: ignore[arg-type]
        assert place.crawl().counts["new_tags"] == 1
        return tag

    with mock.patch.object(kind, "write_tag", overtaken):
        row = place.register(0)
    assert row.status == Status.DONE
    place.repository.refresh_from_db()
    assert place.repository.tag_count == 1
    assert place.artifact().event_count == 1
    assert place.crawl().status == "unchanged"


def test_K3_a_token_is_in_no_line_of_the_log_and_no_row(
    at_github: ActionPlace, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    server = github(at_github)
    server.is_checked = False
    canary = "ghp_CANARY0123456789"
    server.tokens[canary] = server.tokens[server.token]
    give_token(at_github.people["eddy"], at_github, canary)
    server.fault(f"POST {API}refs", status=422, body=canary.encode())
    at_github.register(0)
    at_github.register(1)
    assert canary not in caplog.text
    told = [str(value) for row in ActionLog.objects.values() for value in row.values()]
    assert canary not in " ".join(told)
    kept = ProviderToken.objects.get(user=at_github.people["eddy"]).secret
    assert canary not in kept


def test_a_switched_off_repository_is_not_written_to(git_place: ActionPlace) -> None:
    Repository.objects.update(is_enabled=False)
    row = git_place.register(0)
    assert (row.status, row.code) == (Status.REFUSED, "repository-off")
    assert git_place.tags() == {}
