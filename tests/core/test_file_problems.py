"""What registry files are told of, word by word, with the place of each problem; and
at the edges of what still counts."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from indexer.core.artifact_files import (
    MAX_DESCRIPTION,
    MAX_LABELS,
    MAX_PATH,
    MAX_PROBLEMS,
    Config,
    FileAnnotations,
    parse_artifacts_yaml,
    parse_config,
    parse_config_file,
    parse_dvc_yaml,
    parse_file,
)
from indexer.core.registry import MAX_NAME
from indexer.core.snapshot import Document, FileRef, Json, Problem

NAME = "A name is letters, digits, - _ / and starts and ends with a letter or digit;"
LONG = "m" * 61


def old(value: Json) -> FileAnnotations | Config:
    return parse_artifacts_yaml(value)


def new(value: Json) -> FileAnnotations | Config:
    return parse_dvc_yaml("sub/dvc.yaml", value)


def entry(value: Json) -> FileAnnotations | Config:
    return new({"artifacts": {"m": value}})


Parse = Callable[[Json], FileAnnotations | Config]
Told = tuple[Parse, Json, str, str, str]


def told(parse: Parse, value: Json, code: str, words: str, artifact: str) -> Told:
    """A file's value, and the problem it is told of, at which artifact."""
    return parse, value, code, words, artifact


PROBLEMS = {
    "no mapping: nothing": told(
        old,
        None,
        "file-wrong-shape",
        "artifacts.yaml must be a mapping and is empty.",
        "",
    ),
    "no mapping: a list": told(
        new,
        [],
        "file-wrong-shape",
        "sub/dvc.yaml must be a mapping and is a list.",
        "",
    ),
    "no mapping: text": told(
        parse_config,
        "x",
        "file-wrong-shape",
        ".gto must be a mapping and is text.",
        "",
    ),
    "no mapping: a number": told(
        new,
        {"artifacts": 1.5},
        "file-wrong-shape",
        "`artifacts` in sub/dvc.yaml must be a mapping of names and is a number.",
        "",
    ),
    "no mapping: a truth value": told(
        new,
        {"artifacts": False},
        "file-wrong-shape",
        "`artifacts` in sub/dvc.yaml must be a mapping of names and is true or false.",
        "",
    ),
    "an entry that is none": told(
        old,
        {"m": 1},
        "file-wrong-shape",
        "The entry of artifact m must be a mapping and is a number; the artifact is"
        " left out.",
        "m",
    ),
    "an entry of a dvc.yaml that is none": told(
        entry,
        None,
        "file-wrong-shape",
        "The entry of artifact sub:m must be a mapping and is empty; the artifact is"
        " left out.",
        "sub:m",
    ),
    "a name that is none": told(
        old,
        {"-": {}},
        "bad-artifact-name",
        f"artifacts.yaml names an artifact “-”. {NAME} rename it.",
        "",
    ),
    "a name that is none and long": told(
        new,
        {"artifacts": {LONG + "!": {}}},
        "bad-artifact-name",
        f"sub/dvc.yaml names an artifact “sub:{LONG[:56]}…”. {NAME} rename it.",
        "",
    ),
    "a name that is too long": told(
        old,
        {"m" * (MAX_NAME + 1): {}},
        "name-too-long",
        f"The name of artifact {LONG[:60]}… is longer than {MAX_NAME} characters.",
        "",
    ),
    "a key of another kind": told(
        entry,
        {"type": {}},
        "annotation-wrong-type",
        "`type` of artifact sub:m must be text and is a mapping; it is left out.",
        "sub:m",
    ),
    "a description of another kind": told(
        entry,
        {"desc": []},
        "annotation-wrong-type",
        "`desc` of artifact sub:m must be text and is a list; it is left out.",
        "sub:m",
    ),
    "a type that is too long": told(
        old,
        {"m": {"type": "t" * (MAX_NAME + 1)}},
        "annotation-too-long",
        f"`type` of artifact m is longer than {MAX_NAME} characters; it is left out.",
        "m",
    ),
    "a path that is too long": told(
        entry,
        {"path": "p" * (MAX_PATH + 1)},
        "annotation-too-long",
        f"`path` of artifact sub:m is longer than {MAX_PATH} characters; it is left"
        " out.",
        "sub:m",
    ),
    "a description that is too long": told(
        entry,
        {"desc": "d" * (MAX_DESCRIPTION + 1)},
        "annotation-too-long",
        f"`desc` of artifact sub:m is longer than {MAX_DESCRIPTION} characters; the"
        " rest is left out.",
        "sub:m",
    ),
    "labels that are no list": told(
        entry,
        {"labels": "a"},
        "annotation-wrong-type",
        "`labels` of artifact sub:m must be a list and is text; they are left out.",
        "sub:m",
    ),
    "too many labels": told(
        entry,
        {"labels": ["a"] * (MAX_LABELS + 1)},
        "annotation-too-long",
        f"Artifact sub:m has more than {MAX_LABELS} labels; the rest is left out.",
        "sub:m",
    ),
    "a label of another kind": told(
        entry,
        {"labels": [True]},
        "annotation-wrong-type",
        "A label of artifact sub:m must be text and is true or false; it is left out.",
        "sub:m",
    ),
    "a label that is too long": told(
        entry,
        {"labels": ["l" * (MAX_NAME + 1)]},
        "annotation-too-long",
        f"A label of artifact sub:m is longer than {MAX_NAME} characters; it is left"
        " out.",
        "sub:m",
    ),
    "a truth value that is none": told(
        old,
        {"m": {"virtual": "maybe"}},
        "annotation-wrong-type",
        "`virtual` of artifact m must be true or false and is text; true is taken.",
        "m",
    ),
    "a path out of the repository": told(
        entry,
        {"path": "../.."},
        "annotation-path-outside",
        "`path` of artifact sub:m leads out of the repository; it is left out.",
        "sub:m",
    ),
    "a key of .gto that gto does not know": told(
        parse_config,
        {"Stagez": []},
        "bad-gto-config",
        "gto knows no key “stagez” in .gto and refuses the file.",
        "",
    ),
    "another index": told(
        parse_config,
        {"index": "models.yaml"},
        "index-elsewhere",
        "`index` in .gto names another file for artifacts.yaml, which is not read here;"
        " name artifacts in artifacts.yaml or a dvc.yaml.",
        "",
    ),
    "stages that are no list": told(
        parse_config,
        {"stages": {}},
        "bad-gto-config",
        "`stages` in .gto must be a list of names and is a mapping; gto refuses the"
        " file. All are allowed here.",
        "",
    ),
    "a type of .gto that is no name": told(
        parse_config,
        {"types": ["t" * 61 + "!"]},
        "bad-gto-config",
        f"`types` in .gto lists “{'t' * 60}”, which is no name: letters, digits, - _ /"
        " and a letter or digit at both ends. gto refuses the file.",
        "",
    ),
    "a stage of .gto that is no text": told(
        parse_config,
        {"stages": [None]},
        "bad-gto-config",
        "`stages` in .gto lists “empty”, which is no name: letters, digits, - _ / and a"
        " letter or digit at both ends. gto refuses the file.",
        "",
    ),
    "a stage of .gto that is too long": told(
        parse_config,
        {"stages": ["s" * (MAX_NAME + 1)]},
        "bad-gto-config",
        f"`stages` in .gto lists “{'s' * 60}”, which is no name: letters, digits, - _ /"
        " and a letter or digit at both ends. gto refuses the file.",
        "",
    ),
}
PATHS: dict[Parse, str] = {
    old: "artifacts.yaml",
    new: "sub/dvc.yaml",
    entry: "sub/dvc.yaml",
}


