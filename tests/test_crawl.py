"""A crawl: what becomes of the repository, whatever the remote does."""

from __future__ import annotations

import logging
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from indexer import crawl as crawling
from indexer import jobs, leases
from indexer.crawl import crawl_repository
from indexer.index_dump import index_dump
from indexer.models import Artifact, Crawl, Document, Event, Repository, Snapshot, Tag
from indexer.providers import errors
from indexer.repositories import add_repository, mirror_path
from tests.providers.git_server import GitServer, serve_git
from tests.providers.raw_repository import RawRepository, simple_repository

pytestmark = pytest.mark.django_db
WRITES = re.compile(r'\b(?:INSERT INTO|UPDATE|DELETE FROM|COPY) "(\w+)"')


@pytest.fixture(autouse=True)
def own_data(settings: Any, tmp_path: Path) -> Path:
    data = tmp_path / "data"
    settings.MUSTER_DATA = data
    settings.MUSTER_ALLOW_LOCAL = settings.MUSTER_ALLOW_PRIVATE = True
    return data


@pytest.fixture
def remote(tmp_path: Path) -> RawRepository:
    return simple_repository(tmp_path / "remotes" / "churn.git")


@pytest.fixture
def server(tmp_path: Path) -> Iterator[GitServer]:
    (tmp_path / "remotes").mkdir(exist_ok=True)
    with serve_git(tmp_path / "remotes") as running:
        yield running


def added(remote: RawRepository | str, name: str = "acme/churn") -> Repository:
    url = remote if isinstance(remote, str) else str(remote.path)
    return add_repository(url, name=name, wake=False)


def crawled(repository: Repository) -> Crawl:
    jobs.request_crawl(repository, trigger=Crawl.Trigger.BUTTON, wake=False)
    crawl = crawl_repository(repository.pk)
    assert crawl is not None
    repository.refresh_from_db()
    return crawl


def from_scratch(repository: Repository) -> str:
    """The oracle: the same remote crawled by a Muster that knows nothing."""
    before = repository.name, repository.url
    fresh = Repository.objects.create(
        name="oracle", url=before[1], added_at=repository.added_at,
        reading=repository.reading, host=repository.host,
    )  # fmt: skip
    crawled(fresh)
    Repository.objects.filter(pk=repository.pk).update(name="aside")
    Repository.objects.filter(pk=fresh.pk).update(name=before[0])
    fresh.refresh_from_db()
    fresh.fingerprint = ""
    fresh.save(update_fields=["fingerprint"])
    crawled(fresh)
    dump = index_dump(fresh)
    fresh.delete()
    Repository.objects.filter(pk=repository.pk).update(name=before[0])
    return dump


def written(queries: CaptureQueriesContext) -> set[str]:
    """The tables that were written."""
    return {found[1] for query in queries if (found := WRITES.search(query["sql"]))}


def test_a_repository_is_indexed(remote: RawRepository) -> None:
    repository = added(remote)
    crawl = crawled(repository)
    assert crawl.status == Crawl.Status.CHANGED
    assert crawl.counts["new_tags"] == 3
    assert (repository.state, repository.message) == ("ok", "")
    assert (repository.default_branch, repository.tag_count) == ("main", 3)
    assert Artifact.objects.get().latest_version == "v3.0.0"


def test_an_unchanged_repository_costs_one_round_trip_and_two_rows(
    remote: RawRepository, server: GitServer
) -> None:
    repository = added(server.url_of(remote.path))
    crawled(repository)
    before = index_dump()
    round_trips = server.round_trips()
    with CaptureQueriesContext(connection) as queries:
        crawl = crawled(repository)
    assert crawl.status == Crawl.Status.UNCHANGED
    # One listing: protocol v2 asks for capabilities, then for the refs.
    assert server.round_trips() - round_trips <= 2
    assert written(queries) == {"indexer_repository", "indexer_crawl"}
    assert index_dump() == before


