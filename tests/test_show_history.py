"""`manage.py show` and `manage.py history`: gto's JSON from the index.

The rows come from a real repository, read by the real reader; the other side is the
real gto on the same repository."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gto.api
import pytest
from django.core.management import call_command
from django.core.management.base import CommandError
from gto.constants import VersionSort

from indexer.models import Repository
from tests.builders import (
    BOB,
    HOUR,
    START,
    History,
    ingest_history,
    ingest_snapshot,
    make_repository,
)
from tests.core import histories
from tests.core.reading import read_repository

ROOT = Path(__file__).resolve().parent.parent


def run(command: str, *arguments: str) -> str:
    """What the command prints."""
    out = io.StringIO()
    call_command(command, *arguments, stdout=out)
    return out.getvalue()


def run_json(command: str, *arguments: str) -> Any:
    """What the command prints with --json, read strictly."""

    def fail(constant: str) -> None:
        raise AssertionError(f"{constant} is no JSON")

    return json.loads(run(command, *arguments, "--json"), parse_constant=fail)


def as_json(value: Any) -> Any:
    """gto's answer as its command line prints it."""
    return json.loads(json.dumps(value, default=lambda at: at.isoformat()))


class Git:
    """A real repository that grows."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.clock = START
        path.mkdir()
        self("init", "-q", "-b", "main")
        self.write("artifacts.yaml", "churn:\n  path: churn.pkl\n  type: model\n")

    def __call__(self, *arguments: str) -> None:
        who = {
            f"GIT_{role}_{what}": value
            for role in ("AUTHOR", "COMMITTER")
            for what, value in (
                ("NAME", "Alice"),
                ("EMAIL", "alice@example.com"),
                ("DATE", f"{self.clock} +0200"),
            )
        }
        subprocess.run(
            ["git", "-c", "tag.gpgSign=false", *arguments],
            cwd=self.path,
            check=True,
            env={**who, "PATH": "/usr/bin:/bin", "HOME": str(self.path)},
        )

    def write(self, name: str, text: str) -> None:
        self.clock += HOUR
        (self.path / name).write_text(text, encoding="utf-8")
        self("add", "-A")
        self("commit", "-q", "--allow-empty", "-m", f"Write {name}")

    def tag(self, name: str) -> None:
        self.clock += HOUR
        self("tag", "-a", "-m", f"Tag {name}", name)


@pytest.fixture
def crawled(
    transactional_db: None, tmp_path: Path, settings: Any
) -> tuple[Repository, Path]:
    """A repository with most of what gto knows, crawled."""
    from indexer.crawl import crawl_repository

    settings.MUSTER_ALLOW_LOCAL = True
    settings.MUSTER_DATA = tmp_path / "data"
    git = Git(tmp_path / "origin")
    git.tag("churn@v1.0.0")
    git.write("more", "1")
    git.tag("churn@v2.0.0")
    git.tag("churn#prod#1")
    git.write("more", "2")
    git.tag("churn@v1.5.0")
    git.tag("churn#prod#2")
    git.tag("churn#dev#3")
    git.write("more", "3")
    git.tag("models/cv=net#staging#1")
    git.tag("old@v0.1.0")
    git.tag("old@deprecated")
    git.write("more", "4")
    git.tag("churn@v3.0.0")
    git.tag("churn@v3.0.0!")
    git.write(
        "dvc.yaml", "artifacts:\n  extra:\n    path: extra.pkl\n    type: model\n"
    )
    repository = make_repository("acme/churn", url=str(git.path), requested_seq=1)
    crawl_repository(repository.pk)
    repository.refresh_from_db()
    assert repository.state == "ok", repository.message
    return repository, git.path


OPTIONS: list[tuple[list[str], dict[str, Any]]] = [
    ([], {}),
    (["-d"], {"deprecated": True}),
    (["--ro"], {"registered_only": True}),
    (["--sort", "semver"], {"sort": VersionSort.SemVer}),
    (["--vs", "-1"], {"versions_per_stage": -1}),
    (
        ["--vs", "-1", "--av", "1"],
        {"versions_per_stage": -1, "assignments_per_version": 1},
    ),
]


def test_the_answers_are_those_of_gto_itself(
    crawled: tuple[Repository, Path],
) -> None:
    repository, path = crawled
    for options, arguments in OPTIONS:
        ours = run_json("show", repository.name, "--gto", *options)
        assert ours == as_json(gto.api.show(str(path), **arguments)), options
        assert list(ours) == list(gto.api.show(str(path), **arguments)), options
        for name in ("churn", "churn@latest", "churn@v1.5.0", "churn#prod", "old"):
            versions = run_json("show", repository.name, name, "--gto", *options)
            theirs = as_json(gto.api.show(str(path), name, **arguments))
            assert versions == theirs, (name, options)
    assert run_json("history", repository.name) == as_json(gto.api.history(str(path)))
    assert run_json("history", repository.name, "churn", "--asc") == as_json(
        gto.api.history(str(path), "churn", ascending=True)
    )


def test_the_readings_are_really_told_apart(crawled: tuple[Repository, Path]) -> None:
    def prod(*options: str) -> object:
        return run_json("show", "acme/churn", *options)["churn"]["stage"]["prod"]

    assert prod() == "v1.5.0"
    assert prod("--sort", "semver") == "v2.0.0"
    assert set(str(prod("--vs", "-1")).split(", ")) == {"v1.5.0", "v2.0.0"}
    Repository.objects.update(reading="semver")
    assert prod() == "v2.0.0"  # without an option, the repository's own


def test_what_only_a_dvc_yaml_declares_comes_on_top(
    crawled: tuple[Repository, Path],
) -> None:
    everything = run_json("show", "acme/churn")
    of_gto = run_json("show", "acme/churn", "--gto")

    assert set(everything) - set(of_gto) == {"extra"}
    assert everything["extra"]["registered"] is False
    assert run_json("show", "acme/churn", "extra")[0]["artifact"] == "extra"


@pytest.fixture
def registry(db: None) -> History:
    """Two repositories that both have a churn."""
    history = (
        History(clock=START)
        .annotate(churn={"type": "model"}, draft={"type": "model"})
        .register("churn", "v1.0.0")
        .assign("churn", "prod", "v1.0.0", message="\x1b[31mred")
    )
    ingest_history("acme/churn", history)
    ingest_history(
        "beta/churn",
        History(clock=START + HOUR // 2)
        .register("churn", "v5.0.0", by=BOB)
        .assign("churn", "canary", "v5.0.0"),
    )
    return history


@pytest.mark.usefixtures("registry")
class TestAllRepositories:
    def test_each_artifact_says_its_repository_and_none_hides_another(self) -> None:
        shown = run_json("show")

        assert list(shown) == [
            "acme/churn/-/churn",
            "acme/churn/-/draft",
            "beta/churn/-/churn",
        ]
        assert shown["beta/churn/-/churn"] == {
            "repository": "beta/churn",
            "artifact": "churn",
            "version": "v5.0.0",
            "stage": {"canary": "v5.0.0"},
            "registered": True,
            "active": True,
        }

    def test_one_name_is_looked_for_everywhere(self) -> None:
        shown = run_json("show", "churn")

        assert [(one["repository"], one["version"]) for one in shown] == [
            ("acme/churn", "v1.0.0"),
            ("beta/churn", "v5.0.0"),
        ]
        assert [one["version"] for one in run_json("show", "churn#prod")] == ["v1.0.0"]

    def test_the_history_of_all_is_in_one_order(self) -> None:
        events = run_json("history")

        times = [event["timestamp"] for event in events]
        assert times == sorted(times, reverse=True)
        assert [event["repository"] for event in events] == [
            "acme/churn",
            "beta/churn",
            "acme/churn",
            "beta/churn",
        ]
        assert run_json("history", "--asc") == events[::-1]
        assert len(run_json("history", "churn")) == 4
        assert len(run_json("history", "acme/churn", "churn")) == 2


@pytest.mark.usefixtures("registry")
class TestTables:
    def test_the_registry_has_a_column_for_each_stage(self) -> None:
        head, *rows = run("show").splitlines()

        assert head.split() == ["repository", "name", "latest", "#prod", "#canary"]
        assert rows[0].split() == ["acme/churn", "churn", "v1.0.0", "v1.0.0", "-"]
        assert rows[1].split() == ["acme/churn", "*draft", "-", "-", "-"]
        assert run("show", "beta/churn").splitlines()[0].split() == [
            "name",
            "latest",
            "#canary",
        ]

    def test_a_model_has_a_line_for_each_version(self) -> None:
        head, row = run("show", "acme/churn", "churn").splitlines()

        assert head.split() == ["artifact", "version", "stage", "created_at", "ref"]
        assert row.split()[:3] == ["churn", "v1.0.0", "prod"]

    def test_the_history_names_who_and_when(self) -> None:
        head, newest, *_ = run("history", "acme/churn").splitlines()

        assert head.split()[0] == "timestamp"
        assert newest.split()[1:5] == ["churn", "assignment", "v1.0.0", "prod"]
        assert newest.endswith("Alice")


@pytest.mark.parametrize("command", ["show", "history"])
@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["no/such", "churn"], "There is no repository no/such."),
        (["nothing"], "There is no repository and no artifact nothing."),
        (["acme/churn", "nothing"], "There is no artifact nothing in acme/churn."),
        (["acme/churn", "--at", "then"], "--at is “then”; it is a time like"),
    ],
)
def test_what_is_not_there_is_said_in_one_sentence(
    registry: History, command: str, arguments: list[str], says: str
) -> None:
    with pytest.raises(CommandError, match=f"^{says.replace('.', '[.]')}"):
        run(command, *arguments)


@pytest.mark.parametrize("options", [["--vs", "3"], ["--av", "2"], ["--av", "1"]])
def test_a_reading_nobody_knows_is_refused(
    registry: History, options: list[str]
) -> None:
    with pytest.raises(CommandError, match="--vs -1 --av 1"):
        run("show", "acme/churn", *options)


def test_a_point_in_time_may_be_asked_for(registry: History) -> None:
    before = run_json("show", "acme/churn", "--at", "2025-01-01T13:30:00Z")
    after = run_json("show", "acme/churn", "--at", "2025-01-01T15:00:00+01:00")

    assert before["churn"]["stage"] == {}
    assert after["churn"]["stage"] == {"prod": "v1.0.0"}


def test_an_empty_registry_says_so(db: None) -> None:
    assert run_json("show") == {}
    assert run_json("history") == []
    assert "no GTO tag" in run("show")
    assert "no GTO tag" in run("history")


def test_X1_a_table_writes_no_escape_sequence_of_a_tag(db: None, settings: Any) -> None:
    from indexer.core.snapshot import Person

    evil = Person("\x1b]0;title\x07Mallory\x1b[2J", "")
    ingest_history("acme/churn", History().register("churn", "v1.0.0", by=evil))

    assert "\x1b" not in run("history")
    assert "Mallory" in run("history")


@pytest.mark.parametrize(
    "arguments", [["show", "nothing"], ["history", "no/such", "x"]]
)
def test_what_is_not_there_ends_with_1_and_prints_nothing(
    tmp_path: Path, arguments: list[str], manage: Callable[..., Any]
) -> None:
    found = manage(*arguments)

    assert found.returncode == 1
    assert found.stdout == ""
    assert found.stderr.count("\n") == 1


def test_a_reader_that_had_enough_is_no_error(manage: Callable[..., Any]) -> None:
    found = manage("history", shell_tail="| true")

    assert found.stderr == ""


@pytest.fixture
def manage(tmp_path: Path) -> Callable[..., Any]:
    """Runs manage.py as a person does, on an empty index of its own."""
    environment = {
        "PATH": "/usr/bin:/bin",
        "MUSTER_DATA": str(tmp_path),
        "HOME": str(tmp_path),
    }

    def run(*arguments: str, shell_tail: str = "") -> Any:
        line = f'"{sys.executable}" manage.py {" ".join(arguments)} {shell_tail}'
        return subprocess.run(  # the words are the tests' own
            ["sh", "-c", line],
            cwd=ROOT,
            env=environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    assert run("migrate", "--verbosity", "0").returncode == 0
    return run


@pytest.mark.django_db
@pytest.mark.parametrize("command", ["show", "history"])
def test_a_past_moment_names_the_tags_that_were_deleted_since(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    history = History(clock=START)
    history.register("churn", "v1.0.0").assign("churn", "prod", "v1.0.0")
    repository = ingest_history("acme/churn", history)
    ingest_history(repository, history.without("churn#prod#2"))

    run_json(command, "acme/churn", "--at", "2025-06-01")
    assert "acme/churn: Tags that stood at that time" in capsys.readouterr().err
    run_json(command, "acme/churn", "churn", "--at", "2025-06-01")
    assert "not counted: churn#prod#2." in capsys.readouterr().err
    run_json(command, "acme/churn")
    assert capsys.readouterr().err == ""


@pytest.mark.django_db
def test_a_name_that_begins_with_a_dash_stands_after_two_dashes_as_in_gto(
    tmp_path: Path,
) -> None:
    # `git tag` makes no such name, but anything else that writes a ref may.
    written = histories.History((histories.Commit(),), (histories.Tag("-=m@v1.0.0"),))
    path = histories.write_repository(tmp_path / "origin", written)
    gto_show = [sys.executable, "-c", "import gto.cli; gto.cli.app()", "show", "--json"]
    gto_show += ["-r", str(path)]
    refused = subprocess.run([*gto_show, "-:m"], capture_output=True, text=True)
    assert (refused.returncode, "No such option" in refused.stderr) == (2, True)
    shown = subprocess.run([*gto_show, "--", "-:m"], capture_output=True, check=True)

    repository = make_repository("acme/churn", url=str(path))
    ingest_snapshot(repository, read_repository(path))
    with pytest.raises(CommandError):
        run("show", "acme/churn", "-:m")
    ours = run("show", "--json", "--", "acme/churn", "-:m")
    assert json.loads(ours) == json.loads(shown.stdout)
