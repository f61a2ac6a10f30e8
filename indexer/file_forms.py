"""The forms that add a model and edit what is said of it: one entry of a dvc.yaml."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from indexer.core.snapshot import Json
from indexer.core.tags import is_artifact_name, is_name
from indexer.file_actions import FilePlan, preview_file
from indexer.models import ActionLog, Artifact, Commit, Repository, Snapshot
from indexer.registry_edits import new_fields
from indexer.wishes import Wish

Verb = ActionLog.Verb
FILE = "dvc.yaml"
ENTERED = (
    "folder", "name", "path", "type", "description", "labels", "branch", "how",
    "message",
)  # fmt: skip
FOLDER = re.compile(r"[A-Za-z0-9_.-]+(?:/[A-Za-z0-9_.-]+)*")
LONGEST: Mapping[str, int] = {
    "name": 150,
    "folder": 200,
    "path": 1000,
    "type": 100,
    "description": 10_000,
    "labels": 2000,
    "message": 5000,
}
CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")


@dataclass(slots=True)
class FileForm:
    """What was entered, the errors in it by field, and what it would change."""

    verb: Verb
    repository: Repository
    artifact: str
    entered: dict[str, str]
    branches: list[str]
    folders: list[str]
    errors: dict[str, str] = field(default_factory=dict)
    plan: FilePlan | None = None

    @classmethod
    def of(
        cls,
        verb: Verb,
        repository: Repository,
        data: Mapping[str, str],
        row: Artifact | None = None,
    ) -> FileForm:
        """The form with what `data` says of its fields; of an entry that is edited
        (`row`) first with what the head says. Three queries."""
        entered = {name: data.get(name, "").strip() for name in ENTERED}
        entered["description"] = entered["description"].replace("\r\n", "\n")
        if row is not None:
            folder, _, name = row.name.rpartition(":")
            entered |= {"folder": folder, "name": name}
            if "description" not in data:
                entered |= {
                    "description": row.description,
                    "labels": ", ".join(map(str, row.labels)),
                    "type": row.type,
                }
        elif not data:
            entered["type"] = "model"
        found = Snapshot.objects.filter(repository=repository).first()
        branches = dict(found.branches) if found else {}
        default = repository.default_branch
        names = sorted(branches, key=lambda name: (name != default, name))
        entered["branch"] = entered["branch"] or default
        entered["how"] = entered["how"] or "commit"
        name = entered["name"]
        artifact = f"{entered['folder']}:{name}" if entered["folder"] else name
        return cls(
            verb, repository, artifact, entered, names, _folders(repository)
        )._checked()

    def _checked(self) -> FileForm:
        entered, errors = self.entered, self.errors
        for name, longest in LONGEST.items():
            if len(entered[name]) > longest:
                errors[name] = f"At most {longest:,} characters."
            elif CONTROL.search(entered[name]) or (
                "\n" in entered[name] and name not in {"description", "message"}
            ):
                errors[name] = "No line breaks or control characters here."
        if entered["folder"] and (
            not FOLDER.fullmatch(entered["folder"])
            or any(part.strip(".") == "" for part in entered["folder"].split("/"))
        ):
            errors["folder"] = "A folder of the repository, such as models/cv."
        if self.verb == Verb.ADD:
            if not entered["name"]:
                errors["name"] = "Give it a name."
            elif not is_name(entered["name"]) or not is_artifact_name(self.artifact):
                errors["name"] = (
                    "Letters, digits, “-”, “_” and “/”; a letter or digit first and "
                    "last."
                )
            if not entered["path"]:
                errors["path"] = "Say where the model is: a path, or an address."
        if entered["type"] and not is_name(entered["type"]):
            errors["type"] = "Letters, digits, “-” and “_”: model, dataset."
        if entered["branch"] not in self.branches:
            errors["branch"] = "The repository has no such branch."
        return self

    @property
    def file(self) -> str:
        folder = self.entered["folder"]
        return f"{folder}/{FILE}" if folder else FILE

    @property
    def is_pull(self) -> bool:
        return self.entered["how"] == "pull"

    @property
    def labels(self) -> list[str]:
        parts = (part.strip() for part in self.entered["labels"].split(","))
        return list(dict.fromkeys(part for part in parts if part))

    @property
    def wish(self) -> Wish:
        """What it asks for."""
        entered = self.entered
        fields: dict[str, Json] = new_fields(
            path=entered["path"],
            type_=entered["type"],
            description=entered["description"],
            labels=self.labels,
        )
        if self.verb == Verb.EDIT and not entered["path"]:
            del fields["path"]
        return Wish(
            self.verb,
            self.repository,
            self.artifact,
            message=entered["message"],
            fields={
                "branch": entered["branch"],
                "file": self.file,
                "name": entered["name"],
                "fields": fields,
                "pull": self.is_pull,
            },
        )

    def preview(self) -> None:
        """Find what it would change. Raises CannotPlan, ProviderError, WrongKey."""
        if not self.errors:
            self.plan = preview_file(self.wish)

    @property
    def diff_lines(self) -> list[tuple[str, str]]:
        """The change, each line with what it is (add, del, at, "")."""
        kinds = {"+": "add", "-": "del", "@": "at"}
        lines = self.plan.diff.splitlines() if self.plan else []
        return [(kinds.get(line[:1], ""), line) for line in lines]

    @property
    def does(self) -> str:
        """What the button says."""
        request = "merge request" if self._is_gitlab else "pull request"
        if self.is_pull:
            return f"Open a {request} into {self.entered['branch']}"
        return f"Commit to {self.entered['branch']}"

    @property
    def pull_word(self) -> str:
        return "merge request" if self._is_gitlab else "pull request"

    @property
    def _is_gitlab(self) -> bool:
        return self.repository.provider == Repository.Provider.GITLAB


def _folders(repository: Repository) -> list[str]:
    """Folders of the head that have a dvc.yaml. One query."""
    head = (
        Commit.objects.filter(repository=repository, commit_id=repository.head)
        .select_related("file_set")
        .first()
    )
    files = head.file_set.files if head and head.file_set else []
    paths = [path for path, _ in files if path.endswith(f"/{FILE}")]
    return [path.removesuffix(f"/{FILE}") for path in paths][:50]
