"""The demo: what it shows, and that it comes and goes without a trace."""

from __future__ import annotations

import io
import re
import subprocess
import time
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone
from pytest_django.fixtures import Settings

from indexer.demo.install import build
from indexer.demo.pipelines import Value, yaml_text
from indexer.demo.stories import REPOSITORIES
from indexer.models import Artifact, Event, Problem, Repository, StageHolder, Version

TODAY = date(2026, 11, 21)


def git(folder: Path, *arguments: str) -> str:
    """What git says of a repository."""
    return subprocess.run(
        ["git", "--git-dir", str(folder), *arguments],
        capture_output=True,
        check=True,
    ).stdout.decode()


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """The demo's repositories, as of TODAY."""
    folder = tmp_path_factory.mktemp("demo")
    return [path for _, path in build(folder, TODAY)]


@pytest.fixture
def demo(settings: Settings, tmp_path: Path, db: None) -> str:
    """The demo, installed and crawled; what the command printed."""
    settings.MUSTER_DATA = tmp_path
    return run("demo")


def run(*arguments: str) -> str:
    """Run a command of manage.py in this process; what it printed."""
    out = io.StringIO()
    call_command(*arguments, stdout=out)
    return out.getvalue()


# The repositories ------------------------------------------------------------------
def test_two_builds_of_one_day_are_equal(built: list[Path], tmp_path: Path) -> None:
    again = [path for _, path in build(tmp_path, TODAY)]
    for first, second in zip(built, again, strict=True):
        refs = git(first, "for-each-ref")
        assert refs == git(second, "for-each-ref")
        assert refs.count("\n") > 10


def test_the_demo_is_built_within_ten_seconds(tmp_path: Path) -> None:
    begun = time.monotonic()
    assert len(list(build(tmp_path, TODAY))) >= 6
    assert time.monotonic() - begun < 10


def test_git_finds_nothing_wrong_in_any_repository(built: list[Path]) -> None:
    for path in built:
        assert git(path, "fsck", "--strict", "--no-dangling").strip() == ""
        assert git(path, "rev-parse", "--is-bare-repository").strip() == "true"


def test_a_year_of_history_ends_yesterday_and_never_lies_ahead(
    built: list[Path],
) -> None:
    midnight = datetime.combine(TODAY, datetime.min.time(), UTC).timestamp()
    newest = 0
    for path in built:
        seconds = [
            int(line)
            for line in git(
                path, "for-each-ref", "--format=%(creatordate:unix)", "refs/tags"
            ).split()
        ]
        assert max(seconds) < midnight
        assert max(seconds) > midnight - timedelta(days=25).total_seconds()
        span = timedelta(seconds=max(seconds) - min(seconds))
        assert span > timedelta(days=180)
        newest = max(newest, *seconds)
    assert newest > midnight - timedelta(days=1).total_seconds()


def test_everybody_in_it_is_invented_and_several_people_tag(built: list[Path]) -> None:
    everybody: set[str] = set()
    for path in built:
        names = git(path, "log", "--all", "--format=%an <%ae>%n%cn <%ce>")
        names += git(
            path, "for-each-ref", "--format=%(taggername) %(taggeremail)", "refs/tags"
        )
        people = {line.strip() for line in names.splitlines() if line.strip()}
        assert all(person.endswith("@example.com>") for person in people)
        assert len(people) >= 3, path
        everybody |= people
    assert len(everybody) >= 7


def test_yaml_is_written_as_it_is_read() -> None:
    from ruamel.yaml import YAML

    value: dict[str, Value] = {
        "plain": "a model",
        "odd": ["yes", "1.0", "", "a: b", "# c", "é", "- d", "@x", "0644", "null"],
        "nested": {"list": [["a", "b"], ["c"]], "maps": [{"x": 1, "y": [True, None]}]},
        "text": "first\n\n  indented\nlast",
        "number": 0.25,
        "empty": [],
        "hash": "47e40000000000000000000000000000",
    }
    assert YAML(typ="safe", pure=True).load(yaml_text(value)) == value


# In the catalog ----------------------------------------------------------------------
def test_every_repository_is_crawled_and_said_on_screen(demo: str) -> None:
    rows = {row.name: row for row in Repository.objects.all()}
    assert set(rows) == {planned.name for planned in REPOSITORIES}
    for name, row in rows.items():
        assert row.state == Repository.State.OK, row.message
        assert row.is_demo
        assert row.model_count >= 1
        assert row.description
        assert re.search(rf"{re.escape(name)}: crawled in .*models?", demo)


