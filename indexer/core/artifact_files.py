"""What registry files say: artifacts.yaml, `artifacts:` of every dvc.yaml, `.gto`.

In: documents that are parsed already (indexer/yamlio.py). Out: annotations and
problems with their place. One bad entry or key costs that entry or key alone.

gto reads artifacts.yaml at the root and no dvc.yaml; DVC reads the other way round.
Where both name one artifact the dvc.yaml counts for the catalog, being the newer form,
and artifacts.yaml for what gto prints."""

from __future__ import annotations

import posixpath
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from indexer.core.registry import MAX_NAME, Annotation
from indexer.core.snapshot import Document, FileRef, Json, Problem
from indexer.core.tags import is_artifact_name, is_name

ARTIFACTS_YAML = "artifacts.yaml"
DVC_YAML = "dvc.yaml"
GTO_CONFIG = ".gto"

# More than these of one entry, or problems of one file, is left out: lists of models
# and answers of the API hold a hundred entries whole.
MAX_DESCRIPTION = 100_000  # characters
MAX_PATH = 4_000
MAX_LABELS = 200
MAX_PROBLEMS = 100

_NOT_READ = "The file was not read; crawl the repository again."
# What gto reads from .gto (its config.py), in any case; it refuses other keys.
_CONFIG_KEYS = frozenset(
    (
        *("index", "config_file_name", "log_level", "debug", "emojis"),
        *("types", "stages", "enrichments", "autoload_enrichments"),
    )
)
# pydantic's words for a truth value, which gto takes for `virtual`.
_TRUE = frozenset(("1", "on", "t", "true", "y", "yes"))
_FALSE = frozenset(("0", "off", "f", "false", "n", "no"))


@dataclass(frozen=True, slots=True)
class FileAnnotations:
    """One file's annotations by artifact, in the file's order, and its problems
    (without a commit: the same blob may lie in many)."""

    annotations: Mapping[str, Annotation] = field(default_factory=dict)
    problems: tuple[Problem, ...] = ()


@dataclass(frozen=True, slots=True)
class Config:
    """`.gto`: the allowed stages in their order and the allowed types; None where the
    file lists none, which allows all."""

    stages: tuple[str, ...] | None = None
    types: tuple[str, ...] | None = None
    problems: tuple[Problem, ...] = ()


class _Entry:
    """Reads the keys of one artifact's entry and collects what is wrong with it."""

    def __init__(self, artifact: str, path: str, value: dict[str, Json]) -> None:
        self.artifact = artifact
        self.path = path
        self.value = value
        self.problems: list[Problem] = []

    def report(self, code: str, words: str) -> None:
        self.problems.append(
            Problem(code, words, artifact=self.artifact, path=self.path)
        )

    def text(self, key: str, *, most: int | None = None) -> str | None:
        """The text of `key`; None when it is missing or no text."""
        value = self.value.get(key)
        if value is None:
            return None
        if not isinstance(value, str):
            self.report(
                "annotation-wrong-type",
                f"`{key}` of artifact {self.artifact} must be text"
                f" and is {_kind(value)}; it is left out.",
            )
            return None
        if most is not None and len(value) > most:
            self.report(
                "annotation-too-long",
                f"`{key}` of artifact {self.artifact} is longer than {most}"
                " characters; it is left out.",
            )
            return None
        return value

    def description(self, key: str) -> str:
        """The text of `key`, its end left out where it is too long."""
        text = self.text(key) or ""
        if len(text) > MAX_DESCRIPTION:
            self.report(
                "annotation-too-long",
                f"`{key}` of artifact {self.artifact} is longer than"
                f" {MAX_DESCRIPTION} characters; the rest is left out.",
            )
        return text[:MAX_DESCRIPTION]

    def labels(self) -> tuple[str, ...]:
        value = self.value.get("labels")
        if value is None:
            return ()
        if not isinstance(value, list):
            self.report(
                "annotation-wrong-type",
                f"`labels` of artifact {self.artifact} must be a list and is"
                f" {_kind(value)}; they are left out.",
            )
            return ()
        if len(value) > MAX_LABELS:
            self.report(
                "annotation-too-long",
                f"Artifact {self.artifact} has more than {MAX_LABELS} labels; the rest"
                " is left out.",
            )
        labels: list[str] = []
        for label in value[:MAX_LABELS]:
            if not isinstance(label, str):
                self.report(
                    "annotation-wrong-type",
                    f"A label of artifact {self.artifact} must be text and is"
                    f" {_kind(label)}; it is left out.",
                )
            elif len(label) > MAX_NAME:
                self.report(
                    "annotation-too-long",
                    f"A label of artifact {self.artifact} is longer than {MAX_NAME}"
                    " characters; it is left out.",
                )
            else:
                labels.append(label)
        return tuple(labels)

    def virtual(self) -> bool:
        value = self.value.get("virtual", True)
        if isinstance(value, bool):
            return value
        word = value.lower() if isinstance(value, str) else str(value)
        if word in _TRUE or value == 1:
            return True
        if word in _FALSE or value == 0:
            return False
        self.report(
            "annotation-wrong-type",
            f"`virtual` of artifact {self.artifact} must be true or false and is"
            f" {_kind(value)}; true is taken.",
        )
        return True


