"""manage.py connect and manage.py reencrypt."""

from __future__ import annotations

import io
import shutil
from pathlib import Path
from typing import Any

import pytest
from cryptography.fernet import Fernet
from django.core.management import CommandError, call_command
from django.utils import timezone

from indexer import connections, hooks
from indexer.crypto import encrypt
from indexer.hook_facts import instructions
from indexer.models import Artifact, Connection, Hook, Repository
from tests.builders import make_repository
from tests.connecting import Acme

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("own_site")]


@pytest.fixture
def acme(acme: Acme) -> Acme:
    for name in ("churn", "risk", "playground"):
        acme.add(name)
    return acme


def connect(acme: Acme, *arguments: str) -> str:
    out = io.StringIO()
    call_command(
        "connect", "github", "acme", "--address", acme.server.url, *arguments,
        stdout=out, stderr=out,
    )  # fmt: skip
    return out.getvalue()


def test_a_dry_run_shows_rights_and_repositories_and_keeps_nothing(
    acme: Acme, tmp_path: Path
) -> None:
    (tmp_path / "token").write_text(f"{acme.server.token}\n")
    said = connect(
        acme, "--token-file", str(tmp_path / "token"), "--exclude", "play*", "--dry-run"
    )
    assert "read      yes" in said
    assert "acme/churn" in said
    assert "not acme/playground: excluded by “play*”" in said
    assert acme.server.token not in said
    assert not Connection.objects.exists()


def test_it_connects_and_follows_the_first_crawl(
    acme: Acme, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MUSTER_TOKEN", acme.server.token)
    said = connect(acme, "--wait", "--no-hooks")
    assert "3 of 3 crawled" in said
    assert Artifact.objects.count() == 3
    connection = Connection.objects.get()
    assert (connection.state, connection.with_hooks) == ("ok", False)


def test_it_waits_for_what_was_in_the_catalog_without_a_right(
    acme: Acme, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_repository(
        url=f"{acme.server.url}/acme/churn.git",
        web_url=f"{acme.server.url}/acme/churn",
        host="127.0.0.1",
        state=Repository.State.DENIED,
        message="It needs a token.",
        last_crawl_at=timezone.now(),
    )
    monkeypatch.setenv("MUSTER_TOKEN", acme.server.token)
    said = connect(acme, "--wait", "--no-hooks", "--include", "churn")
    assert Repository.objects.get(name="acme/churn").state == "ok"
    assert said.endswith("1 of 1 crawled\n")


def test_it_says_which_repositories_cannot_be_read(
    acme: Acme, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.rmtree(acme.server.repository("acme/risk").bare / "objects")
    monkeypatch.setenv("MUSTER_TOKEN", acme.server.token)
    said = connect(acme, "--wait", "--no-hooks")
    failing = Repository.objects.exclude(state="ok").get()
    assert said.endswith(f"1 failing\n  acme/risk: {failing.message}\n")


def test_a_token_from_standard_input(
    acme: Acme, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(acme.server.token))
    assert "Connected" in connect(acme, "--token-stdin")
    assert connections.secret_of(Connection.objects.get()) == acme.server.token


def test_a_refused_token_ends_with_a_sentence_and_keeps_nothing(
    acme: Acme, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MUSTER_TOKEN", "ghp_wrong")
    with pytest.raises(CommandError, match="token"):
        connect(acme)
    assert not Connection.objects.exists()
    monkeypatch.delenv("MUSTER_TOKEN")
    with pytest.raises(CommandError, match="--token-file"):
        connect(acme)


def test_K1_every_secret_is_encrypted_anew(acme: Acme, settings: Any) -> None:
    old, new, lost = (Fernet.generate_key().decode() for _ in range(3))
    settings.MUSTER_ENCRYPTION_KEYS = [old]
    connection = acme.connect()
    hook = hooks.owner_hook(connection)
    repository = make_repository("acme/x", secret=encrypt("glpat-CANARY"))
    settings.MUSTER_ENCRYPTION_KEYS = [new, old]
    out = io.StringIO()
    call_command("reencrypt", stdout=out)
    assert "1 × credential of repository" in out.getvalue()
    settings.MUSTER_ENCRYPTION_KEYS = [new]
    connection.refresh_from_db()
    assert connections.secret_of(connection) == acme.server.token
    assert instructions(Hook.objects.get(pk=hook.pk)).secret
    settings.MUSTER_ENCRYPTION_KEYS = [lost]
    before = Repository.objects.get(pk=repository.pk).secret
    error = io.StringIO()
    with pytest.raises(CommandError, match="3 could not be opened"):
        call_command("reencrypt", stdout=out, stderr=error)
    assert "credential of repository acme/x" in error.getvalue()
    assert Repository.objects.get(pk=repository.pk).secret == before