def test_a_version_that_was_taken_back_is_still_told(demo: str) -> None:
    version = Version.objects.get(artifact__name="card-fraud", name="v2.1.0")
    assert not version.is_active
    kinds = Event.objects.filter(artifact__name="card-fraud", version="v2.1.0")
    assert Event.Kind.DEREGISTRATION in set(kinds.values_list("kind", flat=True))


def test_a_stage_moved_back_once(demo: str) -> None:
    moves = list(
        Event.objects.filter(
            artifact__name="churn", kind=Event.Kind.ASSIGNMENT, stage="prod"
        )
        .order_by("at_key")
        .values_list("version", flat=True)
    )
    assert moves[2:4] == ["v2.0.0", "v1.1.0"]
    holder = StageHolder.objects.get(artifact__name="churn", stage="prod")
    assert holder.version.name == moves[-1]


def test_models_are_retired_unregistered_unannotated_and_in_directories(
    demo: str,
) -> None:
    artifacts = {row.name: row for row in Artifact.objects.all()}
    assert not artifacts["fraud-rules"].is_active
    assert not artifacts["pd-scorecard-2019"].is_active
    assert not artifacts["query-encoder"].is_registered
    assert artifacts["query-encoder"].is_annotated
    assert artifacts["receipt-ocr"].is_registered
    assert not artifacts["receipt-ocr"].is_annotated
    assert {"stores:demand-forecast", "warehouse:demand-forecast"} <= set(artifacts)
    types = {row.type for row in artifacts.values()}
    assert {"model", "dataset", "prompt"} <= types


def test_several_versions_hold_a_stage_where_the_reading_is_kanban(demo: str) -> None:
    repository = Repository.objects.get(name="demo/search-ranking")
    assert repository.reading == "kanban"
    prod = StageHolder.objects.filter(artifact__name="ranker", stage="prod")
    assert prod.count() >= 2


def test_the_broken_file_is_a_problem_with_its_place_and_harms_nothing_else(
    demo: str,
) -> None:
    problem = Problem.objects.get(path="promotions/dvc.yaml")
    assert problem.line is not None
    assert problem.repository.name == "demo/demand-forecast"
    assert Artifact.objects.get(name="promotions:uplift").latest_version == "v0.2.0"
    others = Problem.objects.exclude(pk=problem.pk)
    assert {row.repository.name for row in others} <= {"demo/document-ocr"}


def test_a_second_run_changes_nothing(demo: str) -> None:
    before = sorted(Event.objects.values_list("tag_id", flat=True))
    assert run("demo").count("nothing new") == len(REPOSITORIES)
    assert sorted(Event.objects.values_list("tag_id", flat=True)) == before
    assert Repository.objects.count() == len(REPOSITORIES)


def test_removing_it_leaves_only_what_is_not_demo(demo: str, tmp_path: Path) -> None:
    mine = Repository.objects.create(
        name="mine/own", url="https://git.example.com/own", added_at=timezone.now()
    )
    assert f"Removed {len(REPOSITORIES)}" in run("demo", "--remove")
    assert list(Repository.objects.all()) == [mine]
    assert not Artifact.objects.exists()
    assert not (tmp_path / "demo").exists()
    assert not list((tmp_path / "mirrors").glob("*"))
    assert "There is no demo" in run("demo", "--remove")


def test_a_repository_of_yours_with_a_name_of_the_demo_is_left_alone(
    settings: Settings, tmp_path: Path, db: None
) -> None:
    settings.MUSTER_DATA = tmp_path
    url = "https://git.example.com/churn"
    Repository.objects.create(
        name=REPOSITORIES[0].name, url=url, added_at=timezone.now()
    )
    with pytest.raises(CommandError, match="A repository of yours is named"):
        run("demo")
    assert Repository.objects.get().url == url


def test_the_demo_is_refused_in_plain_words_where_folders_are_not_allowed(
    settings: Settings, tmp_path: Path, db: None
) -> None:
    settings.MUSTER_DATA = tmp_path
    settings.MUSTER_ALLOW_LOCAL = False
    with pytest.raises(CommandError, match="MUSTER_ALLOW_LOCAL"):
        run("demo")


def test_a_folder_that_cannot_be_written_is_named(
    settings: Settings, tmp_path: Path, db: None
) -> None:
    settings.MUSTER_DATA = tmp_path
    (tmp_path / "demo").write_text("a file in the way")
    with pytest.raises(CommandError, match="demo"):
        run("demo")
