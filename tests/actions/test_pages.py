"""The forms: what they show, what they write, and who may use them."""

from __future__ import annotations

import re
from collections.abc import Callable
from html import unescape
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse

from indexer.models import Account, ActionLog, Repository, Role
from tests.actions.places import ActionPlace, Verb, act_at

Status = ActionLog.Status
FIELD = re.compile(r'<input type="hidden" name="(key|seen)" value="([^"]*)"')


def signed_in(place: ActionPlace, name: str) -> Client:
    client = Client()
    client.force_login(place.people[name])
    return client


@pytest.fixture
def eddy(git_place: ActionPlace) -> Client:
    return signed_in(git_place, "eddy")


def address(verb: str, artifact: str = "churn") -> str:
    if verb in {"edit"}:
        return reverse("act_edit", args=["acme/churn", artifact])
    if verb == "add":
        return reverse("act_add", args=["acme/churn"])
    return reverse("act", args=[verb, "acme/churn", artifact])


def shown(client: Client, verb: str, **query: str) -> str:
    response = client.get(address(verb), query)
    assert response.status_code == 200, response.status_code
    return response.content.decode()


def hidden(page: str) -> dict[str, str]:
    """The form's key, and what it says that the person has seen."""
    return {name: unescape(value) for name, value in FIELD.findall(page)}


def sent(client: Client, verb: str, **fields: str) -> tuple[int, str, str]:
    """Show what would be written, then press the button: status, page, where to."""
    page = client.post(address(verb), fields | {"step": "preview"}).content.decode()
    answer = client.post(address(verb), fields | hidden(page) | {"step": "write"})
    where = answer.headers.get("Location", "")
    return answer.status_code, answer.content.decode(), where


def test_a_version_is_registered(git_place: ActionPlace, eddy: Client) -> None:
    page = shown(eddy, "register")
    assert "churn@v0.0.1" in page
    assert "Registering artifact churn version v0.0.1" in page
    assert "Eddy &lt;" not in page  # the parts are isolated
    assert "eddy@example.org" in page
    status, _, where = sent(eddy, "register", commit=git_place.commits[0])
    assert (status, where) == (302, "/models/acme/churn/-/churn@v0.0.1")
    page = eddy.get(where).content.decode()
    assert "churn v0.0.1 is registered: tag churn@v0.0.1." in page
    assert git_place.tags().keys() == {"churn@v0.0.1"}
    assert git_place.artifact().latest_version == "v0.0.1"


def test_versions_are_suggested(git_place: ActionPlace, eddy: Client) -> None:
    git_place.register(0, "v1.2.3")
    page = shown(eddy, "register", commit=git_place.commits[1])
    for version in ("v1.2.4", "v1.3.0", "v2.0.0"):
        assert version in page
    status, page, _ = sent(
        eddy, "register", commit=git_place.commits[1], bump="own", version="2.0"
    )
    assert status == 200  # nothing was shown that could be written
    assert "2.0 is no version" in page
    status, _, _ = sent(eddy, "register", commit=git_place.commits[1], bump="minor")
    assert status == 302
    assert "churn@v1.3.0" in git_place.tags()


def test_commits_are_picked_and_searched(git_place: ActionPlace, eddy: Client) -> None:
    page = shown(eddy, "register")
    for commit in git_place.commits:
        assert f'value="{commit}"' in page
    assert f'value="{git_place.commits[-1]}" checked' in page
    found = eddy.get(
        reverse("act_commits", args=["acme/churn"]), {"find": git_place.commits[0][:9]}
    ).content.decode()
    assert f'value="{git_place.commits[0]}"' in found
    assert git_place.commits[1] not in found
    none = eddy.get(
        reverse("act_commits", args=["acme/churn"]), {"find": "<nothing>"}
    ).content.decode()
    assert "No commit of" in none
    assert "&lt;nothing&gt;" in none