@pytest.mark.parametrize("name", PROBLEMS)
def test_a_file_problem_says_what_is_wrong_and_where(name: str) -> None:
    parse, value, code, words, artifact = PROBLEMS[name]
    (problem,) = parse(value).problems
    path = PATHS.get(parse, ".gto")
    assert problem == Problem(code, words, artifact=artifact, path=path)


def test_what_is_just_short_enough_counts() -> None:
    value: Json = {
        "m" * MAX_NAME: {
            "type": "t" * MAX_NAME,
            "labels": ["l" * MAX_NAME] * MAX_LABELS,
            "description": "d" * MAX_DESCRIPTION,
        }
    }
    found = parse_artifacts_yaml(value)
    assert found.problems == ()
    (note,) = found.annotations.values()
    assert (note.type, len(note.labels)) == ("t" * MAX_NAME, MAX_LABELS)
    config = parse_config({"stages": ["s" * MAX_NAME]})
    assert (config.stages, config.problems) == (("s" * MAX_NAME,), ())


def test_a_bad_entry_is_passed_over_and_the_next_one_read() -> None:
    entries: Json = {"-": {}, "a": 1, "b": {}, "c": {"type": 1}, "d": {}}
    found = parse_artifacts_yaml(entries)
    assert list(found.annotations) == ["b", "c", "d"]
    assert [problem.artifact for problem in found.problems] == ["", "a", "c"]
    found = parse_dvc_yaml("dvc.yaml", {"artifacts": entries})
    assert list(found.annotations) == ["b", "c", "d"]
    assert [problem.artifact for problem in found.problems] == ["", "a", "c"]
    found = parse_artifacts_yaml({"m": {"labels": ["a", 1, "b", "l" * 256, "c"]}})
    assert found.annotations["m"].labels == ("a", "b", "c")
    config = parse_config({"types": ["a", "-", "a", 3, "b"]})
    assert (config.types, len(config.problems)) == (("a", "b"), 2)