def test_a_push_to_another_branch_is_kept_and_costs_one_round_trip(
    remote: RawRepository, server: GitServer
) -> None:
    """A commit is picked from the branches that were seen last."""
    repository = added(server.url_of(remote.path))
    crawled(repository)
    main, branch = remote.refs[b"refs/heads/main"], b"refs/heads/new"
    for tip in (main, remote.commit(remote.files({}), parents=[main]), None):
        if tip is None:
            del remote.refs[branch]
        else:
            remote.refs[branch] = tip
        remote.finish()
        round_trips = server.round_trips()
        with CaptureQueriesContext(connection) as queries:
            crawl = crawled(repository)
        assert crawl.status == Crawl.Status.CHANGED
        assert server.round_trips() - round_trips <= 2
        assert written(queries) == {
            "indexer_repository", "indexer_crawl", "indexer_snapshot",
        }  # fmt: skip
        assert Snapshot.objects.get().branches.get("new") == tip
        assert index_dump(repository) == from_scratch(repository)
    assert crawled(repository).status == Crawl.Status.UNCHANGED


def test_a_first_branch_that_is_not_the_default_one_is_a_problem(
    tmp_path: Path,
) -> None:
    remote = RawRepository(tmp_path / "headless.git")
    commit = remote.commit(remote.files({}))
    remote.version("m@v1.0.0", commit)
    remote.finish()
    repository = added(remote)
    crawled(repository)
    for branches in ({b"refs/heads/dev": commit}, {}):
        remote.refs = {
            ref: key for ref, key in remote.refs.items() if b"/tags/" in ref
        } | branches
        remote.finish()
        crawled(repository)
        assert repository.problem_count == len(branches)
        assert index_dump(repository) == from_scratch(repository)


def test_one_new_tag_is_found(remote: RawRepository) -> None:
    repository = added(remote)
    crawled(repository)
    remote.version("churn#prod", remote.refs[b"refs/heads/main"])
    remote.finish()
    assert crawled(repository).counts["new_events"] == 1
    assert index_dump(repository) == from_scratch(repository)


def test_F_G1_moved_deleted_and_rewritten_equals_from_scratch(
    remote: RawRepository,
) -> None:
    repository = added(remote)
    crawled(repository)
    del remote.refs[b"refs/tags/churn@v1.0.0"]
    tree = remote.files({"artifacts.yaml": b"other:\n  type: model\n  path: o\n"})
    rewritten = remote.commit(tree, message=b"All anew\n")
    remote.refs[b"refs/heads/main"] = rewritten
    remote.version("churn@v2.0.0", rewritten)
    remote.refs[b"refs/tags/churn@v3.0.0"] = rewritten  # lightweight now
    remote.finish()
    crawl = crawled(repository)
    assert (crawl.counts["moved_tags"], crawl.counts["gone_tags"]) == (2, 1)
    assert index_dump(repository) == from_scratch(repository)
    gone = Tag.objects.filter(repository=repository, gone_at__isnull=False)
    assert {tag.ref for tag in gone} == {
        "churn@v1.0.0", "churn@v2.0.0", "churn@v3.0.0",
    }  # fmt: skip


def test_a_default_branch_that_is_renamed_is_followed(remote: RawRepository) -> None:
    repository = added(remote)
    crawled(repository)
    remote.refs[b"refs/heads/trunk"] = remote.refs.pop(b"refs/heads/main")
    remote.head = b"ref: refs/heads/trunk\n"
    remote.finish()
    crawled(repository)
    assert repository.default_branch == "trunk"
    assert index_dump(repository) == from_scratch(repository)


def test_F_P5_an_empty_repository_says_what_to_push(tmp_path: Path) -> None:
    repository = added(RawRepository(tmp_path / "empty.git"))
    crawled(repository)
    assert repository.state == Repository.State.EMPTY
    assert "no commits yet" in repository.message


def test_F_P5_tags_without_a_default_branch_are_indexed(remote: RawRepository) -> None:
    remote.head = b"ref: refs/heads/nowhere\n"
    remote.finish()
    repository = added(remote)
    crawled(repository)
    assert repository.state == Repository.State.OK
    assert "no default branch" in repository.message
    assert Event.objects.count() == 3


