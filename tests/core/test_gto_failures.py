"""Where gto fails for the whole repository, or is wrong: each case once, with the real
gto failing on it, and our answer: everything else is there, and a problem says what."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from indexer.core import gto_json
from indexer.core.registry import Reading, RegistryState
from indexer.core.snapshot import Person
from indexer.core.state import build_state
from tests.core.histories import START, Commit, History, Tag, write_repository
from tests.core.oracle import READINGS, ask_gto
from tests.core.reading import read_repository

Case = tuple[History, str, Callable[[RegistryState], bool]]

MODEL = {"artifacts.yaml": "m: {type: model}\n"}
ONE = (Commit(),)
TWO = (Commit(files={"a": "1"}), Commit(files={"a": "2"}))
GOOD = Tag("good@v1.0.0")


def history_of(*tags: Tag, commits: tuple[Commit, ...] = ONE) -> History:
    return History(commits, (GOOD, *tags))


def tagger(line: str | bytes) -> Tag:
    raw = line if isinstance(line, bytes) else line.encode()
    return Tag("m@v1.0.0", raw_tagger=b"tagger " + raw + b"\n")


def registered(state: RegistryState, name: str = "m") -> bool:
    return state.artifacts[name].versions[0].is_registered


def with_date(seconds: int | None) -> Callable[[RegistryState], bool]:
    def check(state: RegistryState) -> bool:
        at = state.artifacts["m"].versions[0].created_at
        return registered(state) and (at.seconds if at else None) == seconds

    return check


def by(name: str, email: str) -> Callable[[RegistryState], bool]:
    def check(state: RegistryState) -> bool:
        (event,) = state.artifacts["m"].events
        return registered(state) and event.author == Person(name, email)

    return check


def absent(state: RegistryState) -> bool:
    return "m" not in state.artifacts


def yaml_case(content: str, code: str, *, old: bool = False) -> Case:
    files = {"artifacts.yaml": content}
    first = Commit(files=files)
    commits = (first, Commit(files=MODEL)) if old else (first,)
    return history_of(commits=commits), code, lambda state: "good" in state.artifacts


CASES: dict[str, Case] = {
    "T2 m@created, a plain legal name": (
        history_of(Tag("m@created")),
        "",
        absent,
    ),
    "P9 a counter of 4,301 digits": (
        history_of(Tag("m#prod#" + "1" * 4301), Tag("m@v1.0.0")),
        "",
        lambda state: state.artifacts["m"].stages["prod"][0].version == "v1.0.0",
    ),
    "T5 an inner tag name that is no GTO name": (
        history_of(Tag("m@v1.0.0", name="whatever")),
        "tag-name-differs",
        absent,
    ),
    "T1 a tag without a tagger": (
        history_of(Tag("m@v1.0.0", raw_tagger=b"")),
        "tag-without-tagger",
        with_date(None),
    ),
    "T1 an empty tagger": (
        history_of(tagger("")),
        "tag-without-date",
        with_date(None),
    ),
    "T1 a tagger without a name": (
        history_of(tagger(f"<x@y> {START} +0000")),
        "tag-flaw",
        by("", "x@y"),
    ),
    "T1 a tagger with an empty e-mail": (
        history_of(tagger(f"Bob <> {START} +0000")),
        "tag-flaw",
        by("Bob", ""),
    ),
    "T1 a tagger without an e-mail": (
        history_of(tagger(f"Bob {START} +0000")),
        "tag-without-date",
        with_date(None),
    ),
    "T1 latin-1 in a name": (
        history_of(tagger("José <j@x> ".encode("latin-1") + b"1600000000 +0000")),
        "tag-flaw",
        by("Jos\ufffd", "j@x"),
    ),
    "T1 latin-1 in a message": (
        history_of(Tag("m@v1.0.0", raw_message="é".encode("latin-1"))),
        "tag-flaw",
        lambda state: state.artifacts["m"].versions[0].message == "\ufffd",
    ),
    "T1 time zone +2500": (
        history_of(Tag("m@v1.0.0", zone="+2500")),
        "tag-flaw",
        with_date(START),
    ),
    "T1 time zone +9999": (
        history_of(Tag("m@v1.0.0", zone="+9999")),
        "tag-flaw",
        with_date(START),
    ),
    "T1 time zone UTC": (
        history_of(Tag("m@v1.0.0", zone="UTC")),
        "tag-flaw",
        with_date(START),
    ),
    "T1 no time zone": (
        history_of(tagger(f"Bob <b@x> {START}")),
        "tag-flaw",
        with_date(START),
    ),
    "T1 a float for a date": (
        history_of(tagger("Bob <b@x> 1600000000.5 +0000")),
        "tag-without-date",
        with_date(None),
    ),
    "T1 year 10000": (
        history_of(Tag("m@v1.0.0", seconds=253402300800)),
        "tag-without-date",
        with_date(None),
    ),
    "T1 a date of 2**63": (
        history_of(Tag("m@v1.0.0", seconds=2**63)),
        "tag-without-date",
        with_date(None),
    ),
    "T1 before year 1": (
        history_of(Tag("m@v1.0.0", seconds=-(10**12))),
        "tag-without-date",
        with_date(None),
    ),
    "T6 a GTO tag on a blob": (
        history_of(Tag("m@v1.0.0", target_type="blob")),
        "tag-not-on-commit",
        absent,
    ),
    "T6 a GTO tag on a tree": (
        history_of(Tag("m#prod", target_type="tree")),
        "tag-not-on-commit",
        absent,
    ),
    "two versions on one commit and a stage": (
        history_of(
            Tag("m@v1.0.0", seconds=START),
            Tag("m@v2.0.0", seconds=START + 10),
            Tag("m#dev", seconds=START + 5),
            Tag("m#prod", seconds=START + 15),
        ),
        "several-versions-on-commit",
        lambda state: (
            state.artifacts["m"].stages["prod"][0].version == "v2.0.0"
            and state.artifacts["m"].stages["dev"][0].version == "v1.0.0"
        ),
    ),
    "two versions on the head and an annotation there": (
        history_of(Tag("m@v1.0.0"), Tag("m@v2.0.0"), commits=(Commit(files=MODEL),)),
        "",
        lambda state: len(state.artifacts["m"].versions) == 2,
    ),
    "an empty artifacts.yaml": yaml_case("", "file-wrong-shape"),
    "a list for artifacts.yaml": yaml_case("- m\n", "file-wrong-shape"),
    "a foreign artifacts.yaml": yaml_case(
        "charts: [a, b]\nversion: 3\n", "file-wrong-shape"
    ),
    "a malformed artifacts.yaml": yaml_case("m: {type: [\n", "unreadable-file"),
    "a malformed artifacts.yaml at an old commit": yaml_case(
        "m: {type: [\n", "unreadable-file", old=True
    ),
    "an invalid name in artifacts.yaml": yaml_case(
        "bad name!: {}\nm: {}\n", "bad-artifact-name"
    ),
    "a number for a description": yaml_case(
        "m: {description: 1}\n", "annotation-wrong-type"
    ),
    "a bad .gto": (
        history_of(commits=(Commit(files={".gto": "stages: ['no good!', dev]\n"}),)),
        "bad-gto-config",
        lambda state: state.stage_order == ("dev",),
    ),
    "a tagger without a space before the e-mail": (
        history_of(tagger(f"Ada<a@x> {START} +0000")),
        "",
        by("Ada", "a@x"),
    ),
    "an index in .gto that is no path": (
        history_of(commits=(Commit(files={".gto": "INDEX: 3\n"}),)),
        "index-elsewhere",
        lambda state: not state.has_stage_list,
    ),
    "a .gto that is no mapping": (
        history_of(commits=(Commit(files={".gto": "- dev\n"}),)),
        "file-wrong-shape",
        lambda state: not state.has_stage_list,
    ),
    "a .gto with a key that gto does not know": (
        history_of(commits=(Commit(files={".gto": "stagez: [dev]\n"}),)),
        "bad-gto-config",
        lambda state: not state.has_stage_list,
    ),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_gto_fails_and_we_show_a_problem_beside_the_rest(
    case: Case, tmp_path: Path
) -> None:
    history, code, check = case
    path = write_repository(tmp_path / "repository", history)
    with pytest.raises(Exception), ask_gto(path) as gto:  # noqa: B017, PT011
        gto.show()  # it fails in its own way each time; that it fails is the point
    state = build_state(read_repository(path))
    assert registered(state, "good")
    assert check(state)
    codes = {problem.code for problem in state.problems}
    assert codes == ({code} if code else set())
    json.dumps(gto_json.show_registry(state), allow_nan=False).encode()
    json.dumps(gto_json.history(state), allow_nan=False).encode()
    for name in state.artifacts:
        json.dumps(gto_json.show_artifact(state, name), allow_nan=False).encode()


def test_T3_a_date_before_1970_is_that_date_exactly(tmp_path: Path) -> None:
    history = history_of(Tag("m@v1.0.0", seconds=-86400))
    state = build_state(
        read_repository(write_repository(tmp_path / "repository", history))
    )
    created = state.artifacts["m"].versions[0].created_at
    assert created is not None
    assert created.utc.isoformat() == "1969-12-31T00:00:00+00:00"
    assert state.problems == ()


def test_T8_digits_of_other_scripts_are_no_version(tmp_path: Path) -> None:
    history = History(ONE, (Tag("m@v1٢.0.0"),))
    path = write_repository(tmp_path / "repository", history)
    with ask_gto(path) as gto:
        assert "v1\\u0662.0.0" in gto.show()  # gto takes it for a version
    assert build_state(read_repository(path)).artifacts == {}


def test_gto_ignores_an_unassignment_on_an_unregistered_commit_and_we_do_not(
    tmp_path: Path,
) -> None:
    history = History(
        ONE,
        (
            Tag("m#prod", seconds=START + 1),
            Tag("m#dev", seconds=START + 2),
            Tag("m#prod!", seconds=START + 3),
        ),
    )
    path = write_repository(tmp_path / "repository", history)
    state = build_state(read_repository(path))
    commit_id = state.artifacts["m"].versions[0].name
    with ask_gto(path) as gto:
        theirs = json.loads(gto.show())["m"]["stage"]
    assert theirs == {"dev": commit_id, "prod": commit_id}
    ours = gto_json.show_registry(state)["m"]
    assert isinstance(ours, dict)
    assert ours["stage"] == {"dev": commit_id}


def test_gto_lists_an_unregistered_commit_twice_for_each_stage_and_we_once(
    tmp_path: Path,
) -> None:
    history = History(ONE, (Tag("m#prod", seconds=START + 1),))
    path = write_repository(tmp_path / "repository", history)
    state = build_state(read_repository(path))
    with ask_gto(path) as gto:
        theirs = json.loads(gto.show("m"))
    assert len(theirs) == 2
    assert gto_json.show_artifact(state, "m") == theirs[:1]


def test_kanban_gives_a_commit_without_a_version_one_stage_and_gto_each(
    tmp_path: Path,
) -> None:
    # Of one second the stage of the tag whose name comes first.
    history = History(
        ONE, (Tag("m#prod#1"), Tag("m#dev#2"), Tag("m#a", seconds=START + 1))
    )
    path = write_repository(tmp_path / "repository", history)
    state = build_state(read_repository(path), reading=Reading.KANBAN)
    with ask_gto(path) as gto:
        theirs = json.loads(gto.show(**READINGS[Reading.KANBAN]))["m"]["stage"]
    with ask_gto(path, mended=True) as gto:
        mended = json.loads(gto.show(**READINGS[Reading.KANBAN]))["m"]["stage"]
    assert None not in theirs.values()
    ours = gto_json.show_registry(state)["m"]
    assert isinstance(ours, dict)
    assert (
        ours["stage"]
        == mended
        == {
            "a": None,
            "dev": state.artifacts["m"].versions[0].name,
            "prod": None,
        }
    )


PEOPLE = {
    # As written: what gto tells of a tagger, and of a commit's author.
    " Ada  <a@x>": ((" Ada ", "a@x"), ("Ada", "a@x"), ("Ada", "a@x")),
    "Ada < a@x >": (("Ada", " a@x "), ("Ada", "a@x"), ("Ada", "a@x")),
    ",'Ada'; <a@x>": ((",'Ada';", "a@x"), ("Ada", "a@x"), (",'Ada';", "a@x")),
    "Ada <'a@x'>": (("Ada", "'a@x'"), ("Ada", "a@x"), ("Ada", "'a@x'")),
    "Ada <b@y> <a@x>": (
        ("Ada <b@y>", "a@x"),
        ("Ada <b@y", "a@x"),
        ("Ada <b@y>", "a@x"),
    ),
}


@pytest.mark.parametrize("written", PEOPLE)
def test_spaces_around_a_person_go_and_punctuation_stays(
    written: str, tmp_path: Path
) -> None:
    tagger, author, ours = PEOPLE[written]
    history = History((Commit(author=written),), (Tag("m@v1.0.0", tagger=written),))
    path = write_repository(tmp_path / "repository", history)
    with ask_gto(path) as gto:
        (shown,) = json.loads(gto.show("m"))
    assert (shown["author"], shown["author_email"]) == tagger
    commit = shown["enrichments"][0]
    assert (commit["author"], commit["author_email"]) == author
    (entry,) = gto_json.show_artifact(build_state(read_repository(path)), "m")
    assert isinstance(entry, dict)
    assert (entry["author"], entry["author_email"]) == ours
    assert entry["enrichments"][0]["author"] == ours[0]  # type: ignore[index, call-overload]


@pytest.mark.parametrize("index", ["other.yaml", "sub/x.yaml", "/etc/passwd"])
def test_another_index_in_the_config_is_a_problem_and_not_read(
    index: str, tmp_path: Path
) -> None:
    files = {**MODEL, ".gto": f"INDEX: {index}\n", "other.yaml": "o: {type: data}\n"}
    path = write_repository(tmp_path / "repository", History((Commit(files=files),)))
    with ask_gto(path) as gto:
        assert gto.artifacts() == (["o"] if index == "other.yaml" else [])
    state = build_state(read_repository(path))
    assert list(state.artifacts) == ["m"]
    assert [problem.code for problem in state.problems] == ["index-elsewhere"]


def test_F_P6_a_sha256_repository_is_read_where_gto_fails(tmp_path: Path) -> None:
    def git(*words: str) -> None:
        subprocess.run(
            ["git", "-C", str(tmp_path), *words],
            check=True,
            capture_output=True,
            env={
                "PATH": "/usr/local/bin:/usr/bin:/bin",
                "HOME": str(tmp_path),
                "GIT_AUTHOR_NAME": "Ada",
                "GIT_AUTHOR_EMAIL": "ada@example.org",
                "GIT_COMMITTER_NAME": "Ada",
                "GIT_COMMITTER_EMAIL": "ada@example.org",
            },
        )

    git("init", "-q", "--object-format=sha256", "-b", "main")
    git("commit", "-q", "--allow-empty", "-m", "Train")
    git("tag", "-a", "-m", "Say so", "m@v1.0.0")
    git("tag", "-a", "-m", "Say so", "m#prod#1")
    with pytest.raises(Exception), ask_gto(tmp_path) as gto:  # noqa: B017, PT011
        gto.show()
    state = build_state(read_repository(tmp_path))
    (version,) = state.artifacts["m"].versions
    assert len(version.commit_id) == 64
    assert version.stages == ("prod",)
    assert state.problems == ()
