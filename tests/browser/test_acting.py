"""Acting in a browser, at plain Git, GitHub and GitLab: signed in through the page, by
hand, by keyboard, on a phone and without JavaScript. What is there afterwards is what
gto says in a fresh clone."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import gto.api
import pytest
from playwright.sync_api import Page, expect

from indexer.models import ActionLog
from tests.actions.places import ActionPlace, act_at, git
from tests.browser.conftest import Open
from tests.browser.test_accessibility import problems

pytestmark = [pytest.mark.needs_chromium, pytest.mark.django_db(transaction=True)]

MODEL = "/models/acme/churn/-/churn"
PlaceOf = Callable[[str], ActionPlace]


@pytest.fixture
def place_of(tmp_path: Path, own_site: None, site: str) -> Iterator[PlaceOf]:
    with ExitStack() as stack:
        yield lambda kind: stack.enter_context(act_at(kind, tmp_path))


def sign_in(page: Page, place: ActionPlace, name: str = "eddy") -> None:
    user = place.people[name]
    user.set_password("a-pass-phrase")
    user.save()
    page.goto(f"/login?next={MODEL}")
    page.get_by_label("Name").fill(name)
    page.get_by_label("Password").fill("a-pass-phrase")
    page.get_by_role("button", name="Sign in").click()
    expect(page).to_have_url(re.compile(f"{MODEL}$"))


def press(page: Page, button: str, said: str) -> None:
    """Press what writes, and read what was done."""
    page.get_by_role("button", name=button, exact=True).click()
    expect(page.locator("#notices")).to_contain_text(said)


def by_gto(place: ActionPlace, folder: Path) -> dict[str, Any]:
    """What gto says of churn in a fresh clone: latest version, stages, events."""
    clone = folder / f"clone-{len(list(folder.glob('clone-*')))}"
    subprocess.run(["git", "clone", "--quiet", str(place.bare), str(clone)], check=True)
    api: Any = gto.api
    shown: Any = json.loads(json.dumps(api.show(str(clone)), default=str))
    events = api.history(str(clone), "churn")
    return {"shown": shown["churn"], "events": len(events)}


@pytest.mark.parametrize("kind", ["git", "github", "gitlab"])
def test_a_life_of_a_model_with_clicks(
    place_of: PlaceOf, open_page: Open, tmp_path: Path, kind: str
) -> None:
    place = place_of(kind)
    page = open_page("/")
    sign_in(page, place)
    page.get_by_role("link", name="Register a version").first.click()
    page.get_by_label("Another version").fill("v1.0.0")
    page.locator(f'input[name=commit][value="{place.commits[0]}"]').check()
    page.get_by_label("Why").fill("Passed review RV-7")
    expect(page.locator("#preview")).to_contain_text("churn@v1.0.0")
    expect(page.locator("#preview")).to_contain_text("Passed review RV-7")
    press(page, "Register churn v1.0.0", "churn v1.0.0 is registered")
    expect(page.get_by_role("heading", name="churn", exact=True)).to_be_visible()

    page.goto(f"/act/register/acme/churn/-/churn?commit={place.commits[1]}")
    page.get_by_text("v2.0.0").check()
    press(page, "Register churn v2.0.0", "churn v2.0.0 is registered")
    for version in ("v1.0.0", "v2.0.0"):
        page.goto(f"{MODEL}@{version}")
        page.get_by_role("link", name="Assign a stage").first.click()
        page.get_by_label("Another stage").fill("prod")
        expect(page.locator("#preview")).to_contain_text("prod")
        press(page, f"Assign prod to {version}", f"prod is assigned to churn {version}")
    expect(page.locator("#stages")).to_contain_text("v2.0.0")

    page.get_by_role("link", name=re.compile("^Restore the")).click()
    press(page, "Put v1.0.0 back in prod", "prod is back at churn v1.0.0")
    page.goto(MODEL)
    page.get_by_role("link", name=re.compile("^Unassign prod")).click()
    press(page, "Take prod from v1.0.0", "prod is taken from churn v1.0.0")
    page.goto(f"{MODEL}@v2.0.0")
    page.get_by_role("link", name="Deregister").first.click()
    press(page, "Deregister v2.0.0", "churn v2.0.0 is deregistered")
    page.get_by_role("button", name="What to do with churn").click()
    page.get_by_role("link", name="Deprecate", exact=True).click()
    press(page, "Deprecate churn", "churn is deprecated")
    page.get_by_role("button", name="What to do with churn").click()
    page.get_by_role("link", name="Revive", exact=True).click()
    press(page, "Revive churn", "churn is active again")

    said = by_gto(place, tmp_path)
    artifact = place.artifact()
    assert said["shown"]["version"] == artifact.latest_version == "v1.0.0"
    assert said["events"] == artifact.event_count == len(place.tags())
    assert ActionLog.objects.filter(status="done").count() == len(place.tags())


@pytest.mark.parametrize("kind", ["github", "gitlab"])
def test_a_model_is_added_by_a_pull_request(
    place_of: PlaceOf, open_page: Open, kind: str
) -> None:
    place = place_of(kind)
    page = open_page("/")
    sign_in(page, place)
    page.goto("/")
    page.get_by_role("link", name="Add a model").click()
    page.get_by_role("link", name="acme/churn").click()
    page.get_by_label("Name", exact=True).fill("spam")
    page.get_by_label("Path, or").fill("models/spam.pkl")
    page.get_by_label("Labels").fill("text, mail")
    page.get_by_text("A new branch with a").click()
    expect(page.locator(".diff")).to_contain_text("+  spam:")
    word = "merge request" if kind == "gitlab" else "pull request"
    press(page, f"Open a {word} into main", "will be added once this request is merged")
    row = ActionLog.objects.get(verb="add")
    assert row.html
    branch = git(place.bare, "for-each-ref", "--format=%(refname:short)", "refs/heads")
    assert row.branch in branch.splitlines()
    assert "spam:" in git(place.bare, "show", f"{row.branch}:dvc.yaml")
    assert "spam:" not in git(place.bare, "show", "main:dvc.yaml")


def test_without_javascript(place_of: PlaceOf, open_page: Open) -> None:
    place = place_of("git")
    page = open_page("/", java_script_enabled=False)
    sign_in(page, place)
    page.get_by_role("link", name="Register a version").first.click()
    page.locator(f'input[name=commit][value="{place.commits[0]}"]').check()
    page.get_by_role("button", name="Show what will be written").click()
    expect(page.locator("#preview")).to_contain_text(place.commits[0][:10])
    press(page, "Register churn v0.0.1", "churn v0.0.1 is registered")
    page.goto("/act/assign/acme/churn/-/churn")
    page.locator("input[name=stage][value='*']").check()
    page.get_by_label("Another stage").fill("prod")
    page.get_by_role("button", name="Show what will be written").click()
    press(page, "Assign prod to v0.0.1", "prod is assigned to churn v0.0.1")
    assert place.holders() == {"prod": ["v0.0.1"]}
    page.goto("/act/edit/acme/churn/-/churn")
    page.get_by_label("Description").fill("Who leaves")
    page.get_by_role("button", name="Show what will be written").click()
    press(page, "Commit to main", "churn is changed")


def test_by_keyboard_on_a_phone(place_of: PlaceOf, open_page: Open) -> None:
    """No mouse, no room."""
    place = place_of("git")
    place.register(0, "v1.0.0")
    page = open_page("/", width=390)
    sign_in(page, place)
    page.goto("/act/assign/acme/churn/-/churn")
    page.get_by_label("Version", exact=True).focus()
    page.keyboard.press("Tab")  # the fold of commits
    page.keyboard.press("Tab")  # the first radio
    page.keyboard.press("Space")
    page.keyboard.press("Tab")
    page.keyboard.type("prod")
    expect(page.locator("#preview")).to_contain_text("churn#prod#1")
    page.keyboard.press("Tab")
    page.keyboard.type("Because")
    expect(page.locator("#preview")).to_contain_text("Because")
    for _ in range(8):
        page.keyboard.press("Tab")
        name = page.evaluate("document.activeElement.textContent.trim()")
        if name == "Assign prod to v1.0.0":
            break
    page.keyboard.press("Enter")
    expect(page.locator("#notices")).to_contain_text("prod is assigned")
    wide = page.evaluate("document.documentElement.scrollWidth")
    assert wide <= 390
    assert place.holders() == {"prod": ["v1.0.0"]}


def test_a_row_menu_opens_with_the_keyboard(place_of: PlaceOf, open_page: Open) -> None:
    place = place_of("git")
    place.register(0, "v1.0.0")
    page = open_page("/")
    sign_in(page, place)
    page.goto("/")
    page.get_by_role("button", name="What to do with churn").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("link", name="Register a version")).to_be_focused()
    page.keyboard.press("ArrowDown")
    expect(page.get_by_role("link", name="Assign a stage")).to_be_focused()
    page.keyboard.press("Escape")
    expect(page.get_by_role("link", name="Assign a stage")).to_be_hidden()


def test_a_double_click_is_one_action(place_of: PlaceOf, open_page: Open) -> None:
    place = place_of("git")
    page = open_page("/")
    sign_in(page, place)
    page.goto(f"/act/register/acme/churn/-/churn?commit={place.commits[0]}")
    page.get_by_role("button", name="Register churn v0.0.1").dblclick()
    expect(page.locator("#notices")).to_contain_text("is registered")
    assert list(place.tags()) == ["churn@v0.0.1"]
    assert ActionLog.objects.count() == 1


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_in_the_forms(
    place_of: PlaceOf, open_page: Open, scheme: str
) -> None:
    place = place_of("git")
    place.register(0, "v1.0.0")
    place.assign("prod", "v1.0.0")
    page = open_page("/", color_scheme=scheme)
    sign_in(page, place)
    found = []
    for address in (
        "/",
        MODEL,
        f"/act/register/acme/churn/-/churn?commit={place.commits[1]}",
        "/act/assign/acme/churn/-/churn?stage=prod",
        "/act/unassign/acme/churn/-/churn?stage=prod&version=v1.0.0",
        "/act/deprecate/acme/churn/-/churn",
        "/act/add",
        "/act/add/acme/churn",
        "/act/edit/acme/churn/-/churn",
    ):
        page.goto(address)
        page.wait_for_load_state("networkidle")
        found += problems(page, address)
    assert found == []
