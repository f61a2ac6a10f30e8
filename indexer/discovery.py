"""Discovery: what repositories a connection's owner has, by a complete listing.

A repository is who it is by its provider's number. Only a list that came whole is
used, in one transaction; one that is missing from it is asked for by its number before
it is hidden, and nothing that was seen is ever deleted. Any error changes nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from django.db import transaction

from indexer import jobs
from indexer.catalog_names import Names
from indexer.connection_owner import keep_owner, owner_of
from indexer.leases import Held, database_now, hold
from indexer.models import Connection, Crawl, Repository
from indexer.providers.base import (
    Host,
    Owner,
    OwnerKind,
    Progress,
    RemoteRepository,
    no_progress,
)
from indexer.providers.errors import BadPayload, NotFound
from indexer.providers.registry import clone_url, web_url
from indexer.selection import selection_of
from indexer.visibility import hide, show

MAX_ASKED = 200  # missing repositories asked for by number in one discovery
GONE = (
    "{place} does not show it to this connection any more: it was deleted, or the "
    "token may not see it."
)
MOVED = "It moved to {path}, which no connection covers."


@dataclass(frozen=True, slots=True)
class Discovered:
    """What a discovery did. `changed` may have changed since it was last looked at:
    row id -> what the provider says of it now."""

    listed: int = 0
    chosen: int = 0
    new: int = 0
    renamed: int = 0
    hidden: int = 0
    shown: int = 0
    changed: Mapping[int, RemoteRepository] = field(default_factory=dict)


@dataclass(slots=True)
class _Missing:
    """What became of a repository that the list does not have: it is to be hidden
    (`why`), or is elsewhere, for another connection to take."""

    why: str = ""
    remote: RemoteRepository | None = None
    taker: Connection | None = None


def discover(
    connection: Connection,
    host: Host,
    lease: Held | None = None,
    progress: Progress = no_progress,
) -> Discovered:
    """Make the repositories of a connection those its owner has and its patterns take.
    Raises ProviderError, and then nothing has changed; LeaseLost."""
    owner = owner_of(connection) or host.find_owner(connection.owner)
    listed = host.list_repositories(
        owner, with_subgroups=connection.with_subgroups, progress=progress
    )
    by_id = {remote.id: remote for remote in listed}
    if len(by_id) != len(listed) or "" in by_id:
        raise BadPayload(
            f"{connection.provider_name} listed a repository twice. Nothing was "
            "changed."
        )
    selection = selection_of(connection)
    why_not = {remote.id: selection.why_not(remote) for remote in listed}
    missing = _ask_for_missing(connection, owner, host, by_id)
    with transaction.atomic():
        now = database_now()
        if lease is not None:
            hold(lease)
        keep_owner(connection, _as_listed(connection, owner, listed))
        work = _Work(connection, now)
        work.leave(missing, {key: why for key, why in why_not.items() if why})
        work.take([remote for remote in listed if not why_not[remote.id]])
        found = work.result(len(listed))
        Connection.objects.filter(pk=connection.pk).update(
            discovered_at=now, listed_count=len(listed)
        )
    return found


def _as_listed(
    connection: Connection, owner: Owner, listed: Sequence[RemoteRepository]
) -> Owner:
    """The owner by the name its repositories bear, where it was renamed: all of them
    begin with it."""
    first = {remote.path.rsplit("/", 1)[0] for remote in listed}
    if connection.kind == Connection.Kind.GITHUB and len(first) == 1:
        return Owner(owner.kind, owner.id, first.pop())
    return owner


def _ask_for_missing(
    connection: Connection,
    owner: Owner,
    host: Host,
    listed: Mapping[str, RemoteRepository],
) -> dict[str, _Missing]:
    """What became of those we have and the list does not: only what the provider says
    of each counts. More than MAX_ASKED wait for the next discovery."""
    known = (
        Repository.objects.filter(
            connection=connection, server=connection.server, hidden_at=None
        )
        .exclude(provider_id="")
        .order_by("pk")
        .values_list("provider_id", flat=True)
    )
    # Not in the query: SQLite takes 32,766 values in one.
    ids = [repository_id for repository_id in known if repository_id not in listed]
    found = {}
    for repository_id in ids[:MAX_ASKED]:
        try:
            remote = host.fetch_repository(repository_id)
        except NotFound:
            why = GONE.format(place=connection.provider_name)
            found[repository_id] = _Missing(why)
            continue
        if remote.id != repository_id:
            raise BadPayload(
                f"{connection.provider_name} answered with another repository than "
                "asked for. Nothing was changed."
            )
        fate = _fate(connection, owner, remote)
        if fate is not None:
            found[repository_id] = fate
    return found


def _fate(
    connection: Connection, owner: Owner, remote: RemoteRepository
) -> _Missing | None:
    """Of a repository that is there and not listed. None: the owner still has it, so
    the list lacks it for a reason we do not know, and nothing is changed."""
    if owner.kind is OwnerKind.INSTALLATION:
        return _Missing(
            "The GitHub App may not read it any more. Whoever owns the organisation "
            "can give it back in the installation's settings."
        )
    place = remote.path.rsplit("/", 1)[0].lower()
    own = owner.path.lower()
    if place == own:
        return None
    if place.startswith(f"{own}/"):
        if connection.with_subgroups:
            return None
        return _Missing("It is in a sub-group, and those are left out.", remote)
    for other in Connection.objects.filter(
        kind=connection.kind, server=connection.server, is_enabled=True
    ).exclude(state=Connection.State.DRAFT):
        covered = other.owner.lower()
        inside = other.with_subgroups and place.startswith(f"{covered}/")
        covers = bool(covered) and (place == covered or inside)
        if covers and not selection_of(other).why_not(remote):
            return _Missing("", remote, other)
    return _Missing(MOVED.format(path=remote.path), remote)


class _Work:
    """The writing of one discovery, in its transaction."""

    def __init__(self, connection: Connection, now: datetime) -> None:
        self.connection = connection
        self.now = now
        self.names = Names(connection)
        rows = Repository.objects.filter(
            provider=connection.kind, server=connection.server
        ).exclude(provider_id="")
        self.rows = {row.provider_id: row for row in rows.defer("secret")}
        self.counts = {"chosen": 0, "new": 0, "renamed": 0, "hidden": 0, "shown": 0}
        self.changed: dict[int, RemoteRepository] = {}
        self.to_crawl: list[int] = []  # new ones
        self.to_index: list[int] = []  # called otherwise, or back again

    def leave(
        self, missing: Mapping[str, _Missing], left_out: Mapping[str, str]
    ) -> None:
        """Hide what is gone, and what patterns leave out now."""
        for repository_id, fate in missing.items():
            row = self.rows[repository_id]
            if fate.taker is not None and fate.remote is not None:
                self._rename([fate.remote])
                self._update(row, fate.remote, fate.taker)
            else:
                self._hide(row, fate.why)
        for repository_id, why in left_out.items():
            found = self.rows.get(repository_id)
            if found is not None and found.connection_id == self.connection.pk:
                self._hide(found, f"The connection leaves it out: {why}.")

    def take(self, remotes: Sequence[RemoteRepository]) -> None:
        """Add what is new, bring up to date what is there."""
        self.counts["chosen"] = len(remotes)
        known = [remote for remote in remotes if self._is_ours(remote)]
        self._rename(known)
        for remote in known:
            row = self.rows[remote.id]
            if row.hidden_at is not None:
                show(row)
                self.counts["shown"] += 1
                self.to_index.append(row.pk)
            self._update(row, remote)
        for remote in remotes:
            if remote.id not in self.rows:
                self._add(remote)

    def result(self, listed: int) -> Discovered:
        """What was done; the crawls that follow from it are asked for."""
        jobs.request_crawls(self.to_crawl, trigger=Crawl.Trigger.ADDED)
        jobs.request_crawls(
            list(dict.fromkeys(self.to_index)), trigger=Crawl.Trigger.POLL
        )
        return Discovered(listed=listed, changed=self.changed, **self.counts)

    def _is_ours(self, remote: RemoteRepository) -> bool:
        """Whether it is a row this connection may change. That of no connection is
        taken, and so is a hidden one of another."""
        row = self.rows.get(remote.id)
        if row is None:
            return False
        own = row.connection_id in {None, self.connection.pk}
        return own or row.hidden_at is not None

    def _hide(self, row: Repository, why: str) -> None:
        if row.hidden_at is None:
            self.counts["hidden"] += 1
            hide(row, why, self.now)
            self.names.give_away(row)
        elif row.hidden_why != why[:300]:
            row.hidden_why = why[:300]
            row.save(update_fields=["hidden_why"])

    def _rename(self, remotes: Sequence[RemoteRepository]) -> None:
        moved = []
        for remote in remotes:
            row = self.rows[remote.id]
            if row.path != remote.path or self.names.is_given_up(row):
                moved.append((row, remote.path))
        for row in self.names.rename(moved, self.now):
            self.to_index.append(row.pk)
            self.counts["renamed"] += 1

    def _update(
        self,
        row: Repository,
        remote: RemoteRepository,
        connection: Connection | None = None,
    ) -> None:
        """Write what the provider says of it. `pushed_at` waits until somebody has
        looked at what was pushed."""
        connection = connection or self.connection
        fields = self._fields(connection, remote)
        if row.connection_id != connection.pk:
            fields["connection_id"] = connection.pk
        before = row.url
        changed = [name for name, new in fields.items() if getattr(row, name) != new]
        for name in changed:
            setattr(row, name, fields[name])
        if changed:
            row.save(update_fields=[name.removesuffix("_id") for name in changed])
        if row.url != before:
            self.to_index.append(row.pk)
        if row.pushed_at != remote.pushed_at or (
            row.default_branch != remote.default_branch and row.head
        ):
            self.changed[row.pk] = remote

    def _add(self, remote: RemoteRepository) -> None:
        adopted = self.names.added_by_address(remote.path)
        if adopted is not None:
            adopted.provider_id = remote.id
            adopted.connection = self.connection
            adopted.server = self.connection.server
            adopted.save(update_fields=["provider_id", "connection", "server"])
            self.rows[remote.id] = adopted
            self._update(adopted, remote)
            self.to_index.append(adopted.pk)
            return
        row = Repository(
            name=self.names.free(remote.path),
            connection=self.connection,
            server=self.connection.server,
            provider_id=remote.id,
            default_branch=remote.default_branch[:255],
            pushed_at=remote.pushed_at,
            added_at=self.now,
            added_by=self.connection.added_by,
            **self._fields(self.connection, remote),
        )
        row.save(force_insert=True)
        self.rows[remote.id] = row
        self.counts["new"] += 1
        self.to_crawl.append(row.pk)

    def _fields(
        self, connection: Connection, remote: RemoteRepository
    ) -> dict[str, Any]:
        return {
            "provider": connection.kind,
            "path": remote.path,
            "url": clone_url(connection, remote.path),
            "web_url": web_url(connection, remote.path),
            "host": urlsplit(connection.web_url).hostname or "",
            "description": remote.description,
            "is_archived": remote.is_archived,
            "is_fork": remote.is_fork,
            "is_private": remote.is_private,
        }
