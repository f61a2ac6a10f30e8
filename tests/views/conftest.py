"""Three people and a small catalog. Alice is an admin, Bob reads, Charlie is not
signed in."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone
from pytest_django.fixtures import Settings

from indexer import wakeup
from indexer.models import Connection, Repository
from tests.builders import BOB, History, ingest_history
from tests.providers.github_server import GitHubServer, serve_github
from tests.providers.raw_repository import simple_repository
from tests.views.connection_rows import make_connection


@pytest.fixture
def alice(db: None) -> Client:
    client = Client()
    client.force_login(
        User.objects.create_user("alice", is_staff=True, is_superuser=True)
    )
    return client


@pytest.fixture
def bob(db: None) -> Client:
    client = Client()
    client.force_login(User.objects.create_user("bob"))
    return client


@pytest.fixture
def bob_has_a_password(bob: Client, settings: Settings) -> str:
    """Bob's password, kept by a hash that costs no second."""
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    user = User.objects.get(username="bob")
    user.set_password("b-pass-phrase")
    user.save()
    return "b-pass-phrase"


@pytest.fixture
def charlie(db: None) -> Client:
    return Client()


@pytest.fixture
def closed(settings: Settings) -> None:
    """A site that only those who signed in may read."""
    settings.MUSTER_PUBLIC_READ = False


def churn_history() -> History:
    """Two models and a data set, with stages, a deregistration and a deprecation."""
    history = History().annotate(
        churn={
            "path": "models/churn.pkl",
            "type": "model",
            "desc": "Who is about to **leave**\n\n- one row a customer",
            "labels": ["tabular", "retention"],
        },
        customers={"path": "data/customers.csv", "type": "dataset"},
    )
    history.register("churn", "v1.0.0", message="First for production")
    history.register("churn", "v1.1.0", by=BOB)
    history.register("churn", "v1.2.0-rc.1", by=BOB)
    history.assign("churn", "prod", "v1.0.0", message="Passed review RV-7")
    history.assign("churn", "dev", "v1.1.0", by=BOB)
    history.deregister("churn", "v1.2.0-rc.1")
    history.register("old-churn", "v0.1.0").deprecate("old-churn")
    history.register("cv:detector", "v2.0.0").assign("cv:detector", "dev", "v2.0.0")
    return history


@pytest.fixture
def acme(db: None) -> Repository:
    """`acme/churn`, crawled."""
    return ingest_history(
        "acme/churn",
        churn_history(),
        web_url="https://github.com/acme/churn",
        host="github.com",
    )


@pytest.fixture
def many(db: None) -> Callable[[int], Repository]:
    """A repository with as many models, each registered and in prod."""

    def build(count: int) -> Repository:
        history = History()
        for number in range(count):
            history.register(f"model-{number:03}", "v1.0.0")
            history.assign(f"model-{number:03}", "prod", "v1.0.0")
        return ingest_history("acme/many", history)

    return build


@pytest.fixture
def connecting(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Servers of this machine may be connected, and no worker is told."""
    settings.MUSTER_DATA = tmp_path / "data"
    settings.MUSTER_ALLOW_PRIVATE = True
    monkeypatch.setattr(wakeup, "wake", lambda *_: None)


@pytest.fixture
def connected(acme: Repository, connecting: None) -> Connection:
    """The connection that `acme/churn` belongs to."""
    made = make_connection()
    Repository.objects.filter(pk=acme.pk).update(
        connection=made,
        provider="github",
        server=made.server,
        provider_id="1",
        last_crawl_at=timezone.now(),
        checked_at=timezone.now(),
    )
    return made


@pytest.fixture
def server(tmp_path: Path, connecting: None) -> Iterator[GitHubServer]:
    """An organisation with two repositories that are taken and a fork that is not."""
    root = tmp_path / "remotes"
    root.mkdir()
    bare = simple_repository(root / "one.git").path
    with serve_github(root) as running:
        running.add_owner("acme")
        running.add_repository("acme/churn", bare)
        running.add_repository("acme/ml-risk", bare)
        running.add_repository("acme/forked", bare, fork=True)
        yield running