def test_F_P5_a_repository_that_is_gone_keeps_its_index(
    remote: RawRepository, server: GitServer
) -> None:
    repository = added(server.url_of(remote.path))
    crawled(repository)
    before = index_dump()
    remote.path.rename(remote.path.with_name("elsewhere.git"))
    crawl = crawled(repository)
    assert crawl.status == Crawl.Status.FAILED
    assert repository.state in {Repository.State.GONE, Repository.State.DENIED}
    assert index_dump() == before
    remote.path.with_name("elsewhere.git").rename(remote.path)
    crawled(repository)
    assert (repository.state, repository.message) == ("ok", "")


def test_F_P5_a_repository_made_again_under_its_name_is_read_anew(
    remote: RawRepository, tmp_path: Path
) -> None:
    repository = added(remote)
    crawled(repository)
    remote.path.rename(tmp_path / "old.git")
    again = simple_repository(remote.path, tags=1)
    again.version("other@v1.0.0", again.refs[b"refs/heads/main"])
    again.finish()
    crawled(repository)
    assert set(Artifact.objects.values_list("name", flat=True)) == {"churn", "other"}
    assert index_dump(repository) == from_scratch(repository)


def test_F_P4_a_repository_that_wants_a_password_is_denied(
    remote: RawRepository, server: GitServer
) -> None:
    server.username, server.password = "u", "p"
    repository = added(server.url_of(remote.path))
    crawled(repository)
    assert repository.state == Repository.State.DENIED
    assert repository.message


def test_F_G4_a_mirror_that_is_gone_or_broken_is_made_again(
    remote: RawRepository,
) -> None:
    repository = added(remote)
    crawled(repository)
    mirror = mirror_path(repository.pk)
    for number in range(2):
        if number == 0:
            subprocess.run(["rm", "-rf", str(mirror)], check=True)
        else:
            for pack in mirror.rglob("*.pack"):
                pack.chmod(0o600)
                pack.write_bytes(b"garbage")
        remote.version(f"churn#stage{number}", remote.refs[b"refs/heads/main"])
        remote.finish()
        crawl = crawled(repository)
        if crawl.status == Crawl.Status.FAILED:  # noticed, mended by the next
            crawl = crawled(repository)
        assert crawl.status == Crawl.Status.CHANGED, repository.message
        assert index_dump(repository) == from_scratch(repository)


PROVIDER_ERRORS: list[tuple[errors.ProviderError, str]] = [
    (errors.AddressRefused("Refused."), "failing"),
    (errors.AccessDenied("Denied."), "denied"),
    (errors.NotFound("Gone."), "gone"),
    (errors.Unavailable("Down."), "unreachable"),
    (errors.TooLarge("Large."), "too_large"),
    (errors.BadPayload("Odd."), "failing"),
]


@pytest.mark.parametrize(("error", "state"), PROVIDER_ERRORS)
def test_I2_a_failed_crawl_changes_nothing_but_its_state(
    remote: RawRepository, error: errors.ProviderError, state: str
) -> None:
    repository = added(remote)
    crawled(repository)
    before = index_dump()
    success = repository.last_success_at
    with patch.object(crawling, "provider_for", side_effect=error):
        crawl = crawled(repository)
    assert crawl.status == Crawl.Status.FAILED
    assert (repository.state, repository.message) == (state, error.sentence)
    assert repository.last_success_at == success
    assert index_dump() == before