def test_what_the_file_says_at_a_commit(git_place: ActionPlace, eddy: Client) -> None:
    said = eddy.get(
        reverse("act_at", args=["acme/churn", "churn"]),
        {"commit": git_place.commits[0]},
    ).content.decode()
    assert "churn.pkl" in said
    assert "tabular" in said
    other = eddy.get(
        reverse("act_at", args=["acme/churn", "spam"]),
        {"commit": git_place.commits[0]},
    ).content.decode()
    assert "names <bdi>spam</bdi>" in other


def test_a_stage_says_whom_it_replaces(git_place: ActionPlace, eddy: Client) -> None:
    git_place.register(0, "v1.0.0")
    git_place.register(1, "v2.0.0")
    git_place.assign("prod", "v1.0.0")
    page = shown(eddy, "assign", stage="prod")
    assert "Assign prod to v2.0.0" in page
    assert "churn#prod#2" in page
    changes = page[page.index("What changes") :]
    assert changes.index("v1.0.0") < changes.index("v2.0.0")
    status, _, where = sent(
        eddy, "assign", version="v2.0.0", stage="*", new_stage="canary"
    )
    assert status == 302, where
    assert git_place.holders() == {"canary": ["v2.0.0"], "prod": ["v1.0.0"]}


def test_the_other_actions(git_place: ActionPlace, eddy: Client) -> None:
    git_place.register(0, "v1.0.0")
    git_place.register(1, "v2.0.0")
    git_place.assign("prod", "v1.0.0")
    git_place.assign("prod", "v2.0.0")
    assert "Put v1.0.0 back in prod" in shown(eddy, "restore", stage="prod")
    assert sent(eddy, "restore", stage="prod")[0] == 302
    assert git_place.holders() == {"prod": ["v1.0.0"]}
    page = shown(eddy, "unassign", stage="prod", version="v1.0.0")
    assert page[page.index("What changes") :].count("v2.0.0")
    assert sent(eddy, "unassign", stage="prod", version="v1.0.0")[0] == 302
    assert git_place.holders() == {"prod": ["v2.0.0"]}
    assert sent(eddy, "deregister", version="v2.0.0")[0] == 302
    assert sent(eddy, "deprecate")[0] == 302
    assert not git_place.artifact().is_active
    assert sent(eddy, "revive")[0] == 302
    assert git_place.artifact().is_active


def test_a_refusal_keeps_the_form(git_place: ActionPlace, eddy: Client) -> None:
    """Somebody was first: who, and what is so now."""
    git_place.register(0, "v1.0.0")
    git_place.register(1, "v2.0.0")
    fields = {"version": "v2.0.0", "stage": "prod", "message": "Mine <b>"}
    page = eddy.post(address("assign"), fields).content.decode()
    git_place.assign("prod", "v1.0.0", by="erna")
    answer = eddy.post(address("assign"), fields | hidden(page) | {"step": "write"})
    assert answer.status_code == 409
    after = answer.content.decode()
    assert "by Erna" in after
    assert "Mine &lt;b&gt;" in after
    assert git_place.holders() == {"prod": ["v1.0.0"]}
    again = eddy.post(address("assign"), fields | hidden(after) | {"step": "write"})
    assert again.status_code == 302
    assert git_place.holders() == {"prod": ["v2.0.0"]}


def test_F_T1_a_form_sent_twice_is_one_action(
    git_place: ActionPlace, eddy: Client
) -> None:
    fields = {"commit": git_place.commits[0]}
    page = eddy.post(address("register"), fields).content.decode()
    for _ in range(2):
        answer = eddy.post(
            address("register"), fields | hidden(page) | {"step": "write"}
        )
        assert answer.status_code == 302
    assert git_place.tags().keys() == {"churn@v0.0.1"}
    assert ActionLog.objects.count() == 1


