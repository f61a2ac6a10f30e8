"""The page of a model, and of one of its versions."""

from __future__ import annotations

import shlex

import pytest
from django.test import Client

from indexer.models import Repository
from tests.builders import ALICE, BOB, History, ingest_history
from tests.views.dom import links_of, read, text_of

HTMX = {"HX-Request": "true", "HX-Target": "timeline"}
CHURN = "/models/acme/churn/-/churn"


def commands(html: str) -> list[str]:
    """What the copy buttons copy."""
    return [
        attrs["data-copy"]
        for tag, attrs in read(html).elements
        if tag == "button" and "data-copy" in attrs
    ]


def test_it_opens_at_the_latest_version(bob: Client, acme: Repository) -> None:
    html = bob.get(CHURN).content.decode()
    text = text_of(html)
    assert "<title>churn · Muster</title>" in html
    assert "Version v1.1.0" in text
    assert "Latest v1.1.0" in text
    assert "Who is about to leave" in text
    assert "<strong>leave</strong>" in html
    assert "models/churn.pkl" in text
    assert "dvc.yaml" in text
    assert f"{CHURN}@v1.1.0" in links_of(html)
    assert "https://github.com/acme/churn" in links_of(html)


def test_a_version_has_a_permanent_address(bob: Client, acme: Repository) -> None:
    html = bob.get(f"{CHURN}@v1.0.0").content.decode()
    text = text_of(html)
    assert "<title>churn v1.0.0 · Muster</title>" in html
    assert "Registered Alice" in text
    assert "First for production" in text
    assert "Passed review RV-7" in text
    assert (
        f"https://github.com/acme/churn/commit/{_commit(acme, 'v1.0.0')}"
        in links_of(html)
    )
    assert "https://github.com/acme/churn/releases/tag/churn%40v1.0.0" in [
        link.replace("@", "%40") for link in links_of(html)
    ]


def _commit(repository: Repository, version: str) -> str:
    artifact = repository.artifacts.get(name="churn")
    return artifact.versions.get(name=version).commit_id


def test_a_deregistered_version_keeps_its_page(bob: Client, acme: Repository) -> None:
    text = text_of(bob.get(f"{CHURN}@v1.2.0-rc.1").content.decode())
    assert "deregistered" in text


def test_a_commit_that_stands_for_a_version_has_a_page(bob: Client, db: None) -> None:
    history = History()
    commit = history.commit()
    history.tag("m#dev", commit)
    ingest_history("acme/m", history)
    html = bob.get(f"/models/acme/m/-/m@{commit}").content.decode()
    assert "commit without a version" in text_of(html)
    assert f"m {commit[:7]}" in html


def test_description_and_labels_are_those_of_the_commit(bob: Client, db: None) -> None:
    history = History().annotate(
        m={"path": "a", "desc": "The first", "labels": ["old"]}
    )
    history.register("m", "v1.0.0", on=history.head)
    history.annotate(m={"path": "b", "desc": "The second", "labels": ["new"]})
    history.register("m", "v2.0.0", on=history.head)
    ingest_history("acme/m", history)
    first = text_of(bob.get("/models/acme/m/-/m@v1.0.0").content.decode())
    second = text_of(bob.get("/models/acme/m/-/m@v2.0.0").content.decode())
    assert "The first" in first
    assert "old" in first
    assert "The second" not in first
    assert "The second" in second


def test_it_says_which_version_holds_each_stage(bob: Client, acme: Repository) -> None:
    html = bob.get(CHURN).content.decode()
    stages = html.split('id="stages"')[1].split("</section>")[0]
    assert "dev v1.1.0 Bob" in text_of(stages)
    assert "prod v1.0.0 Alice" in text_of(stages)
    assert stages.index(">dev<") < stages.index(">prod<")


def test_the_timeline_can_be_filtered(bob: Client, acme: Repository) -> None:
    html = bob.get(CHURN).content.decode()
    assert html.count('class="dot ') == 6
    only = bob.get(f"{CHURN}?event=assignment").content.decode()
    assert only.count('class="dot ') == 2
    assert "Passed review RV-7" in text_of(only)
    fragment = bob.get(f"{CHURN}?event=assignment", headers=HTMX).content.decode()
    assert "<html" not in fragment
    assert fragment.count('class="dot ') == 2
    assert 'hx-swap-oob="innerHTML">2 events' in fragment


