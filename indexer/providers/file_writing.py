"""Writing one file as a commit: what the order says, and what is written of it.

From the same order comes the same commit, byte for byte. So its id tells, after an
answer that was lost, whether the branch has it, and Git's own "it moved meanwhile"
decides who was first."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass, replace
from typing import Protocol

from indexer.core.git_objects import TagOrder, format_tag_object, tidied
from indexer.core.plans import LONGEST_REF
from indexer.core.snapshot import LAST_SECOND, Instant, Person
from indexer.providers.errors import Refused

MAX_BYTES = 1024 * 1024  # of a file that is read or written
MAX_PATH = 1_000  # bytes
MAX_FOLDERS = 30  # each takes a look at the repository

ID = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
# https://git-scm.com/docs/git-check-ref-format
NOT_A_BRANCH = re.compile(
    r"^[-/]|//|\.\.|(?:^|/)\.|\.lock(?:/|$)|[./]$|@\{|^@$|^HEAD$|[\x00-\x20\x7f~^:?*\[\\]"
)
# What a file system may take for `.git` though it is spelled otherwise.
GIT_FOLDER = re.compile(r"\.git[ .]*(?::.*)?|git~[0-9]+", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class FileOrder:
    """A commit that changes one file on top of `base`, and nothing else."""

    base: str  # commit id on which it stands
    branch: str  # to be moved (or made) to the new commit, without refs/heads/
    is_new_branch: bool  # the branch must not exist yet (for a pull request)
    path: str  # of the file, relative to the root; "sub/dvc.yaml"
    before: str | None  # blob id the file has at `base`; None: it is not there
    content: str  # new text
    message: str
    author: Person  # also the committer
    at: Instant


class BranchMoved(Refused):
    """The branch is elsewhere than the order thought: at `there` ("": it is gone)."""

    def __init__(self, branch: str, there: str, *, is_new: bool = False) -> None:
        if is_new:
            said = (
                f"There is a branch {branch} already, at {there[:7]}. Nothing was "
                "written. Choose another name for the new branch."
            )
        else:
            now = f"it is at {there[:7]} now" if there else "it is not there any more"
            said = (
                f"The branch {branch} was changed meanwhile: {now}. Nothing was "
                "written. Look at the file again, and ask again if the change is "
                "still wanted."
            )
        super().__init__(said)
        self.there = there


class FileWriter(Protocol):
    """Writes files of one repository. Raises only `errors.ProviderError`."""

    def read_file(self, commit_id: str, path: str) -> tuple[str, str] | None:
        """Blob id and text of a file at a commit; None if it is not there. Raises
        Refused for one that is no text of ours to change (a link, a pointer of Git
        LFS, not UTF-8, too large) and for a commit that is not there."""
        ...

    def write_file(self, order: FileOrder) -> str:
        """Write the commit, move the branch to it, and return its id. The same commit
        in the branch already (an answer was lost, a click came twice) is success.
        Raises BranchMoved if somebody else was first, Refused with the remote's
        reason, and Unsettled where it is not known whether the commit was written:
        to be asked again with the same order."""
        ...


def checked(order: FileOrder) -> FileOrder:
    """The order as it is written. Raises Refused for one that cannot be, before
    anything is sent."""
    check_id(order.base)
    check_branch(order.branch)
    check_path(order.path)
    if order.before is not None and not ID.fullmatch(order.before):
        raise Refused(
            "The file as it was is not given by its whole id. Nothing was sent. Load "
            "the page again."
        )
    as_tag = tidied(_as_tag(order))
    order = replace(order, message=as_tag.message, author=as_tag.tagger)
    words = (order.author.name, order.author.email, order.message, order.content)
    if not all(map(_is_text, words)):
        raise Refused(
            "The file, the message, the name or the e-mail holds characters that "
            "cannot be kept as text. Nothing was sent. Remove them."
        )
    if len(order.content.encode()) > MAX_BYTES:
        raise Refused(
            f"The file would be larger than {MAX_BYTES // 1024} KiB, the most that "
            "Muster writes. Nothing was sent. Make it shorter."
        )
    if not order.author.name or not order.author.email:
        raise Refused("A commit needs a person with a name and an e-mail. Enter both.")
    if not order.message:
        raise Refused("A commit needs a message. Enter one.")
    if not 0 <= order.at.seconds <= LAST_SECOND or abs(order.at.offset) >= 24 * 60:
        raise Refused("The date of the commit is none that Git can keep.")
    return order


def check_id(commit_id: str) -> None:
    """Raise Refused unless it is the whole id of a commit."""
    if not ID.fullmatch(commit_id):
        raise Refused(
            "The commit is not given by its whole id. Nothing was sent. Load the page "
            "again."
        )


def check_branch(branch: str) -> None:
    """Raise Refused for a name that Git lets no branch have."""
    is_ref = len(branch.encode("utf-8", "replace")) <= LONGEST_REF
    if not branch or not _is_text(branch) or NOT_A_BRANCH.search(branch) or not is_ref:
        raise Refused(
            f"“{_shown(branch)}” cannot be the name of a branch. Nothing was sent. "
            "Choose another name."
        )


def check_path(path: str) -> None:
    """Raise Refused for a path that is not one of a file inside a repository."""
    parts = path.split("/")
    if (
        not _is_text(path)
        or len(path.encode()) > MAX_PATH
        or len(parts) > MAX_FOLDERS
        or not all(map(_is_safe, parts))
    ):
        raise Refused(
            f"“{_shown(path)}” cannot be the path of a file that Muster writes. "
            "Nothing was sent. Give a path inside the repository, such as "
            "models/dvc.yaml."
        )


def format_commit_object(order: FileOrder, tree_id: str) -> bytes:
    """The commit object (without Git's own header) of a `checked` order."""
    # A tag is signed and ended as a commit is.
    rest = format_tag_object(_as_tag(order)).partition(b"\ntagger ")[2]
    signed, _, message = rest.partition(b"\n\n")
    return b"tree %s\nparent %s\nauthor %s\ncommitter %s\n\n%s" % (
        tree_id.encode("ascii"),
        order.base.encode("ascii"),
        signed,
        signed,
        message,
    )


def _as_tag(order: FileOrder) -> TagOrder:
    return TagOrder("", order.base, order.message, order.author, order.at)


def _is_safe(part: str) -> bool:
    """Whether a name in a path is one that every file system takes for itself."""
    # Some file systems do not see these characters, and so see `.git` in other names.
    bare = "".join(c for c in part if unicodedata.category(c) != "Cf")
    return (
        part not in {"", ".", ".."}
        and "\\" not in part
        and not any(unicodedata.category(c) in {"Cc", "Zl", "Zp"} for c in part)
        and len(part.encode()) <= 255
        and GIT_FOLDER.fullmatch(bare) is None
    )


def _is_text(value: str) -> bool:
    """Whether UTF-8 can hold it, and a C string."""
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return "\0" not in value


def _shown(value: str) -> str:
    return "".join(c if c.isprintable() else "\ufffd" for c in value[:60])