def _kind(value: Json) -> str:
    if value is None:
        return "empty"
    if isinstance(value, bool):
        return "true or false"
    if isinstance(value, int | float):
        return "a number"
    if isinstance(value, str):
        return "text"
    return "a list" if isinstance(value, list) else "a mapping"


def parse_artifacts_yaml(value: Json) -> FileAnnotations:
    """The entries of artifacts.yaml at the root, which gto reads."""
    if not isinstance(value, dict):
        return FileAnnotations(problems=(_not_a_mapping(ARTIFACTS_YAML, value),))
    annotations: dict[str, Annotation] = {}
    problems: list[Problem] = []
    for name, entry in value.items():
        problem = _bad_name(name, ARTIFACTS_YAML, is_valid=is_name(name))
        if problem is None and not isinstance(entry, dict):
            problem = _bad_entry(name, entry, ARTIFACTS_YAML)
        if problem is not None or not isinstance(entry, dict):
            problems.extend([problem] if problem else [])
            continue
        reader = _Entry(name, ARTIFACTS_YAML, entry)
        kind = reader.text("type", most=MAX_NAME)
        path = reader.text("path", most=MAX_PATH)
        description = reader.description("description")
        labels = reader.labels()
        custom = entry.get("custom")
        annotations[name] = Annotation(
            artifact=name,
            source=ARTIFACTS_YAML,
            path=path or "",
            type=kind or "",
            description=description,
            labels=labels,
            meta=custom,
            gto={
                "type": kind,
                "path": path,
                "virtual": reader.virtual(),
                "labels": list(labels),
                "description": description,
                "custom": custom,
            },
        )
        problems.extend(reader.problems)
    return FileAnnotations(annotations, tuple(problems))


def parse_dvc_yaml(path: str, value: Json) -> FileAnnotations:
    """The entries of `artifacts:` in the dvc.yaml at `path`. An entry `name` of
    `sub/dvc.yaml` is the artifact `sub:name`, and its path is relative to `sub`."""
    if value is None:
        return FileAnnotations()  # an empty file is a fine dvc.yaml
    if not isinstance(value, dict):
        return FileAnnotations(problems=(_not_a_mapping(path, value),))
    entries = value.get("artifacts")
    if entries is None:
        return FileAnnotations()
    if not isinstance(entries, dict):
        return FileAnnotations(
            problems=(
                Problem(
                    "file-wrong-shape",
                    f"`artifacts` in {path} must be a mapping of names and is"
                    f" {_kind(entries)}.",
                    path=path,
                ),
            )
        )
    folder = posixpath.dirname(path)
    annotations: dict[str, Annotation] = {}
    problems: list[Problem] = []
    for name, entry in entries.items():
        artifact = f"{folder}:{name}" if folder else name
        is_valid = is_name(name) and is_artifact_name(artifact)
        problem = _bad_name(artifact, path, is_valid=is_valid)
        if problem is None and not isinstance(entry, dict):
            problem = _bad_entry(artifact, entry, path)
        if problem is not None or not isinstance(entry, dict):
            problems.extend([problem] if problem else [])
            continue
        reader = _Entry(artifact, path, entry)
        annotations[artifact] = Annotation(
            artifact=artifact,
            source=path,
            path=_from_root(folder, reader),
            type=reader.text("type", most=MAX_NAME) or "",
            description=reader.description("desc"),
            labels=reader.labels(),
            meta=entry.get("meta"),
        )
        problems.extend(reader.problems)
    return FileAnnotations(annotations, tuple(problems))


def _from_root(folder: str, entry: _Entry) -> str:
    """The entry's path relative to the repository's root; "" and a problem when it
    leads out of the repository."""
    path = entry.text("path", most=MAX_PATH)
    if not path:
        return ""
    if "://" in path or path.startswith("/"):
        return path
    whole = posixpath.normpath(posixpath.join(folder, path))
    if whole == ".." or whole.startswith("../"):
        entry.report(
            "annotation-path-outside",
            f"`path` of artifact {entry.artifact} leads out of the repository; it is"
            " left out.",
        )
        return ""
    return whole


def _not_a_mapping(path: str, value: Json) -> Problem:
    return Problem(
        "file-wrong-shape",
        f"{path} must be a mapping and is {_kind(value)}.",
        path=path,
    )


