"""What must hold after whatever happened: tags and rows one to one, every action ended,
the index that of a crawl from scratch, and nothing for the next crawl to find."""

from __future__ import annotations

from datetime import timedelta

from django.db import transaction
from django.forms import model_to_dict

from indexer.crawl import crawl_repository
from indexer.index_dump import index_dump
from indexer.jobs import request_crawl
from indexer.leases import database_now
from indexer.models import ActionLog, Crawl, Repository
from tests.actions.places import ActionPlace

Status = ActionLog.Status
COPIED = (
    "url", "host", "web_url", "provider", "reading", "username", "added_at",
    "description", "connection_id", "server", "provider_id", "path", "secret", "way",
)  # fmt: skip


def done(row: ActionLog) -> ActionLog:
    """The row, which says that it was done."""
    assert row.status == Status.DONE, (row.status, row.code, row.sentence)
    return row


def check_settled(place: ActionPlace, other: int = 0) -> None:
    """Invariants of F-T1 and F-T2. `other`: so many tags are not Muster's."""
    rows = list(ActionLog.objects.order_by("pk"))
    assert not [row for row in rows if row.is_open or row.lease_id or not row.ended_at]
    assert all(row.sentence for row in rows)
    written = {row.tag: row.object_id for row in rows if row.status == Status.DONE}
    assert len(written) == sum(row.status == Status.DONE for row in rows)
    there = place.tags()
    assert written.items() <= there.items()
    assert len(there) == len(written) + other
    check_index(place)


def check_index(place: ActionPlace) -> None:
    """The crawl that follows finds nothing, and one from scratch makes the same."""
    assert place.crawl().status == Crawl.Status.UNCHANGED
    place.repository.refresh_from_db()
    assert index_dump(place.repository) == from_scratch(place.repository)


def from_scratch(repository: Repository) -> str:
    """What a Muster that knows nothing makes of the same remote."""
    fields = {name: getattr(repository, name) for name in COPIED}
    try:
        with transaction.atomic():
            Repository.objects.filter(pk=repository.pk).update(
                name="put/aside", provider_id="", path="put/aside"
            )
            fresh = Repository.objects.create(name=repository.name, **fields)
            request_crawl(fresh, trigger=Crawl.Trigger.BUTTON, wake=False)
            crawl = crawl_repository(fresh.pk)
            assert crawl is not None
            assert crawl.status == Crawl.Status.CHANGED, crawl.message
            raise _Undo(index_dump(fresh))
    except _Undo as undo:
        return undo.dump


class _Undo(Exception):
    def __init__(self, dump: str) -> None:
        super().__init__("everything is undone")
        self.dump = dump


def order_in(row: ActionLog) -> dict[str, object]:
    """What must not change once it may have been sent."""
    return model_to_dict(
        row,
        fields=["tag", "commit_id", "message", "seconds", "object_id", "version",
                "stage", "tagger_name", "tagger_email", "right"],
    )  # fmt: skip


def pass_time(row: ActionLog, by: timedelta = timedelta(minutes=10)) -> None:
    """As if the row had been let go so long ago."""
    row.refresh_from_db()
    assert row.lease_expires_at is not None
    ActionLog.objects.filter(pk=row.pk).update(
        lease_expires_at=database_now() - timedelta(seconds=1),
        sent_at=row.sent_at - by if row.sent_at else None,
    )
