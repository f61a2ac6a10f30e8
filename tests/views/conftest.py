"""Three people and a small catalog. Alice is an admin, Bob reads, Charlie is not
signed in."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.contrib.auth.models import User
from django.test import Client
from pytest_django.fixtures import Settings

from indexer.models import Repository
from tests.builders import BOB, History, ingest_history


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