def test_an_entry_that_says_nothing_is_empty() -> None:
    (note,) = parse_dvc_yaml("dvc.yaml", {"artifacts": {"m": {}}}).annotations.values()
    assert (note.path, note.type, note.description) == ("", "", "")
    assert (note.labels, note.meta, note.gto) == ((), None, None)


YES: tuple[Json, ...] = (True, 1, 1.0, "1", "on", "T", "TRUE", "y", "Yes")
NO: tuple[Json, ...] = (False, 0, 0.0, "0", "Off", "f", "n", "NO")
NEITHER: tuple[Json, ...] = ("2", 2, -1, None, [], "")


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        *((word, True) for word in (*YES, *NEITHER)),
        *((word, False) for word in NO),
    ],
)
def test_virtual_is_read_as_gto_reads_it(value: Json, expected: bool) -> None:
    found = parse_artifacts_yaml({"m": {"virtual": value}})
    gto = found.annotations["m"].gto
    assert isinstance(gto, dict)
    assert gto["virtual"] is expected


@pytest.mark.parametrize(
    ("path", "from_root"),
    [
        ("..", "."),
        ("../..x", "..x"),
        ("..x", "sub/..x"),
        ("a/../..", "."),
        ("../..", None),
        ("../../x", None),
    ],
)
def test_a_path_may_lead_up_to_the_root_and_no_further(
    path: str, from_root: str | None
) -> None:
    found = parse_dvc_yaml("sub/dvc.yaml", {"artifacts": {"m": {"path": path}}})
    outside = [problem.code for problem in found.problems]
    assert outside == ([] if from_root else ["annotation-path-outside"])
    assert found.annotations["sub:m"].path == (from_root or "")


KEYS = (
    *("index", "config_file_name", "log_level", "debug", "emojis"),
    *("types", "stages", "enrichments", "autoload_enrichments"),
)


@pytest.mark.parametrize("key", KEYS)
def test_gto_knows_the_key_in_any_case(key: str) -> None:
    value: Json = "artifacts.yaml" if key == "index" else None
    for written in (key, key.upper(), key.title()):
        assert parse_config({written: value}) == Config()


def file(path: str) -> FileRef:
    return FileRef(path, "b")


def test_a_file_that_is_missing_or_unreadable_says_so() -> None:
    missing = "The file was not read; crawl the repository again."
    for path in ("artifacts.yaml", "sub/dvc.yaml", ".gto"):
        for document, words, line in (
            (None, missing, None),
            (Document("b", problem="A bad key.", line=3), "A bad key.", 3),
        ):
            known = {"b": document} if document else {}
            found: FileAnnotations | Config = parse_file(file(path), known)
            if path == ".gto":
                assert found == FileAnnotations()
                found = parse_config_file(file(path), known)
                assert (found.stages, found.types) == (None, None)
            expected = Problem("unreadable-file", words, path=path, line=line)
            assert found.problems == (expected,)


def test_each_file_is_read_by_its_name() -> None:
    value: Json = {"m": {}, "artifacts": {"n": {}}}
    known = {"b": Document("b", value)}
    read = {
        path: list(parse_file(file(path), known).annotations)
        for path in ("artifacts.yaml", "dvc.yaml", "a/dvc.yaml", ".gto", "a/x.yaml")
    }
    assert read == {
        "artifacts.yaml": ["m", "artifacts"],
        "dvc.yaml": ["n"],
        "a/dvc.yaml": ["a:n"],
        ".gto": [],
        "a/x.yaml": [],
    }
    known = {"b": Document("b", {"stages": ["dev"]})}
    assert parse_config_file(file(".gto"), known).stages == ("dev",)


@pytest.mark.parametrize("count", [MAX_PROBLEMS, MAX_PROBLEMS + 1])
def test_from_one_too_many_on_the_last_problem_counts_the_rest(count: int) -> None:
    bad: Json = {f"-{number}": 1 for number in range(count)}
    for path, value in (
        ("artifacts.yaml", bad),
        ("sub/dvc.yaml", {"artifacts": bad}),
        (".gto", bad),
    ):
        known = {"b": Document("b", value)}
        problems = (
            parse_config_file(file(path), known).problems
            if path == ".gto"
            else parse_file(file(path), known).problems
        )
        assert len(problems) == count
        more = Problem("more-problems", f"{path} has 1 more problems.", path=path)
        assert (problems[-1] == more) is (count > MAX_PROBLEMS)
