"""From a push to the catalog: a server of GitHub's kind over real Git, a real crawl,
and at last the real processes."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as site
from django.test import Client
from django.utils import timezone

from indexer import jobs
from indexer.crawl import crawl_repository
from indexer.crypto import decrypt
from indexer.models import Crawl, Hook, Repository, Tag
from tests.faults.conftest import database_url
from tests.hooks.deliveries import deliver
from tests.hooks.servers import connected, ensure
from tests.process_tree import MANAGE, environment, running, wait_until
from tests.providers.github_server import GitHubServer
from tests.services import free_port

PATH = "acme/model-000"


def push_tag(server: GitHubServer, *names: str) -> None:
    """Push annotated tags, at once."""
    with server.pushing(PATH) as bare:
        for name in names:
            make_tag(bare, name)


def make_tag(bare: Path, name: str) -> None:
    subprocess.run(
        ["git", "-C", str(bare), "tag", "-a", name, "-m", f"Tag {name}", "main"],
        env={
            **os.environ,
            "GIT_COMMITTER_NAME": "Alice",
            "GIT_COMMITTER_EMAIL": "alice@example.com",
            "GIT_CONFIG_GLOBAL": os.devnull,
        },
        check=True,
    )


def tell(client: Client, hook: Hook, repository: Repository, name: str) -> None:
    """Deliver what GitHub says of a new tag."""
    payload = {
        "ref": f"refs/tags/{name}",
        "repository": {
            "id": int(repository.provider_id),
            "default_branch": "main",
        },
    }
    response = deliver(client, hook, "push", payload, secret=decrypt(hook.secret))
    assert response.content == b"push: crawl asked for\n"


def seen() -> set[str]:
    return set(Tag.objects.filter(gone_at=None).values_list("ref", flat=True))


@pytest.mark.django_db
@pytest.mark.parametrize("way", ["api", "mirror"])
def test_F_K1_what_is_pushed_while_a_crawl_runs_is_crawled_after_it(
    server: GitHubServer, client: Client, way: str
) -> None:
    """Push A, hook, a crawl that has looked already, push B, hook: B is indexed."""
    connection = connected(server, way=way)
    ensure(connection)
    hook = Hook.objects.get()
    repository = Repository.objects.get()
    phases: list[str] = []

    def push_meanwhile(phase: str, done: int, total: int) -> None:
        if not phases:  # the refs were listed before it reads
            push_tag(server, "churn@v5.0.0")
            tell(client, hook, repository, "churn@v5.0.0")
        phases.append(phase)

    push_tag(server, "churn@v4.0.0")
    tell(client, hook, repository, "churn@v4.0.0")
    first = crawl_repository(repository.pk, watch=push_meanwhile)
    assert phases
    assert first is not None
    assert (first.status, first.trigger) == (Crawl.Status.CHANGED, Crawl.Trigger.HOOK)
    assert "churn@v4.0.0" in seen()
    assert "churn@v5.0.0" not in seen()
    second = crawl_repository(repository.pk)
    assert second is not None
    assert second.status == Crawl.Status.CHANGED
    assert "churn@v5.0.0" in seen()
    assert crawl_repository(repository.pk) is None


@pytest.mark.django_db
def test_W5_tags_that_no_event_told_of_are_found_by_the_next_look(
    server: GitHubServer,
) -> None:
    """GitHub sends no event when more than three tags are pushed at once."""
    connection = connected(server)
    ensure(connection)
    repository = Repository.objects.get()
    jobs.request_crawl(repository, trigger=Crawl.Trigger.ADDED, wake=False)
    crawl_repository(repository.pk)
    server.delivers = True  # to nobody: only what it tells of counts
    names = {f"churn@v{number}.0.0" for number in range(4, 8)}
    push_tag(server, *names)
    assert not [d for d in server.deliveries if d.event == "push"]
    assert not names & seen()
    repository.refresh_from_db()
    assert repository.next_crawl_at is not None
    latest = timezone.now() + site.MUSTER_RECONCILE_INTERVAL
    assert repository.next_crawl_at <= latest
    Repository.objects.update(next_crawl_at=timezone.now())
    assert jobs.take_due() == [repository.pk]
    crawl_repository(repository.pk)
    assert names <= seen()


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
def test_a_push_is_in_the_catalog_without_anybody_asking(
    server: GitHubServer, settings: Any, tmp_path: Path
) -> None:
    """The webhook is made at the provider, a push is delivered, and a worker is woken
    by it: the scheduler would come ten minutes later."""
    port = free_port()
    settings.MUSTER_PUBLIC_URL = f"http://127.0.0.1:{port}"
    env = environment(
        settings.MUSTER_DATA,
        DATABASE_URL=database_url(),
        PORT=str(port),
        MUSTER_PUBLIC_URL=settings.MUSTER_PUBLIC_URL,
        MUSTER_WAKE_INTERVAL="600",
    )
    server.delivers = True
    with running([*MANAGE, "up"], env, tmp_path / "log") as up:
        up.wait_for("Ctrl-C ends it.", 60)
        connection = connected(server)
        ensure(connection)
        wait_until(lambda: Hook.objects.get().last_event == "ping", what=up.said)
        for name in ("churn@v4.0.0", "churn@v5.0.0"):
            make_tag(server.repository(PATH).bare, name)
            server.pushed(PATH)
            wait_until(lambda name=name: name in seen(), 30, up.said)  # type: ignore[misc]
        made = Crawl.objects.order_by("pk").first()
        assert made is not None
        assert made.trigger == Crawl.Trigger.HOOK
        wait_until(lambda: {one.status for one in server.deliveries} == {202})
