from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from indexer.core.artifact_files import (
    MAX_DESCRIPTION,
    MAX_LABELS,
    MAX_PATH,
    MAX_PROBLEMS,
    FileAnnotations,
    parse_artifacts_yaml,
    parse_config,
    parse_config_file,
    parse_dvc_yaml,
    parse_file,
)
from indexer.core.registry import Annotation
from indexer.core.snapshot import Document, FileRef, Json


def codes(found: FileAnnotations) -> list[tuple[str, str]]:
    return [(problem.code, problem.artifact) for problem in found.problems]


def test_artifacts_yaml_is_read_with_its_own_keys() -> None:
    found = parse_artifacts_yaml(
        {
            "churn": {
                "type": "model",
                "path": "models/churn.pkl",
                "description": "Who leaves",
                "labels": ["nlp", "two words"],
                "custom": {"a": 1},
                "virtual": False,
                "other": "ignored",
            },
            "bare": {},
        }
    )
    assert codes(found) == []
    assert list(found.annotations) == ["churn", "bare"]
    churn = found.annotations["churn"]
    assert (churn.source, churn.path) == ("artifacts.yaml", "models/churn.pkl")
    assert (churn.type, churn.description) == ("model", "Who leaves")
    assert (churn.labels, churn.meta) == (("nlp", "two words"), {"a": 1})
    assert found.annotations["bare"].gto == {
        "type": None,
        "path": None,
        "virtual": True,
        "labels": [],
        "description": "",
        "custom": None,
    }


def test_dvc_yaml_is_read_with_its_own_keys_and_names_its_folder() -> None:
    value: Json = {
        "stages": {"train": {}},
        "artifacts": {
            "churn": {
                "path": "../data/./m.pkl",
                "type": "model",
                "desc": "Who leaves",
                "labels": ["a"],
                "meta": {"framework": "torch"},
            }
        },
    }
    found = parse_dvc_yaml("models/cv/dvc.yaml", value)
    assert codes(found) == []
    assert found.annotations == {
        "models/cv:churn": Annotation(
            artifact="models/cv:churn",
            source="models/cv/dvc.yaml",
            path="models/data/m.pkl",
            type="model",
            description="Who leaves",
            labels=("a",),
            meta={"framework": "torch"},
        )
    }
    assert list(parse_dvc_yaml("dvc.yaml", value).annotations) == ["churn"]


@pytest.mark.parametrize(
    ("path", "from_root"),
    [
        ("m.pkl", "sub/m.pkl"),
        ("../m.pkl", "m.pkl"),
        ("s3://bucket/m.pkl", "s3://bucket/m.pkl"),
        ("/data/m.pkl", "/data/m.pkl"),
        ("", ""),
    ],
)
def test_a_path_in_dvc_yaml_is_relative_to_its_folder(
    path: str, from_root: str
) -> None:
    found = parse_dvc_yaml("sub/dvc.yaml", {"artifacts": {"m": {"path": path}}})
    assert codes(found) == []
    assert found.annotations["sub:m"].path == from_root


def test_a_path_out_of_the_repository_is_a_problem() -> None:
    found = parse_dvc_yaml("sub/dvc.yaml", {"artifacts": {"m": {"path": "../../x"}}})
    assert codes(found) == [("annotation-path-outside", "sub:m")]
    assert found.annotations["sub:m"].path == ""


def test_P11_bad_entries_and_keys_cost_themselves_alone() -> None:
    entries: dict[str, Json] = {
        "good": {"type": "model", "labels": ["a"]},
        "no good": {},
        "_m": {},
        "list": [],
        "text": "x",
        "nothing": None,
        "wrong": {
            "type": 1,
            "path": ["x"],
            "labels": ["ok", 3, None],
            "description": True,
            "desc": True,
        },
        "labels": {"labels": "a"},
        "long": {"type": "t" * 256, "labels": ["l" * 256, "ok"]},
        "x" * 256: {},
    }
    found = parse_artifacts_yaml(entries)
    assert set(found.annotations) == {"good", "wrong", "labels", "long"}
    assert found.annotations["wrong"].labels == ("ok",)
    assert found.annotations["long"].labels == ("ok",)
    assert found.annotations["long"].type == ""
    assert sorted(codes(found)) == [
        ("annotation-too-long", "long"),
        ("annotation-too-long", "long"),
        ("annotation-wrong-type", "labels"),
        *[("annotation-wrong-type", "wrong")] * 5,
        ("bad-artifact-name", ""),
        ("bad-artifact-name", ""),
        ("file-wrong-shape", "list"),
        ("file-wrong-shape", "nothing"),
        ("file-wrong-shape", "text"),
        ("name-too-long", ""),
    ]
    assert {p.path for p in found.problems} == {"artifacts.yaml"}
    dvc = parse_dvc_yaml("a/dvc.yaml", {"artifacts": entries})
    assert set(dvc.annotations) == {"a:good", "a:wrong", "a:labels", "a:long"}
    assert len(dvc.problems) == len(found.problems)


