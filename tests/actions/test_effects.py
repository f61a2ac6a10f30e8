"""A tag that would not do what was asked is refused: before anything is asked, on the
page, over the API and in the row, with the same sentence; and no tag is written."""

from __future__ import annotations

from html import unescape

from indexer.models import ActionLog, Repository
from tests.actions.checks import check_index, done
from tests.actions.places import ActionPlace, Verb
from tests.actions.test_pages import sent, shown, signed_in
from tests.api.acting import Program

Status = ActionLog.Status


def check_refused(place: ActionPlace, code: str, **what: str) -> str:
    """By each way; the sentence, which is the same."""
    tags, program, client = place.tags(), Program(place), signed_in(place, "eddy")
    row = place.act(Verb.ASSIGN, **what)
    assert (row.status, row.code) == (Status.REFUSED, code)
    sentence = row.sentence.partition(" Last: ")[0]
    told = program.refused(409, code, "assign", dry_run=True, **what)
    assert told["detail"] == sentence
    told = program.refused(409, code, "assign", **what)
    assert told["detail"] == row.sentence
    page = unescape(shown(client, "assign", **what))
    assert sentence in page
    assert 'name="seen"' not in page  # there is nothing to agree to
    status, page, _ = sent(client, "assign", **what)
    assert status == 200
    assert sentence in unescape(page)
    assert place.tags() == tags
    return sentence


def test_of_two_versions_on_a_commit_the_older_is_given_no_stage(
    git_place: ActionPlace,
) -> None:
    first = done(git_place.register(0, "v1.0.0"))
    git_place.push_tag("churn@v1.1.0", git_place.commits[0], at=first.seconds + 60)  # type: ignore[operator]
    git_place.crawl()
    said = check_refused(git_place, "shares-commit", stage="prod", version="v1.0.0")
    assert "Assign prod to v1.1.0, or deregister v1.1.0 first." in said
    # What it says helps.
    row = done(git_place.assign("prod", "v1.1.0"))
    assert row.sentence == "prod is assigned to churn v1.1.0: tag churn#prod#1."
    assert git_place.holders() == {"prod": ["v1.1.0"]}
    row = git_place.act(Verb.UNASSIGN, stage="prod", version="v1.0.0")
    assert row.code == "stage-not-held"
    done(git_place.act(Verb.DEREGISTER, version="v1.1.0"))
    row = done(git_place.assign("prod", "v1.0.0"))
    assert row.version == "v1.0.0"
    assert git_place.holders() == {"prod": ["v1.0.0"]}
    check_index(git_place)


def test_a_commit_of_two_versions_is_named_by_the_one_that_gets_the_stage(
    git_place: ActionPlace,
) -> None:
    commit = git_place.commits[0]
    first = done(git_place.register(0, "v1.1.0"))
    git_place.push_tag("churn@v1.0.0", commit, at=first.seconds + 60)  # type: ignore[operator]
    git_place.crawl()
    row = done(git_place.assign("prod", commit))
    assert row.version == "v1.0.0"
    assert row.message == "Assigning stage prod to artifact churn version v1.0.0"
    assert row.sentence == "prod is assigned to churn v1.0.0: tag churn#prod#1."
    assert git_place.holders() == {"prod": ["v1.0.0"]}


def test_where_a_version_has_one_stage_it_is_given_no_other(
    git_place: ActionPlace,
) -> None:
    Repository.objects.update(reading="kanban")
    done(git_place.register(0, "v1.0.0"))
    done(git_place.assign("dev", "v1.0.0"))
    said = check_refused(git_place, "has-a-stage", stage="prod", version="v1.0.0")
    assert "Unassign dev from it first." in said
    done(git_place.act(Verb.UNASSIGN, stage="dev", version="v1.0.0"))
    done(git_place.assign("prod", "v1.0.0"))
    assert git_place.holders() == {"prod": ["v1.0.0"]}
    check_index(git_place)


def test_where_the_greatest_version_holds_a_stage_no_smaller_one_gets_it(
    git_place: ActionPlace,
) -> None:
    Repository.objects.update(reading="semver")
    done(git_place.register(0, "v1.0.0"))
    done(git_place.register(1, "v2.0.0"))
    done(git_place.assign("prod", "v2.0.0"))
    said = check_refused(git_place, "greater-holds", stage="prod", version="v1.0.0")
    assert "Unassign prod from v2.0.0 first." in said
    done(git_place.act(Verb.UNASSIGN, stage="prod", version="v2.0.0"))
    done(git_place.assign("prod", "v1.0.0"))
    assert git_place.holders() == {"prod": ["v1.0.0"]}
