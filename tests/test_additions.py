"""The short way of a crawl gives the same rows as the long one, and is taken. Random
growths: tests/test_growth.py."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, cast
from unittest.mock import patch

import pytest
from django.contrib.auth.models import AnonymousUser

from indexer import additions, gto_compat, jobs
from indexer import crawl as crawling
from indexer.core.snapshot import ObjectType, RepositorySnapshot
from indexer.crawl import crawl_repository
from indexer.history import HistoryFilters, history_rows
from indexer.index_dump import index_dump
from indexer.models import Crawl, Repository
from indexer.providers.base import Known, Listing, Progress, no_progress
from tests.builders import HOUR, START, History, make_repository

pytestmark = pytest.mark.django_db


class HistoryProvider:
    """A provider of a made-up history. `asked` is how many tags each reading named."""

    def __init__(self, history: History) -> None:
        self.history = history
        self.asked: list[int] = []

    def fetch_listing(self) -> Listing:
        snapshot = self.history.snapshot()
        return Listing(
            tags={tag.ref: tag.object_id for tag in snapshot.tags},
            branches=snapshot.branches,
            default_branch=snapshot.default_branch,
            head=snapshot.head,
        )

    def fetch_snapshot(
        self, listing: Listing, known: Known, progress: Progress = no_progress
    ) -> RepositorySnapshot:
        whole = self.history.snapshot()
        tags = tuple(tag for tag in whole.tags if tag.ref in listing.tags)
        named = {tag.commit_id for tag in tags} | {whole.head}
        commits = {key: one for key, one in whole.commits.items() if key in named}
        blobs = {file.blob_id for one in commits.values() for file in one.files}
        self.asked.append(len(tags))
        return replace(
            whole,
            tags=tags,
            commits=commits,
            documents={key: whole.documents[key] for key in blobs},
        )


@pytest.fixture(autouse=True)
def small_is_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(additions, "FEWEST_TAGS", 0)
    monkeypatch.setattr(additions, "LARGEST_SHARE", 10.0)


def crawl(repository: Repository, provider: HistoryProvider) -> Crawl:
    jobs.request_crawl(repository, trigger=Crawl.Trigger.BUTTON, wake=False)
    with patch.object(crawling, "provider_for", return_value=provider):
        done = crawl_repository(repository.pk)
    assert done is not None
    assert done.status != Crawl.Status.FAILED, done.message
    return done


def grown_and_fresh(repository: Repository, provider: HistoryProvider) -> None:
    """The rows that grew equal those made from nothing."""
    grown = index_dump(repository)
    Repository.objects.all().delete()
    fresh = make_repository(repository.name, reading=repository.reading)
    crawl(fresh, provider)
    assert grown == index_dump(fresh)


@pytest.fixture
def history() -> History:
    history = History().annotate(
        churn={"type": "model", "labels": ["a"]}, other={"type": "dataset"}
    )
    for patch_number in range(5):
        history.register("churn", f"v1.0.{patch_number}")
        history.register("fraud", f"v1.0.{patch_number}")
    history.commit()
    return history


def test_one_new_tag_reads_one_tag(history: History) -> None:
    repository, provider = make_repository(), HistoryProvider(history)
    crawl(repository, provider)
    history.assign("churn", "prod", "v1.0.3")
    done = crawl(repository, provider)
    assert provider.asked == [10, 1]
    assert (done.counts["new_tags"], done.counts["new_events"]) == (1, 1)
    assert (done.counts["tags"], done.counts["events"]) == (11, 11)
    assert done.counts["changed_artifacts"] == 1
    grown_and_fresh(repository, provider)


def test_a_new_artifact_and_a_new_commit_come_by_the_short_way(
    history: History,
) -> None:
    repository, provider = make_repository(), HistoryProvider(history)
    crawl(repository, provider)
    head = history.head
    elsewhere = history.commit({"dvc.yaml": {"artifacts": {"neu": {"type": "model"}}}})
    history.head = head  # the commit is on another branch
    history.register("neu", "v1.0.0", on=elsewhere).lightweight("nightly", elsewhere)
    crawl(repository, provider)
    assert provider.asked == [10, 2]
    grown_and_fresh(repository, provider)


@pytest.mark.parametrize("tags", [0, 1])
def test_a_head_that_annotates_alike_comes_by_the_short_way(
    history: History, tags: int
) -> None:
    repository, provider = make_repository(), HistoryProvider(history)
    crawl(repository, provider)
    for number in range(2):  # the head that is left has no tag of its own, or one
        history.commit()
        if tags:
            history.register("churn", f"v2.0.{number}", on=history.head)
        crawl(repository, provider)
        repository.refresh_from_db()
        assert repository.head == history.head
        assert provider.asked[-1] == tags
    grown_and_fresh(repository, provider)


def test_a_head_left_with_a_foreign_tag_is_read_whole(history: History) -> None:
    repository, provider = make_repository(), HistoryProvider(history)
    history.tag("release-1", history.head)
    crawl(repository, provider)
    history.commit()
    crawl(repository, provider)
    assert provider.asked[-1] == len(history.tags)
    grown_and_fresh(repository, provider)


@pytest.mark.parametrize(
    "change",
    [
        "head", "artifacts-yaml", "gone", "moved", "same-second", "problem",
        "second-ref", "reading",
    ],
)  # fmt: skip
def test_what_concerns_more_is_read_whole(history: History, change: str) -> None:
    repository, provider = make_repository(), HistoryProvider(history)
    crawl(repository, provider)
    count = len(history.tags)
    history.assign("churn", "prod", "v1.0.3")
    if change == "head":
        history.annotate(churn={"type": "model", "labels": ["b"]})
    elif change == "artifacts-yaml":
        history.commit({"artifacts.yaml": {"churn": {"type": "model"}}})
        crawl(repository, provider)
        history.commit()
    elif change == "gone":
        history.without("fraud@v1.0.1")
    elif change == "moved":
        history.without("fraud@v1.0.1").register("fraud", "v1.0.1", on=history.head)
    elif change == "same-second":
        history.assign("fraud", "prod", "v1.0.3", at=history.clock)
        crawl(repository, provider)
        count += 2
        history.assign("churn", "dev", "v1.0.3", at=history.clock)
    elif change == "problem":
        history.tag("churn#dev", history.head, target_type=ObjectType.TREE)
    elif change == "second-ref":
        history.tags.append(replace(history.tags[0], ref="another"))
    elif change == "reading":
        repository.reading = "kanban"
        repository.save(update_fields=["reading"])
    crawl(repository, provider)
    assert provider.asked[-1] == len(history.tags), provider.asked
    grown_and_fresh(repository, provider)


@pytest.fixture
def tied() -> History:
    """Two artifacts registered in one second, and one that has nothing to do with
    it."""
    history = History().register("z", "v1.0.0")
    for name in "ab":
        history.register(name, "v1.0.0", on=history.head, at=START)
    return history


def order_of(repository: Repository) -> list[str]:
    """The tags of a repository's events as `/activity` shows them, newest first."""
    filters = HistoryFilters(repository=repository.name)
    return [event.tag for event in history_rows(AnonymousUser(), filters)]


