"""What the API answers about actions, and what the log can be asked for."""

from __future__ import annotations

from datetime import date, datetime
from typing import Literal

from ninja import Field, Schema

from indexer.api.parameters import PageParameters
from indexer.api.schemas import At, Person, Problem
from indexer.query_string import LONGEST_VALUE


class ActionProblem(Problem):
    """Why it was not done."""

    code: str | None = Field(None, description="The end of `type`: stable.")
    action: str | None = Field(
        None, description="Address of the action, if it was logged."
    )


class Action(Schema):
    """Something that was asked for through Muster, and what came of it."""

    id: str
    verb: Literal[
        "register",
        "assign",
        "restore",
        "unassign",
        "deregister",
        "deprecate",
        "revive",
        "add",
        "edit",
    ]
    status: Literal["asked", "writing", "done", "refused", "failed", "unknown"] = Field(
        description="asked and writing: not known yet, Muster goes on by itself."
    )
    code: str = Field(description="Why not, if it was not done.")
    sentence: str = Field(description="The same for people.")
    actor: str = Field(description="The user name of who asked.")
    via: Literal["page", "api"]
    token_name: str | None = Field(
        description="Of the API token; null for others than its person and admins."
    )
    remote_address: str | None = Field(description="From where; null as above.")
    right: Literal["", "own", "shared", "repository"] = Field(
        description="By whose token or credential it was written."
    )
    repository: str = Field(description="As it is called today.")
    repository_then: str = Field(description="As it was called then.")
    artifact: str
    version: str
    stage: str
    tag: str = Field(description="The tag that was, or was to be, written.")
    tag_object: str = Field(description="Its id: the same as in the history.")
    commit: str = Field(
        description="What the tag is on; of a file: what was committed."
    )
    file: str = Field(description="The file that was changed.")
    branch: str = Field(description="Where to.")
    message: str
    tagger: Person
    email_verified_by: str = Field(
        description="The server that says the tagger's e-mail is theirs. Empty: nobody "
        "does, they typed it."
    )
    pull_request: str = Field(description="Its page, if one was opened.")
    asked_at: datetime | None = At
    ended_at: datetime | None = Field(None, description="null: it goes on.")
    href: str


class Change(Schema):
    """A stage that changes hands."""

    stage: str
    before: list[str]
    after: list[str]


class TagPlan(Schema):
    """What a dry run of an action that writes a tag would write."""

    verb: str
    repository: str
    artifact: str
    version: str
    stage: str
    tag: str
    commit: str
    message: str
    tagger: Person
    changes: list[Change] = Field(description="Every stage that would change hands.")
    meaning: str = Field(description="What to send as `expect`.")


class FilePlan(Schema):
    """What a dry run of add or edit would commit."""

    verb: str
    repository: str
    artifact: str
    file: str
    branch: str
    commit: str = Field(description="On top of which: the branch's head.")
    diff: str
    text: str = Field(description="The whole file as it would be.")
    pull_request: bool
    tagger: Person
    meaning: str = Field(description="What to send as `expect`.")


class ActionParameters(PageParameters):
    repository: str = Field("", max_length=LONGEST_VALUE, description="Its name.")
    artifact: str = Field("", max_length=LONGEST_VALUE, description="Its name.")
    actor: str = Field("", max_length=LONGEST_VALUE, description="A user name.")
    verb: list[str] = Field([], description="Any of several.")
    status: list[str] = Field([], description="Any of several.")
    since: date | None = Field(None, description="A day, included.")
    until: date | None = Field(None, description="A day, included.")