@pytest.mark.parametrize(
    "error",
    [
        AssertionError("secret text"), RuntimeError("secret text"), TypeError("x"),
        KeyError("secret text"), RecursionError(), MemoryError(), ValueError("x"),
        UnicodeDecodeError("utf-8", b"secret", 0, 1, "secret"), OSError(28, "No space"),
    ],
    ids=lambda error: type(error).__name__,
)  # fmt: skip
def test_F_P3_an_error_nobody_foresaw_is_a_plain_sentence_and_a_log_line(
    remote: RawRepository, error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    repository = added(remote)
    crawled(repository)
    before = index_dump()
    with (
        caplog.at_level(logging.ERROR),
        patch.object(crawling, "provider_for", side_effect=error),
    ):
        crawl = crawled(repository)
    assert repository.next_crawl_at is not None
    when = leases.clock(repository.next_crawl_at)
    assert (
        crawl.message
        == repository.message
        == (
            f"Muster met an error it did not expect ({type(error).__name__}). It will "
            f"try again at {when}; the log has the details."
        )
    )
    assert "secret" not in repository.message
    assert any(record.exc_info for record in caplog.records)
    assert index_dump() == before


def test_what_is_not_owed_is_not_crawled(remote: RawRepository) -> None:
    repository = added(remote)
    crawled(repository)
    assert crawl_repository(repository.pk) is None


def test_another_reading_is_indexed_though_the_remote_did_not_change(
    remote: RawRepository,
) -> None:
    for version in (1, 2):
        tag = f"refs/tags/churn@v{version}.0.0".encode()
        body = remote.object_path(remote.refs[tag])
        assert body.exists()
    head = remote.refs[b"refs/heads/main"]
    remote.version("churn#prod", head)
    remote.finish()
    repository = added(remote)
    crawled(repository)
    repository.reading = "kanban"
    repository.save(update_fields=["reading"])
    assert crawled(repository).status == Crawl.Status.CHANGED
    assert index_dump(repository) == from_scratch(repository)


def test_a_rebuild_makes_the_same_rows_and_remembers_tags(
    remote: RawRepository,
) -> None:
    repository = added(remote)
    crawled(repository)
    seen = dict(Tag.objects.values_list("ref", "first_seen_at"))
    before = index_dump()
    ids = set(Artifact.objects.values_list("pk"))
    jobs.request_crawl(repository, trigger=Crawl.Trigger.COMMAND, wake=False)
    crawl = crawl_repository(repository.pk, afresh=True)
    assert crawl is not None
    assert crawl.status == Crawl.Status.CHANGED
    assert index_dump() == before
    assert ids.isdisjoint(Artifact.objects.values_list("pk"))
    assert dict(Tag.objects.values_list("ref", "first_seen_at")) == seen


def test_progress_is_written_and_cleared(remote: RawRepository) -> None:
    repository = added(remote)
    phases: list[tuple[str, str]] = []

    def watch(phase: str, done: int, total: int) -> None:
        row = Crawl.objects.get(status=Crawl.Status.RUNNING)
        phases.append((phase, row.phase))

    jobs.request_crawl(repository, trigger=Crawl.Trigger.BUTTON, wake=False)
    crawl = crawl_repository(repository.pk, watch=watch)
    assert crawl is not None
    assert len(phases) >= 3
    assert phases[0][1] == "Connecting"
    assert phases[1][1] == phases[0][0]
    assert (crawl.phase, crawl.total) == ("", 0)


def test_a_repository_removed_during_its_crawl_ends_it_quietly(
    remote: RawRepository,
) -> None:
    from indexer.repositories import remove_repository

    repository = added(remote)

    def watch(phase: str, done: int, total: int) -> None:
        if phase == "Writing the index":
            remove_repository(repository)

    jobs.request_crawl(repository, trigger=Crawl.Trigger.BUTTON, wake=False)
    assert crawl_repository(repository.pk, watch=watch) is None
    assert not Artifact.objects.exists()
    assert not Crawl.objects.exists()


def test_an_upgrade_reads_files_again_that_it_may_read_otherwise(
    remote: RawRepository, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What an earlier Muster made of a file is not kept for ever."""
    repository = added(remote)
    crawled(repository)
    right = list(Document.objects.order_by("blob_id").values_list("blob_id", "value"))
    assert Document.objects.update(value={})
    monkeypatch.setattr(crawling, "INDEX_VERSION", -1)
    assert crawled(repository).status == Crawl.Status.CHANGED
    found = Document.objects.order_by("blob_id").values_list("blob_id", "value")
    assert list(found) == right