@pytest.mark.parametrize("value", [None, [], "text", 3, True])
def test_an_artifacts_yaml_that_is_no_mapping_is_a_problem(value: Json) -> None:
    assert codes(parse_artifacts_yaml(value)) == [("file-wrong-shape", "")]


@pytest.mark.parametrize(
    ("value", "problems"),
    [
        (None, 0),
        ({}, 0),
        ({"stages": {}}, 0),
        ({"artifacts": None}, 0),
        ({"artifacts": []}, 1),
        ([], 1),
        ("text", 1),
    ],
)
def test_a_dvc_yaml_needs_no_artifacts(value: Json, problems: int) -> None:
    found = parse_dvc_yaml("dvc.yaml", value)
    assert (dict(found.annotations), len(found.problems)) == ({}, problems)


def test_a_folder_no_tag_can_name_makes_no_artifact() -> None:
    found = parse_dvc_yaml("my models/dvc.yaml", {"artifacts": {"m": {}}})
    assert dict(found.annotations) == {}
    assert codes(found) == [("bad-artifact-name", "")]


def test_gto_config_lists_stages_and_types() -> None:
    config = parse_config({"Stages": ["dev", "prod", "dev"], "types": ["model"]})
    assert (config.stages, config.types) == (("dev", "prod"), ("model",))
    assert config.problems == ()
    assert parse_config(None).stages is None
    assert parse_config({"stages": []}).stages == ()


@pytest.mark.parametrize(
    ("value", "stages", "code"),
    [
        ({"stages": ["ok", "no good", 3]}, ("ok",), "bad-gto-config"),
        ({"stages": "dev"}, None, "bad-gto-config"),
        ({"stage": ["dev"]}, None, "bad-gto-config"),
        ({"index": "models.yaml"}, None, "index-elsewhere"),
        ([], None, "file-wrong-shape"),
    ],
)
def test_a_bad_gto_config_is_a_problem_and_the_rest_counts(
    value: Json, stages: tuple[str, ...] | None, code: str
) -> None:
    config = parse_config(value)
    assert config.stages == stages
    assert {problem.code for problem in config.problems} == {code}


scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text()
trees = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.text(max_size=3)
            | st.sampled_from(
                ("artifacts", "labels", "path", "type", "stages", "virtual", "m")
            ),
            inner,
            max_size=3,
        )
    ),
)


@given(trees)
def test_P15_any_document_is_read_without_an_exception(value: Json) -> None:
    parse_artifacts_yaml(value)
    parse_artifacts_yaml({"m": value})
    parse_dvc_yaml("a/dvc.yaml", value)
    parse_dvc_yaml("a/dvc.yaml", {"artifacts": {"m": value}})
    parse_config(value)


@pytest.mark.parametrize(
    ("parse", "key"),
    [
        (parse_artifacts_yaml, "description"),
        (lambda entries: parse_dvc_yaml("dvc.yaml", {"artifacts": entries}), "desc"),
    ],
    ids=["artifacts.yaml", "dvc.yaml"],
)
def test_P8_what_lists_show_of_an_entry_is_no_longer_than_they_can_bear(
    parse: Callable[[Json], FileAnnotations], key: str
) -> None:
    long: dict[str, Json] = {
        key: "d" * (MAX_DESCRIPTION + 1),
        "path": "p" * (MAX_PATH + 1),
        "labels": [f"l{number}" for number in range(MAX_LABELS + 1)],
    }
    fits: dict[str, Json] = {
        key: "d" * MAX_DESCRIPTION,
        "path": "p" * MAX_PATH,
        "labels": [f"l{number}" for number in range(MAX_LABELS)],
    }
    found = parse({"long": long, "fits": fits})
    assert codes(found) == [("annotation-too-long", "long")] * 3
    cut, whole = found.annotations["long"], found.annotations["fits"]
    assert cut.description == whole.description == "d" * MAX_DESCRIPTION
    assert cut.labels == whole.labels
    assert len(whole.labels) == MAX_LABELS
    assert (cut.path, whole.path) == ("", "p" * MAX_PATH)


@pytest.mark.parametrize("path", ["artifacts.yaml", "dvc.yaml", ".gto"])
def test_D5_a_file_of_many_faults_is_told_of_by_the_first(path: str) -> None:
    bad: Json = {f"-{number}": 1 for number in range(5_000)}
    value: Json = {"artifacts": bad} if path == "dvc.yaml" else bad
    file = FileRef(path, "b" * 40)
    documents = {file.blob_id: Document(file.blob_id, value)}
    found = (
        parse_config_file(file, documents).problems
        if path == ".gto"
        else parse_file(file, documents).problems
    )
    assert len(found) == MAX_PROBLEMS + 1
    assert found[-1].code == "more-problems"
    assert str(5_000 - MAX_PROBLEMS) in found[-1].text