def test_nothing_is_written_that_was_not_shown(
    git_place: ActionPlace, eddy: Client
) -> None:
    answer = eddy.post(
        address("register"), {"commit": git_place.commits[0], "step": "write"}
    )
    assert answer.status_code == 200
    assert "What will be written" in answer.content.decode()
    assert not git_place.tags()
    assert not ActionLog.objects.exists()


def test_a_model_is_added_and_edited(git_place: ActionPlace, eddy: Client) -> None:
    status, page, where = sent(
        eddy, "add", name="spam", path="spam.pkl", type="model",
        description="Is it *spam*?", labels="text, mail", branch="main", how="commit",
    )  # fmt: skip
    outcome = re.findall(r'id="outcome">(.*)</div>', page)
    assert (status, where) == (302, "/models/acme/churn/-/spam"), outcome
    assert git_place.artifact("spam").labels == ["text", "mail"]
    page = shown(eddy, "edit")
    assert "tabular" in page
    status, page, where = sent(
        eddy, "edit", description="Who leaves", labels="tabular, risk", type="model",
        branch="main", how="commit",
    )  # fmt: skip
    assert status == 302, page
    assert git_place.artifact().description == "Who leaves"
    from tests.actions.places import git

    text = git(git_place.bare, "show", "main:dvc.yaml")
    assert text.startswith("# Who is about to leave\nartifacts:\n  churn:  # the model")
    assert "Eddy <eddy@example.org>" in git(
        git_place.bare, "log", "-1", "--format=%an <%ae>", "main"
    )


def test_errors_of_a_model_are_told(git_place: ActionPlace, eddy: Client) -> None:
    page = eddy.post(
        address("add"), {"name": "a b", "path": "", "step": "preview", "folder": "../x"}
    ).content.decode()
    assert "Letters, digits" in page
    assert "Say where the model is" in page
    assert "A folder of the repository" in page
    answer = eddy.post(
        address("add"), {"name": "churn", "path": "x", "step": "preview"}
    )
    assert "has an entry churn already" in answer.content.decode()


def test_gtos_older_file_is_not_changed(
    tmp_path: Path, own_site: None, transactional_db: None
) -> None:
    files = {"artifacts.yaml": "churn: {type: model, path: churn.pkl}\n"}
    with act_at("git", tmp_path, files) as place:
        page = shown(signed_in(place, "eddy"), "edit")
        assert "gto’s older file" in page
        row = place.act(
            Verb.EDIT,
            fields={
                "branch": "main", "file": "dvc.yaml", "name": "churn",
                "fields": {"desc": "x"}, "pull": False,
            },
        )  # fmt: skip
        assert (row.status, row.code) == (Status.REFUSED, "legacy-file")


VERBS = (*(verb.value for verb in Verb if verb not in {Verb.ADD, Verb.EDIT}),)


@pytest.mark.parametrize("verb", [*VERBS, "add", "edit"])
def test_who_may_act(git_place: ActionPlace, verb: str) -> None:
    """An admin and an editor may, a viewer may not, a stranger signs in first and
    comes back to what was entered."""
    for name, expected in (("alice", 200), ("eddy", 200), ("vera", 403)):
        assert signed_in(git_place, name).get(address(verb)).status_code == expected
    assert (
        "role editor"
        in signed_in(git_place, "vera").get(address(verb)).content.decode()
    )
    stranger = Client().post(
        address(verb), {"message": "Mine", "step": "write", "seen": "x", "key": "k"}
    )
    assert stranger.status_code == 302
    back = parse_qs(urlsplit(stranger.headers["Location"]).query)["next"][0]
    assert back == f"{address(verb)}?message=Mine"
    before = git_place.tags()
    vera = signed_in(git_place, "vera").post(
        address(verb), {"step": "write", "seen": "x"}
    )
    assert vera.status_code == 403
    assert git_place.tags() == before
    assert not ActionLog.objects.exists()


