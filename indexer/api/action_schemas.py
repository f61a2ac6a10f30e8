"""What the API can be asked to do: each body makes one wish.

What makes no sense whatever the repository holds is refused here, before a row is
written or anybody is asked: a name comes as Git has it, or not at all."""

from __future__ import annotations

import unicodedata
from typing import Annotated, Any, Literal

from ninja import Field, Schema
from pydantic import AfterValidator, ConfigDict, StrictBool
from pydantic_core import PydanticCustomError

from indexer.actions import BadWish
from indexer.core.plans import Refusal
from indexer.core.snapshot import Json
from indexer.core.tags import is_artifact_name, is_name
from indexer.core.versions import Part, is_version
from indexer.file_forms import CONTROL, FILE, FOLDER, LONGEST
from indexer.models import ActionLog, Repository
from indexer.providers.errors import Refused
from indexer.providers.file_writing import check_branch, check_path
from indexer.providers.writing import NOT_A_REF
from indexer.registry_edits import new_fields
from indexer.wishes import COMMIT, LONGEST_MESSAGE, Wish

Verb = ActionLog.Verb
MOST_LABELS = 100
LONGEST_NAME = 255  # what a column holds
UNSEEN = frozenset({"Cc", "Zl", "Zp"})  # control characters and line breaks


def _one_line(text: str) -> str:
    if any(unicodedata.category(character) in UNSEEN for character in text):
        raise PydanticCustomError(
            "one_line", "No line breaks or control characters here"
        )
    return text


def _lines(text: str) -> str:
    text = text.replace("\r\n", "\n")
    if CONTROL.search(text):
        raise PydanticCustomError("lines", "No control characters here")
    return text


Line = Annotated[str, Field(max_length=LONGEST_NAME), AfterValidator(_one_line)]
Path = Annotated[str, AfterValidator(_one_line)]
Lines = Annotated[str, AfterValidator(_lines)]
Label = Annotated[str, Field(min_length=1, max_length=200), AfterValidator(_one_line)]


def _taking(**example: Json) -> ConfigDict:
    """Nothing but the fields there are; with an example."""
    return ConfigDict(extra="forbid", json_schema_extra={"examples": [example]})


CHURN: dict[str, Json] = {"repository": "acme/churn", "artifact": "churn"}


class Body(Schema):
    """What every action is asked with."""

    repository: Line = Field(description="Its name.")
    message: Lines = Field(
        "",
        max_length=LONGEST_MESSAGE,
        description="Why, in the tag or commit; left out: what was done.",
    )
    dry_run: StrictBool = Field(
        False, description="Answer what would be written, and write nothing."
    )
    expect: str = Field(
        "",
        pattern="^(?:[0-9a-f]{64})?$",
        description="The `meaning` that a dry run answered. If doing it means "
        "something else by now, it is refused (`changed`).",
    )

    def wish(self, repository: Repository) -> Wish:
        """What it asks for. Raises BadWish."""
        raise NotImplementedError


class OfArtifact(Body):
    artifact: Line = Field(description="`name`, or `folder:name` of a folder.")

    def _wish(self, verb: Verb, repository: Repository, **more: Any) -> Wish:
        name, message = _artifact(self.artifact), self.message.strip()
        return Wish(verb, repository, name, message=message, **more)


class Register(OfArtifact):
    model_config = _taking(**CHURN, version="v1.2.0", message="With the data of May")

    commit: Line = Field(
        "",
        description="Its whole id; left out: the head of the default branch (a dry "
        "run takes the head that Muster knows).",
    )
    version: Line = Field("", description="`v1.2.0`; left out: the next one.")
    bump: Literal["major", "minor", "patch"] = Field(
        "patch", description="Which next one."
    )

    def wish(self, repository: Repository) -> Wish:
        return self._wish(
            Verb.REGISTER,
            repository,
            version=_version(self.version) if self.version else "",
            commit_id=_commit(self.commit) if self.commit else "",
            part=Part(self.bump),
        )


class Assign(OfArtifact):
    model_config = _taking(**CHURN, stage="prod", version="v1.2.0")

    stage: Line
    version: Line = Field("", description="A version, or `commit`: one of them.")
    commit: Line = Field("", description="The whole id, of a commit without version.")

    def wish(self, repository: Repository) -> Wish:
        if bool(self.version) == bool(self.commit):
            raise _bad("nothing-chosen", "Give a version or a commit: one of them.")
        return self._wish(
            Verb.ASSIGN,
            repository,
            stage=_stage(self.stage),
            version=_version_or_commit(self.version) if self.version else "",
            commit_id=_commit(self.commit) if self.commit else "",
        )


class Restore(OfArtifact):
    model_config = _taking(**CHURN, stage="prod")

    stage: Line

    def wish(self, repository: Repository) -> Wish:
        return self._wish(Verb.RESTORE, repository, stage=_stage(self.stage))


class Unassign(OfArtifact):
    model_config = _taking(**CHURN, stage="prod", version="v1.2.0")

    stage: Line
    version: Line = Field(description="`v1.2.0`, or the whole id of a commit.")

    def wish(self, repository: Repository) -> Wish:
        return self._wish(
            Verb.UNASSIGN,
            repository,
            stage=_stage(self.stage),
            version=_version_or_commit(self.version),
        )


class Deregister(OfArtifact):
    model_config = _taking(**CHURN, version="v1.2.0", message="Trained on test data")

    version: Line

    def wish(self, repository: Repository) -> Wish:
        version = _version(self.version)
        return self._wish(Verb.DEREGISTER, repository, version=version)