def test_a_tag_that_moves_an_artifact_among_others_is_read_whole(
    tied: History, settings: Any
) -> None:
    """gto reads deprecations first, so `b` comes before `a` from then on."""
    settings.MUSTER_PUBLIC_READ = True
    repository, provider = make_repository(), HistoryProvider(tied)
    crawl(repository, provider)
    assert order_of(repository) == ["z@v1.0.0", "b@v1.0.0", "a@v1.0.0"]
    tied.deprecate("b", at=START + 10 * HOUR)
    crawl(repository, provider)
    assert provider.asked[-1] == 4
    expected = ["b@deprecated", "z@v1.0.0", "a@v1.0.0", "b@v1.0.0"]
    assert order_of(repository) == expected
    told = gto_compat.history(gto_compat.Wanted(repository, ""))
    assert [entry["ref"] for entry in cast(list[dict[str, str]], told)] == expected
    grown_and_fresh(repository, provider)


def test_events_keep_their_place_in_a_second_that_others_share(tied: History) -> None:
    repository, provider = make_repository(), HistoryProvider(tied)
    crawl(repository, provider)
    tied.assign("b", "prod", "v1.0.0").assign("a", "prod", "v1.0.0")
    crawl(repository, provider)
    assert provider.asked == [3, 2]
    grown_and_fresh(repository, provider)


@pytest.mark.parametrize("is_shared", [False, True])
def test_a_tag_of_an_earlier_date_shifts_the_events_of_its_artifact(
    is_shared: bool,
) -> None:
    """Versions come in the order of their first tags, in every second."""
    history = History()
    for version in ("v1.0.0", "v2.0.0"):
        history.register("m", version, at=START)
    if is_shared:
        history.register("n", "v1.0.0", at=START)
    repository, provider = make_repository(), HistoryProvider(history)
    crawl(repository, provider)
    history.tag("m@v2.0.0#2", history.commit_of["m", "v2.0.0"], at=START - HOUR)
    crawl(repository, provider)
    assert provider.asked[-1] == (4 if is_shared else 1)
    grown_and_fresh(repository, provider)