def test_Z3_the_role_is_asked_when_it_is_done(
    git_place: ActionPlace, eddy: Client
) -> None:
    fields = {"commit": git_place.commits[0]}
    page = eddy.post(address("register"), fields).content.decode()
    Account.objects.filter(user=git_place.people["eddy"]).update(role=Role.VIEWER)
    answer = eddy.post(address("register"), fields | hidden(page) | {"step": "write"})
    assert answer.status_code == 403
    assert not git_place.tags()


def test_buttons_are_shown_to_who_may_use_them(
    git_place: ActionPlace, eddy: Client
) -> None:
    git_place.register(0, "v1.0.0")
    git_place.assign("prod", "v1.0.0")
    for path in ("/", "/models/acme/churn/-/churn"):
        assert "/act/" in eddy.get(path).content.decode()
        for client in (signed_in(git_place, "vera"), Client()):
            assert "/act/" not in client.get(path).content.decode()


def test_a_stage_is_restored_where_another_version_had_it(
    git_place: ActionPlace, eddy: Client
) -> None:
    git_place.register(0, "v1.0.0")
    git_place.register(1, "v2.0.0")
    git_place.assign("prod", "v1.0.0")
    page = "/models/acme/churn/-/churn"
    assert "/act/restore/" not in eddy.get(page).content.decode()
    git_place.assign("prod", "v2.0.0")
    assert "/act/restore/" in eddy.get(page).content.decode()


def test_who_has_no_e_mail_in_git_enters_it_in_the_form(
    git_place: ActionPlace, eddy: Client
) -> None:
    Account.objects.filter(user=git_place.people["eddy"]).update(email="")
    assert 'name="git_email"' in shown(eddy, "register")
    wish = {"commit": git_place.commits[0], "git_name": "Eddy E."}
    status, page, _ = sent(eddy, "register", git_email="<no>", **wish)
    assert status == 400
    assert "Enter a valid email address" in page
    assert not git_place.tags()
    status, _, _ = sent(eddy, "register", git_email="eddy@example.com", **wish)
    assert status == 302
    assert "tagger Eddy E. <eddy@example.com>" in git_place.body("churn@v0.0.1")
    assert 'name="git_email"' not in shown(eddy, "register")


def test_T7_hostile_fields_cost_nobody_a_request(
    git_place: ActionPlace, eddy: Client
) -> None:
    git_place.register(0, "v1.0.0")
    rows, before = ActionLog.objects.count(), git_place.tags()
    for bad in ("v1.0.1\n", "v1.0.1\r\n", "\tv1.0.1", "v1.0.1\u2028", "--x", "v1.0"):
        fields = {"commit": git_place.commits[1], "bump": "own", "version": bad}
        answer = eddy.post(address("register"), fields | {"step": "write", "seen": "x"})
        assert answer.status_code == 400, bad
        fields = {
            "version": "v1.0.0",
            "stage": "*",
            "new_stage": bad.replace(".", "\n"),
        }
        answer = eddy.post(address("assign"), fields | {"step": "write", "seen": "x"})
        assert answer.status_code == 400, bad
    assert git_place.tags() == before
    assert ActionLog.objects.count() == rows


def test_a_repository_one_may_not_see_is_not_there(
    git_place: ActionPlace, eddy: Client
) -> None:
    from django.utils import timezone

    Repository.objects.update(hidden_at=timezone.now())
    for verb in (*VERBS, "add"):
        assert eddy.get(address(verb)).status_code == 404
    assert eddy.get(address("explode")).status_code == 404


def test_a_person_without_a_token_is_told_what_to_do(
    make_place: Callable[[str], ActionPlace],
) -> None:
    place = make_place("github")
    user: User = place.people["eddy"]
    user.provider_tokens.all().delete()
    client = signed_in(place, "eddy")
    page = shown(client, "register", message="Kept")
    assert "has no token of yours" in page
    assert "Kept" in page
    status, page, _ = sent(client, "register", commit=place.commits[0], message="Kept")
    assert status == 409
    assert "Kept" in page
    assert not place.tags()