class Deprecate(OfArtifact):
    model_config = _taking(**CHURN)

    def wish(self, repository: Repository) -> Wish:
        return self._wish(Verb.DEPRECATE, repository)


class Revive(OfArtifact):
    model_config = _taking(**CHURN)

    def wish(self, repository: Repository) -> Wish:
        return self._wish(Verb.REVIVE, repository)


class OfFile(Body):
    branch: Line = Field("", description="Left out: the default branch.")
    pull_request: StrictBool = Field(
        False,
        description="Commit to a new branch and open a pull or merge request; else "
        "to the branch itself.",
    )
    type: Line | None = Field(None, description="model, dataset, …")
    description: Lines | None = Field(None, max_length=LONGEST["description"])
    labels: list[Label] | None = Field(None, max_length=MOST_LABELS)

    def _file_wish(
        self,
        verb: Verb,
        repository: Repository,
        file: str,
        name: str,
        fields: dict[str, Json],
    ) -> Wish:
        folder = file.removesuffix(FILE).removesuffix("/")
        branch = self.branch or repository.default_branch
        if self.type and not (is_name(self.type) and len(self.type) <= LONGEST["type"]):
            raise _bad(
                "bad-type", "A type has letters, digits, “-” and “_”: model, dataset."
            )
        try:
            check_branch(branch)
        except Refused as error:
            raise _bad("bad-branch", error.sentence) from None
        return Wish(
            verb,
            repository,
            _artifact(f"{folder}:{name}" if folder else name),
            message=self.message.strip(),
            fields={
                "branch": branch,
                "file": _file(file, folder),
                "name": name,
                "fields": fields,
                "pull": self.pull_request,
            },
        )

    def _fields(self, path: str) -> dict[str, Json]:
        return new_fields(
            path=path,
            type_=self.type or "",
            description=(self.description or "").strip(),
            labels=dict.fromkeys(self.labels or ()),
        )


class Add(OfFile):
    model_config = _taking(
        repository="acme/churn",
        file="models/dvc.yaml",
        name="churn",
        path="models/churn.pkl",
        type="model",
        labels=["crm"],
        pull_request=True,
    )

    file: Line = Field(FILE, description="`dvc.yaml`, or that of a folder.")
    name: Line = Field(
        min_length=1, max_length=LONGEST["name"], description="The entry of the file."
    )
    path: Path = Field(
        min_length=1,
        max_length=LONGEST["path"],
        description="Where the model is: a path from the folder, or an address.",
    )

    def wish(self, repository: Repository) -> Wish:
        if NOT_A_REF.search(self.name):
            raise _bad("bad-artifact", "Git allows no tag for a name that has “//”.")
        fields = self._fields(self.path)
        return self._file_wish(Verb.ADD, repository, self.file, self.name, fields)


class Edit(OfFile):
    """What is given is changed; what is empty or null is taken out; the rest stays."""

    model_config = _taking(**CHURN, description="Who is about to leave", labels=["crm"])

    artifact: Line = Field(
        description="`name` of `dvc.yaml`, `folder:name` of `folder/dvc.yaml`."
    )
    path: Path = Field("", min_length=1, max_length=LONGEST["path"])

    def wish(self, repository: Repository) -> Wish:
        folder, _, name = self.artifact.rpartition(":")
        keys = {
            "path": "path",
            "type": "type",
            "desc": "description",
            "labels": "labels",
        }
        given = self.model_fields_set
        fields = {
            key: value
            for key, value in self._fields(self.path).items()
            if keys[key] in given
        }
        if not fields:
            raise _bad(
                "nothing-chosen", "Say what to change: path, type, description, labels."
            )
        file = f"{folder}/{FILE}" if folder else FILE
        return self._file_wish(Verb.EDIT, repository, file, name, fields)


# Names --------------------------------------------------------------------------------


def _bad(code: str, sentence: str) -> BadWish:
    return BadWish(Refusal(code, sentence))


def _artifact(name: str) -> str:
    if not is_artifact_name(name) or len(name) > LONGEST_NAME:
        raise _bad(
            "bad-artifact",
            "A model's name has letters, digits, “-”, “_” and “/”, and begins and ends "
            "with a letter or digit; a folder may stand before it with “:”. It has at "
            f"most {LONGEST_NAME} characters.",
        )
    return name


def _stage(name: str) -> str:
    if not is_name(name):
        raise _bad(
            "bad-stage",
            "A stage has letters, digits, “-”, “_” and “/”, and begins and ends with a "
            "letter or digit.",
        )
    return name


def _version(name: str) -> str:
    if not is_version(name):
        raise _bad(
            "bad-version",
            "A version is v and a SemVer number: v1.0.0, v2.1.0-rc.1.",
        )
    return name


def _version_or_commit(name: str) -> str:
    return name if COMMIT.fullmatch(name) else _version(name)


def _commit(name: str) -> str:
    if not COMMIT.fullmatch(name):
        raise _bad(
            "bad-commit",
            "A commit is given by its whole id: 40 characters, digits and a to f.",
        )
    return name


def _file(path: str, folder: str) -> str:
    is_place = not folder or (
        FOLDER.fullmatch(folder) and len(folder) <= LONGEST["folder"]
    )
    if path not in {FILE, f"{folder}/{FILE}"} or not is_place:
        raise _bad("bad-file", "The file is dvc.yaml, or that of a folder: a/dvc.yaml.")
    try:
        check_path(path)
    except Refused as error:
        raise _bad("bad-file", error.sentence) from None
    return path
