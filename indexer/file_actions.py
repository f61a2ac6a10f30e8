"""Adding a model and editing what its `dvc.yaml` says: one commit that changes one
entry of one file, on the branch itself or on a new one with a pull or merge request."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from indexer.action_rows import Held, Outcome, order_of, tagger_of, wish_of
from indexer.core.artifact_files import ARTIFACTS_YAML, parse_dvc_yaml
from indexer.core.snapshot import Json
from indexer.leases import database_now
from indexer.models import ActionLog, Artifact
from indexer.providers import errors
from indexer.providers.base import Listing
from indexer.providers.file_writing import BranchMoved, FileOrder
from indexer.providers.git.file_writer import GitFileWriter
from indexer.providers.registry import provider_for, remote_of
from indexer.registry_edits import EditRefused, change_entry, diff
from indexer.wishes import Wish
from indexer.write_ways import WriteWay, requested_by
from indexer.yamlio import parse_document

Status, Verb = ActionLog.Status, ActionLog.Verb
PLANS = 3  # times a branch that moved meanwhile is looked at again


@dataclass(frozen=True, slots=True)
class FilePlan:
    """A change of one file: its text before ("" and no blob: it is new) and after,
    on top of a commit. `meaning` tells one such change from another."""

    base: str
    path: str
    before_blob: str
    before: str
    after: str
    meaning: str

    @property
    def diff(self) -> str:
        """As `git diff` shows it."""
        return diff(self.before, self.after, self.path)


class CannotPlan(Exception):
    """The file cannot be changed so; `code` and `sentence` say why."""

    def __init__(self, code: str, sentence: str) -> None:
        super().__init__(sentence)
        self.code = code
        self.sentence = sentence


def plan_file(wish: Wish, files: GitFileWriter, listing: Listing) -> FilePlan:
    """What the wish would change in the file, at the branch's head. Raises CannotPlan,
    ProviderError. A request or two to the remote."""
    asked = wish.fields
    branch, path = str(asked["branch"]), str(asked["file"])
    name, fields = str(asked["name"]), asked["fields"]
    base = listing.branches.get(branch)
    if base is None:
        raise CannotPlan("no-branch", f"The repository has no branch {branch[:80]}.")
    if not isinstance(fields, dict):
        raise CannotPlan("bad-fields", "The fields of the entry make no sense.")
    found = files.read_file(base, path)
    blob, before = found or ("", "")
    entry = _entry(before, name)
    if wish.verb == Verb.ADD and entry is not None:
        raise CannotPlan(
            "name-taken",
            f"{path} on {branch} has an entry {name} already. Choose another name, or "
            "edit that one.",
        )
    if wish.verb == Verb.EDIT and entry is None:
        row = Artifact.objects.filter(repository=wish.repository, name=wish.artifact)
        source = row.values_list("source", flat=True).first() or ""
        if source == ARTIFACTS_YAML:
            raise CannotPlan(
                "legacy-file",
                f"{wish.artifact} is described in {source}, gto's older file, which "
                "Muster does not change. Edit it by hand.",
            )
        raise CannotPlan(
            "no-entry",
            f"{path} on {branch} has no entry {name} any more. Add it anew.",
        )
    if isinstance(entry, Mapping):
        # Lines that say so already stay as they are.
        fields = {key: fields[key] for key in fields if entry.get(key) != fields[key]}
    try:
        after = change_entry(before, name, fields)
    except EditRefused as error:
        raise CannotPlan("cannot-edit", str(error)) from None
    if after == before:
        raise CannotPlan("no-change", f"{path} says so already. Nothing would change.")
    _check_read_back(path, after, wish.artifact)
    told = [path, blob, after, branch, bool(asked.get("pull"))]
    meaning = hashlib.sha256(json.dumps(told).encode()).hexdigest()
    return FilePlan(base, path, blob, before, after, meaning)


def preview_file(wish: Wish) -> FilePlan:
    """`plan_file` by the right that reads the repository. Raises CannotPlan,
    ProviderError, crypto.WrongKey."""
    listing = provider_for(wish.repository).fetch_listing()
    return plan_file(wish, GitFileWriter(remote_of(wish.repository)), listing)


def write_file(held: Held, way: WriteWay) -> Outcome:
    """Commit it, and open the pull request if one was asked for."""
    row = held.row
    files = GitFileWriter(way.remote)
    for _ in range(PLANS):
        if row.status == Status.ASKED and (refused := _fix(held, way, files)):
            return refused
        try:
            commit = files.write_file(_order(row))
        except BranchMoved as error:
            if row.into:
                raise
            last = error
            held.reopen()
            continue
        html, trouble = _pull(row, way) if row.into else ("", "")
        return Outcome(
            Status.DONE,
            sentence=_sentence(row, commit, html, trouble),
            object_id=commit,
            html=html,
        )
    raise last


def _fix(held: Held, way: WriteWay, files: GitFileWriter) -> Outcome | None:
    row = held.row
    assert row.repository is not None  # noqa: S101
    wish = wish_of(row, row.repository)
    try:
        plan = plan_file(wish, files, way.writer.refs())
    except CannotPlan as error:
        return Outcome(Status.REFUSED, error.code, f"{error.sentence}")
    if row.seen and row.seen != plan.meaning:
        return Outcome(
            Status.REFUSED,
            "changed",
            f"{plan.path} was changed since this was shown to you. Nothing was "
            "written. Look at the change as it would be now, and ask again.",
        )
    branch = str(wish.fields["branch"])
    is_pull = bool(wish.fields.get("pull"))
    message = wish.message or _title(row)  # the row's may be that of an earlier try
    title = message.splitlines()[0]
    if way.right is ActionLog.Right.SHARED:
        message += f"\n\n{requested_by(row.actor, tagger_of(row))}"
    held.fix_file(
        right=way.right,
        commit_id=plan.base,
        path=plan.path,
        before_blob=plan.before_blob,
        content=plan.after,
        branch=_new_branch(row) if is_pull else branch,
        into=branch if is_pull else "",
        title=title[:255],
        message=message,
        seconds=int(database_now().timestamp()),
    )
    return None


def _order(row: ActionLog) -> FileOrder:
    tag = order_of(row)
    return FileOrder(
        base=row.commit_id,
        branch=row.branch,
        is_new_branch=bool(row.into),
        path=row.path,
        before=row.before_blob or None,
        content=row.content,
        message=row.message,
        author=tag.tagger,
        at=tag.at,
    )


def _pull(row: ActionLog, way: WriteWay) -> tuple[str, str]:
    """The address of the pull request, or why there is none. Raises Unsettled where
    that is not known: it is asked again."""
    body = f"{row.message}\n\nAsked for by {row.actor} in Muster."
    try:
        if way.github is not None:
            from indexer.providers.github.pulls import open_pull

            path = way.remote.path
            return (
                open_pull(
                    way.github,
                    path,
                    branch=row.branch,
                    base=row.into,
                    title=row.title,
                    body=body,
                ),
                "",
            )
        if way.gitlab is not None:
            from indexer.providers.gitlab.merge_requests import open_merge_request

            return (
                open_merge_request(
                    way.gitlab,
                    way.remote.provider_id or way.remote.path,
                    branch=row.branch,
                    base=row.into,
                    title=row.title,
                    body=body,
                ),
                "",
            )
    except (errors.Unavailable, errors.RateLimited) as error:
        raise errors.Unsettled(
            f"The branch {row.branch} is pushed; the request to merge it is not "
            f"opened yet. {error.sentence}"
        ) from None
    except errors.ProviderError as error:
        return "", error.sentence
    return "", "This repository has no pull requests that Muster could open."


def _sentence(row: ActionLog, commit: str, html: str, trouble: str) -> str:
    what = "added" if row.verb == Verb.ADD else "changed"
    if not row.into:
        return f"{row.artifact} is {what}: commit {commit[:7]} on {row.branch}."
    if html:
        return f"{row.artifact} will be {what} once this request is merged: {html}"
    return (
        f"The branch {row.branch} with the change is pushed, commit {commit[:7]}. "
        f"Open the request to merge it into {row.into} by hand: {trouble}"
    )


def _title(row: ActionLog) -> str:
    what = "Add" if row.verb == Verb.ADD else "Edit"
    return f"{what} artifact {row.artifact}"


def _new_branch(row: ActionLog) -> str:
    name = re.sub(r"[^A-Za-z0-9-]+", "-", row.artifact).strip("-")[:60]
    return f"muster/{row.verb}-{name}-{row.uuid.hex[:8]}"


def _entry(text: str, name: str) -> Json:
    value = parse_document("", text.encode()).value
    section = value.get("artifacts") if isinstance(value, Mapping) else None
    return section.get(name) if isinstance(section, Mapping) else None


def _check_read_back(path: str, text: str, artifact: str) -> None:
    """Raise CannotPlan unless a crawl would find this artifact in the new text."""
    value: Any = parse_document("", text.encode()).value
    found = parse_dvc_yaml(path, value)
    if artifact not in found.annotations:
        raise CannotPlan(
            "bad-entry",
            f"{path} would not be read as a model named {artifact}. Check the name and "
            "the folder.",
        )