def _bad_name(name: str, path: str, *, is_valid: bool) -> Problem | None:
    """Why the name cannot be an artifact's, or None."""
    shown = _short(name)
    if not is_valid:
        return Problem(
            "bad-artifact-name",
            f"{path} names an artifact “{shown}”. A name is letters, digits, - _ /"
            " and starts and ends with a letter or digit; rename it.",
            path=path,
        )
    if len(name) > MAX_NAME:
        return Problem(
            "name-too-long",
            f"The name of artifact {shown} is longer than {MAX_NAME} characters.",
            path=path,
        )
    return None


def _bad_entry(name: str, entry: Json, path: str) -> Problem:
    return Problem(
        "file-wrong-shape",
        f"The entry of artifact {_short(name)} must be a mapping and is {_kind(entry)};"
        " the artifact is left out.",
        artifact=name,
        path=path,
    )


def _short(name: str) -> str:
    return name if len(name) <= 60 else f"{name[:60]}…"


def parse_config_file(file: FileRef, documents: Mapping[str, Document]) -> Config:
    """`.gto`, whatever became of reading it."""
    document = documents.get(file.blob_id, Document(file.blob_id, problem=_NOT_READ))
    problems = _of_reading(file, document)
    if document.value is None and problems:
        return Config(problems=problems)
    config = parse_config(document.value)
    return replace(config, problems=(*problems, *config.problems))


def parse_config(value: Json) -> Config:
    """`.gto` at the root: `stages` and `types`. gto itself refuses the whole file for
    any fault in it; here the rest counts."""
    if value is None:
        return Config()
    if not isinstance(value, dict):
        return Config(problems=(_not_a_mapping(GTO_CONFIG, value),))
    config = {key.lower(): item for key, item in value.items()}  # as gto reads keys
    problems = [
        Problem(
            "bad-gto-config",
            f"gto knows no key “{_short(key)}” in .gto and refuses the file.",
            path=GTO_CONFIG,
        )
        for key in config
        if key not in _CONFIG_KEYS
    ]
    if config.get("index", ARTIFACTS_YAML) != ARTIFACTS_YAML:
        problems.append(
            Problem(
                "index-elsewhere",
                "`index` in .gto names another file for artifacts.yaml, which is not"
                " read here; name artifacts in artifacts.yaml or a dvc.yaml.",
                path=GTO_CONFIG,
            )
        )
    return Config(
        stages=_names(config, "stages", problems),
        types=_names(config, "types", problems),
        problems=_few(tuple(problems), GTO_CONFIG),
    )


def _names(
    config: dict[str, Json], key: str, problems: list[Problem]
) -> tuple[str, ...] | None:
    value = config.get(key)
    if value is None:
        return None
    if not isinstance(value, list):
        problems.append(
            Problem(
                "bad-gto-config",
                f"`{key}` in .gto must be a list of names and is {_kind(value)};"
                " gto refuses the file. All are allowed here.",
                path=GTO_CONFIG,
            )
        )
        return None
    names: list[str] = []
    for name in value:
        if isinstance(name, str) and is_name(name) and len(name) <= MAX_NAME:
            if name not in names:
                names.append(name)
            continue
        shown = name[:60] if isinstance(name, str) else _kind(name)
        problems.append(
            Problem(
                "bad-gto-config",
                f"`{key}` in .gto lists “{shown}”, which is no name: letters, digits,"
                " - _ / and a letter or digit at both ends. gto refuses the file.",
                path=GTO_CONFIG,
            )
        )
    return tuple(names)


def parse_file(file: FileRef, documents: Mapping[str, Document]) -> FileAnnotations:
    """The annotations of one registry file; none of `.gto`."""
    if file.path == GTO_CONFIG:
        return FileAnnotations()
    document = documents.get(file.blob_id, Document(file.blob_id, problem=_NOT_READ))
    problems = _of_reading(file, document)
    if document.value is None and problems:
        return FileAnnotations(problems=problems)
    if file.path == ARTIFACTS_YAML:
        found = parse_artifacts_yaml(document.value)
    elif posixpath.basename(file.path) == DVC_YAML:
        found = parse_dvc_yaml(file.path, document.value)
    else:
        return FileAnnotations()
    return replace(found, problems=_few((*problems, *found.problems), file.path))


def _few(problems: tuple[Problem, ...], path: str) -> tuple[Problem, ...]:
    """A file with a hundred thousand faults is told of by the first hundred."""
    more = len(problems) - MAX_PROBLEMS
    if more <= 0:
        return problems
    last = Problem("more-problems", f"{path} has {more} more problems.", path=path)
    return (*problems[:MAX_PROBLEMS], last)


def _of_reading(file: FileRef, document: Document) -> tuple[Problem, ...]:
    """Why `file` has no content to read, or what of it is left out."""
    if not document.problem:
        return ()
    code = "unreadable-file" if document.value is None else "partly-read"
    return (Problem(code, document.problem, path=file.path, line=document.line),)