def test_commands_are_ready_to_paste(bob: Client, acme: Repository) -> None:
    found = commands(bob.get(f"{CHURN}@v1.0.0").content.decode())
    url = acme.url
    assert f"dvc artifacts get {url} churn --rev v1.0.0" in found
    assert f"dvc get --rev churn@v1.0.0 {url} models/churn.pkl" in found
    assert f"gto show churn@v1.0.0 --repo {url}" in found
    assert f"git clone {url} churn\ngit -C churn checkout churn@v1.0.0" in found


@pytest.mark.parametrize(
    "path", ["a b", "$(touch x)", "`id`", "a;rm -rf ~", "-x", "a\nb", "a\u202eb", "é"]
)
def test_a_command_is_one_the_shell_takes_as_it_reads(
    bob: Client, db: None, path: str
) -> None:
    history = History().annotate(m={"path": path, "type": "model"})
    history.register("m", "v1.0.0", on=history.head)
    ingest_history("acme/m", history)
    found = commands(bob.get("/models/acme/m/-/m").content.decode())
    gets = [line for line in found if line.startswith("dvc get")]
    if path in {"a\nb", "a\u202eb"}:  # would not be what it looks like
        assert gets == []
    else:
        assert [shlex.split(line) for line in gets] == [
            ["dvc", "get", "--rev", "m@v1.0.0", "https://git.example.com/acme/m.git",
             f"./{path}" if path.startswith("-") else path]
        ]  # fmt: skip


def test_an_unregistered_model_says_what_to_push(bob: Client, db: None) -> None:
    ingest_history(
        "acme/new", History().annotate(fresh={"path": "m.pkl", "type": "model"})
    )
    html = bob.get("/models/acme/new/-/fresh").content.decode()
    assert "not registered" in text_of(html)
    assert "gto register fresh --push" in commands(html)
    assert (
        "git tag -a fresh@v0.0.1 -m 'First version'\ngit push origin fresh@v0.0.1"
        in commands(html)
    )


def test_a_monorepo_name_is_written_as_tags_write_it(bob: Client, db: None) -> None:
    ingest_history("acme/mono", History().annotate(x={"path": "a", "type": "model"}))
    Repository.objects.get().artifacts.update(name="sub/dir:x")
    html = bob.get("/models/acme/mono/-/sub/dir:x").content.decode()
    assert "gto register sub/dir:x --push" in commands(html)
    assert any("sub/dir=x@v0.0.1" in text for text in commands(html))


def test_the_picker_leads_to_a_version(bob: Client, acme: Repository) -> None:
    for typed in ("v1.0.0", "1.0.0"):
        response = bob.get(f"{CHURN}?version={typed}")
        assert response["Location"] == f"{CHURN}@v1.0.0"


def test_versions_and_history_are_paged(bob: Client, db: None) -> None:
    history = History()
    for number in range(40):
        history.register("m", f"v1.{number}.0", by=BOB if number % 2 else ALICE)
    ingest_history("acme/m", history)
    html = bob.get("/models/acme/m/-/m").content.decode()
    assert html.count('class="dot ') == 25
    assert "?page=2" in links_of(html)
    assert "?versions=2#versions" in links_of(html)
    assert "v1.39.0" in html
    assert "@v1.2.0" not in html
    last = bob.get("/models/acme/m/-/m?versions=3").content.decode()
    assert "@v1.2.0" in last
    assert bob.get("/models/acme/m/-/m?page=2").content.decode().count('="dot ') == 15


def test_problems_of_a_model_are_beside_it(bob: Client, db: None) -> None:
    history = History().register("m", "v1.0.0").lightweight("m@v1.1.0")
    ingest_history("acme/m", history)
    html = bob.get("/models/acme/m/-/m").content.decode()
    problems = text_of(html.split('id="problems"')[1].split("</section>")[0])
    assert "m@v1.1.0" in problems
    assert "lightweight" in problems
    assert "/models/acme/m/-/m#problems" in links_of(bob.get("/").content.decode())


def test_a_deprecated_model_says_so(bob: Client, acme: Repository) -> None:
    text = text_of(bob.get("/models/acme/churn/-/old-churn").content.decode())
    assert "deprecated" in text
