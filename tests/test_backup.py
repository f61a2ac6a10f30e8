"""`manage.py backup` and `restore`: the same site elsewhere, on either database,
whatever happens meanwhile; and never half of one."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from cryptography.fernet import Fernet
from django.contrib.auth.models import User
from django.contrib.sessions.models import Session
from django.core.management import call_command
from django.db.migrations.loader import MigrationLoader
from django.test import Client

from indexer import backup
from indexer.api_tokens import make_token
from indexer.backup import Backup, BackupRefused
from indexer.crawl import crawl_repository
from indexer.management.commands.up import lock_data
from indexer.models import ActionLog, ApiToken, Tag
from indexer.repositories import add_repository
from tests.actions.checks import done
from tests.actions.places import ActionPlace, act_at
from tests.faults.conftest import database_url
from tests.process_tree import MANAGE, ROOT, environment, manage
from tests.providers.raw_repository import simple_repository
from tests.test_both_databases import odd_texts, postgres_database

PASSWORD = "b-pass-phrase"
KEY = Fernet.generate_key().decode()
# All that a person could miss, of the installation that runs this.
TELL = """
import json
import django
django.setup()
from django.contrib.auth import authenticate
from indexer.crypto import decrypt
from indexer.index_dump import index_dump
from indexer.models import *
from django.contrib.auth.models import User
from django.contrib.sessions.models import Session
def secrets(model, *fields):
    return sorted(decrypt(one) for field in fields for one in
                  model.objects.exclude(**{field: ""}).values_list(field, flat=True))
print(json.dumps({
    "index": index_dump(),
    "log": [json.dumps(row, default=str, sort_keys=True) for row in
            ActionLog.objects.order_by("pk").values()],
    "gone": list(Tag.objects.exclude(gone_at=None).values_list("ref", flat=True)),
    "roles": sorted(Account.objects.values_list("user__username", "role", "email")),
    "signs in": authenticate(username="eddy", password="b-pass-phrase") is not None,
    "secrets": secrets(Connection, "secret") + secrets(ProviderToken, "secret")
               + secrets(Repository, "secret"),
    "tokens": list(ApiToken.objects.values_list("digest", flat=True)),
    "sessions": Session.objects.count(),
    "leases": sum(model.objects.exclude(lease_id=None).count()
                  for model in (Repository, Connection, ActionLog)),
}))
"""


class Site:
    """An installation of its own."""

    def __init__(self, folder: Path, **more: str) -> None:
        self.data = folder
        self.env = environment(
            folder, DJANGO_SETTINGS_MODULE="registry_site.settings", **more
        )

    def run(self, *arguments: str, check: bool = True) -> str:
        """What a command says, of both kinds."""
        ended = manage(*arguments, env=self.env, check=check, seconds=120)
        assert check or ended.returncode == 1, ended.stdout
        assert "Traceback" not in ended.stderr
        return ended.stdout + ended.stderr

    def python(self, code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-c", code, *arguments],
            env=self.env,
            capture_output=True,
            text=True,
            cwd=ROOT,
            timeout=120,
            check=False,
        )

    def tell(self) -> dict[str, Any]:
        told = self.python(TELL)
        assert told.returncode == 0, told.stderr
        answer: dict[str, Any] = json.loads(told.stdout)
        return answer


@pytest.fixture
def here(
    settings: Any, own_site: None, tmp_path: Path, transactional_db: None
) -> Callable[[], dict[str, Any]]:
    """The installation of the test itself, on its database, with a key; what it
    tells."""
    settings.MUSTER_ENCRYPTION_KEYS = [KEY]
    site = Site(
        settings.MUSTER_DATA, DATABASE_URL=database_url(), MUSTER_ENCRYPTION_KEYS=KEY
    )
    return site.tell


@pytest.fixture
def lived_in(
    here: Callable[[], dict[str, Any]], tmp_path: Path, client: Client
) -> Iterator[ActionPlace]:
    """A site with all that can be in one: a connection, people with tokens, actions
    of every end, tags that vanished, the oddest texts, somebody signed in."""
    with act_at("github", tmp_path) as place:
        eddy = place.people["eddy"]
        eddy.set_password(PASSWORD)
        eddy.save()
        done(place.register(0))
        done(place.assign("prod", "v0.0.1", message="Ünï \U0001f600"))
        assert place.register(0).status == ActionLog.Status.REFUSED
        make_token(eddy, "ci", ApiToken.Scope.ACT, None)
        other = simple_repository(tmp_path / "other.git")
        for name, path in {
            "odd/texts": odd_texts(tmp_path / "odd"),
            "good/one": other.path,
        }.items():
            row = add_repository(str(path), name=name, secret="s3cr3t", wake=False)
            assert crawl_repository(row.pk) is not None
        other.refs.pop(next(ref for ref in other.refs if ref.startswith(b"refs/tags/")))
        other.finish()
        call_command("crawl", "good/one", verbosity=0)
        assert Tag.objects.exclude(gone_at=None).exists()
        assert client.login(username="eddy", password=PASSWORD)
        assert Session.objects.exists()
        yield place


def saved(folder: Path) -> Path:
    """A backup of the test's own installation."""
    path = folder / "muster.backup"
    call_command("backup", str(path))
    assert path.stat().st_mode & 0o777 == 0o600
    assert [one.name for one in folder.glob(".muster.backup*")] == []
    return path


def nobody_watches(*_: object) -> None:
    """For what nobody waits for."""


def without(told: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in told.items() if name not in names}


def check_restored(
    place: ActionPlace, here: Callable[[], dict[str, Any]], there: Site, folder: Path
) -> None:
    """What the installation tells is told there, too, and life goes on."""
    before = here()
    assert before["signs in"]
    assert len(before["log"]) == 3
    assert len(before["secrets"]) == 7
    path = saved(folder)
    said = there.run("restore", str(path))
    assert "Everybody signs in again" in said
    after = there.tell()
    assert without(after, "sessions") == without(before, "sessions")
    assert (after["sessions"], after["leases"]) == (0, 0)
    # Nothing is new at the remotes; mirrors are made again where they are needed.
    assert there.run("crawl", "--all").count("nothing new") == 3
    there.run("rebuild", "--all")
    assert there.tell()["index"] == before["index"]
    # New rows get numbers of their own, and the log is kept as before.
    there.run("add_repository", str(folder / "other.git"), "--name", "one/more")
    changed = there.python(
        "import django; django.setup()\n"
        "from indexer.models import ActionLog\n"
        "ActionLog.objects.update(sentence='Somebody else did')"
    )
    assert "never rewritten" in changed.stderr


@pytest.mark.slow
def test_a_backup_is_the_same_site_in_an_empty_folder(
    lived_in: ActionPlace, here: Callable[[], dict[str, Any]], tmp_path: Path
) -> None:
    """From the database of the test (both, in a whole run) to SQLite, where the keys
    are others."""
    check_restored(lived_in, here, Site(tmp_path / "there"), tmp_path)


@pytest.mark.slow
@pytest.mark.needs_postgres
def test_a_backup_is_the_same_site_on_an_empty_postgresql(
    lived_in: ActionPlace, here: Callable[[], dict[str, Any]], tmp_path: Path
) -> None:
    """The way a site grows."""
    with postgres_database() as url:
        there = Site(tmp_path / "there", DATABASE_URL=url)
        check_restored(lived_in, here, there, tmp_path)


def test_a_backup_is_of_one_moment_and_keeps_nobody_waiting(
    here: Callable[[], dict[str, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    remote = simple_repository(tmp_path / "churn.git")
    row = add_repository(str(remote.path), name="acme/churn", wake=False)
    crawl_repository(row.pk)
    before = here()
    remote.version("churn@v7.0.0", next(iter(remote.refs.values())))
    remote.finish()
    crawled: list[str] = []

    def meanwhile(*_: object) -> None:
        """After the first row was read another process writes to every table of the
        index."""
        if not crawled:
            env = environment(tmp_path / "data", DATABASE_URL=database_url())
            crawled.append(manage("crawl", "acme/churn", env=env).stdout)

    monkeypatch.setattr(backup, "CHUNK", 1)
    path = tmp_path / "muster.backup"
    with path.open("wb") as file:
        backup.write_backup(file, meanwhile)
    assert "crawled in" in crawled[0]
    assert here()["index"] != before["index"]
    there = Site(tmp_path / "there")
    there.run("restore", str(path))
    assert there.tell()["index"] == before["index"]
    assert "crawled in" in there.run("crawl", "--all")
    assert there.tell()["index"] == here()["index"]


def test_what_was_going_on_is_ended_and_nobody_holds_a_lease(
    here: Callable[[], dict[str, Any]], tmp_path: Path
) -> None:
    """An action that was asked for on the day of the backup is not done on that of the
    restoring."""
    from indexer import jobs
    from indexer.models import Crawl

    with act_at("git", tmp_path) as place:
        jobs.request_crawl(place.repository, trigger=Crawl.Trigger.BUTTON, wake=False)
        assert jobs.claim(place.repository.pk) is not None
        done(place.register(0))
        copied = {
            field.attname: getattr(ActionLog.objects.get(), field.attname)
            for field in ActionLog._meta.concrete_fields
            if field.attname not in {"id", "uuid", "key", "ended_at", "artifact"}
        }
        for status in ActionLog.OPEN:
            open_row = {**copied, "status": status, "sentence": "", "key": status}
            ActionLog.objects.create(**open_row, artifact=status)
        path = saved(tmp_path)
        before = place.tags()
        there = Site(tmp_path / "there")
        there.run("restore", str(path))
        asked = there.python(
            "import django; django.setup()\n"
            "from indexer.models import *; from indexer.actions import resume_open\n"
            "print(resume_open(), Crawl.objects.filter(status='running').count())\n"
            "for row in ActionLog.objects.order_by('pk'):\n"
            "    print(row.status, row.ended_at is not None, row.sentence[:30])"
        )
        assert asked.stdout.splitlines() == [
            "0 0",
            "done True churn v0.0.1 is registered: ta",
            "failed True Muster was restored from a bac",
            "unknown True Muster was restored from a bac",
        ], asked.stderr
        assert there.tell()["leases"] == 0
        assert place.tags() == before


def rewritten(path: Path, change: Callable[[list[Any]], list[Any]]) -> Path:
    """The backup with its lines changed, and a digest that fits."""
    with gzip.open(path) as packed:
        lines = change([json.loads(line) for line in packed][:-1])
    texts = [json.dumps(line).encode() + b"\n" for line in lines]
    rows = sum(isinstance(line, list) for line in lines)
    digest = hashlib.sha256(b"".join(texts)).hexdigest()
    made = path.with_name("rewritten.backup")
    with gzip.open(made, "wb") as packed:
        packed.writelines(texts)
        packed.write(json.dumps({"rows": rows, "sha256": digest}).encode())
    return made


def of_header(
    change: Callable[[dict[str, Any]], dict[str, Any]], lines: list[Any]
) -> list[Any]:
    return [change(lines[0]), *lines[1:]]


def as_of(migrations: dict[str, str]) -> Callable[[list[Any]], list[Any]]:
    """What a Muster with no more than these migrations would have written."""
    loader = MigrationLoader(None)
    nodes = [
        key
        for app, name in migrations.items()
        for key in loader.graph.forwards_plan((app, name))
    ]
    tables = {
        model._meta.label_lower: {
            field.attname for field in model._meta.concrete_fields
        }
        for model in backup.kept_models(loader.project_state(nodes).apps)
    }

    def change(lines: list[Any]) -> list[Any]:
        kept: list[Any] = []
        columns: list[str] | None = None
        all_columns: list[str] = []
        for line in lines:
            if isinstance(line, list):
                if columns is not None:
                    row = zip(all_columns, line, strict=True)
                    kept.append([one for name, one in row if name in columns])
            elif "table" in line:
                all_columns = line["columns"]
                known = tables.get(line["table"])
                columns = None
                if known is not None:
                    columns = [name for name in all_columns if name in known]
                if columns is not None:
                    kept.append({**line, "columns": columns})
            else:
                told: dict[str, list[str]] = {}
                for app, name in sorted(set(nodes)):
                    told.setdefault(app, []).append(name)
                kept.append({**line, "migrations": told})
        return kept

    return change


def test_a_backup_of_an_older_muster_is_brought_up_to_date(
    lived_in: ActionPlace, here: Callable[[], dict[str, Any]], tmp_path: Path
) -> None:
    before = here()
    path = saved(tmp_path)
    others = {"admin": "0003_logentry_add_action_flag_choices",
              "auth": "0012_alter_user_first_name_max_length"}  # fmt: skip
    there = Site(tmp_path / "there")
    # Of the day before the log was kept by a trigger.
    old = rewritten(path, as_of({**others, "indexer": "0006_action_log"}))
    there.run("restore", str(old))
    assert without(there.tell(), "sessions") == without(before, "sessions")
    kept = "import django; django.setup()\nfrom indexer.models import ActionLog\n"
    changed = there.python(kept + "ActionLog.objects.update(sentence='Another')")
    assert "never rewritten" in changed.stderr
    # And of one that knew neither roles nor actions, over what is there by now.
    old = rewritten(path, as_of({**others, "indexer": "0004_api_tokens"}))
    there.run("restore", "--replace", str(old))
    after = there.tell()
    assert (after["log"], after["roles"]) == ([], [])
    assert (after["index"], after["tokens"]) == (before["index"], before["tokens"])
    assert after["signs in"]


def test_a_file_that_is_damaged_or_too_new_is_refused_before_anything_is_touched(
    here: Callable[[], dict[str, Any]], tmp_path: Path
) -> None:
    User.objects.create_user("eddy", password=PASSWORD)
    path = saved(tmp_path)
    whole = path.read_bytes()
    plain = gzip.decompress(whole)
    for content in (
        b"",
        b"not even compressed",
        gzip.compress(b""),
        gzip.compress(b'{"another": "file"}\n'),
        gzip.compress(b"[1]\n"),
        whole[:-100],
        whole[: len(whole) // 2],
        gzip.compress(plain.replace(b"eddy", b"evil")),
        gzip.compress(plain[: plain.rindex(b"{")]),
        gzip.compress(plain[: plain.index(b"\n") + 1]),
    ):
        with pytest.raises(BackupRefused, match="no backup of Muster, or damaged"):
            Backup(io.BytesIO(content), nobody_watches)
    newer: tuple[Callable[[dict[str, Any]], dict[str, Any]], ...] = (
        lambda head: {**head, "format": backup.FORMAT + 1},
        lambda head: {**head, "migrations": {"indexer": ["9999_of_next_year"]}},
    )
    for change in newer:
        made = rewritten(path, partial(of_header, change))
        with (
            made.open("rb") as file,
            pytest.raises(BackupRefused, match="made by a newer Muster"),
        ):
            Backup(file, nobody_watches)


def twice_eddy(lines: list[Any]) -> list[Any]:
    return [
        line
        for line in lines
        for _ in range(1 + (isinstance(line, list) and "eddy" in line))
    ]


def test_rows_that_the_database_refuses_change_nothing(
    here: Callable[[], dict[str, Any]], tmp_path: Path
) -> None:
    User.objects.create_user("eddy", password=PASSWORD)
    path = saved(tmp_path)
    there = Site(tmp_path / "there")
    there.run("restore", str(path))
    before = there.tell()
    bad = rewritten(path, twice_eddy)
    said = there.run("restore", "--replace", str(bad), check=False)
    assert "cannot be restored here" in said
    assert there.tell() == before


def test_an_installation_in_use_is_given_up_only_if_asked_to(
    here: Callable[[], dict[str, Any]], tmp_path: Path
) -> None:
    remote = simple_repository(tmp_path / "churn.git")
    path = saved(tmp_path)
    there = Site(tmp_path / "there")
    there.run("migrate")
    there.run("add_repository", str(remote.path))
    mirror = there.data / "mirrors" / "1"
    assert mirror.exists()
    said = there.run("restore", str(path), check=False)
    assert "in use" in said
    assert "--replace" in said
    assert "churn" in there.tell()["index"]
    there.run("restore", "--replace", str(path))
    assert "churn" not in there.tell()["index"]
    # A mirror would be another repository's by now.
    assert not mirror.exists()


KILLED = """
import os, signal, sys
import django
django.setup()
from indexer import restore
from indexer.backup import Backup
restore.CHUNK = 1
def watch(phase, done, total):
    if done == int(sys.argv[2]):
        os.kill(os.getpid(), signal.SIGKILL)
def reached(*_):
    os.kill(os.getpid(), signal.SIGKILL)
if sys.argv[3]:
    setattr(restore, sys.argv[3], reached)
with open(sys.argv[1], "rb") as file:
    restore.restore(Backup(file, lambda *_: None), watch)
"""


def check_killed(there: Site, path: Path) -> None:
    """Wherever a restore is killed, all is as it was, and the next one succeeds."""
    before = there.tell()
    points = [
        (1, ""),
        (40, ""),
        *((0, name) for name in ("_end_what_ran", "_count_on")),
    ]
    for done_rows, function in points:
        ended = there.python(KILLED, str(path), str(done_rows), function)
        assert ended.returncode == -signal.SIGKILL, ended.stderr
        assert there.tell() == before
    there.run("restore", "--replace", str(path))
    assert there.tell()["signs in"]


def test_a_killed_restore_leaves_what_was(
    here: Callable[[], dict[str, Any]], tmp_path: Path
) -> None:
    User.objects.create_user("eddy", password=PASSWORD)
    path = saved(tmp_path)
    remote = simple_repository(tmp_path / "churn.git")
    there = Site(tmp_path / "there")
    there.run("migrate")
    there.run("add_repository", str(remote.path))
    check_killed(there, path)
    # An installation that was never there says so.
    nothing = Site(tmp_path / "nothing")
    ended = nothing.python(KILLED, str(path), "40", "")
    assert ended.returncode == -signal.SIGKILL
    said = nothing.run("show", check=False)
    assert "manage.py migrate" in said


@pytest.mark.needs_postgres
def test_a_killed_restore_leaves_what_was_on_postgresql(
    here: Callable[[], dict[str, Any]], tmp_path: Path
) -> None:
    User.objects.create_user("eddy", password=PASSWORD)
    path = saved(tmp_path)
    with postgres_database() as url:
        there = Site(tmp_path / "there", DATABASE_URL=url)
        there.run("migrate")
        there.run("add_repository", str(simple_repository(tmp_path / "churn.git").path))
        check_killed(there, path)


def test_a_backup_goes_through_pipes(
    here: Callable[[], dict[str, Any]], tmp_path: Path
) -> None:
    """As from one container into another."""
    User.objects.create_user("eddy", password=PASSWORD)
    here_env = environment(tmp_path / "data", DATABASE_URL=database_url())
    there = Site(tmp_path / "there")
    made = subprocess.run(
        [*MANAGE, "backup", "-"], env=here_env, capture_output=True, check=True
    )
    assert b"Backed up" in made.stderr
    taken = subprocess.run(
        [*MANAGE, "restore", "-"],
        env=there.env,
        input=made.stdout,
        capture_output=True,
        check=True,
    )
    assert b"Restored" in taken.stdout
    assert there.tell()["signs in"]


def test_what_is_wrong_with_a_backup_is_one_sentence(
    here: Callable[[], dict[str, Any]], tmp_path: Path
) -> None:
    User.objects.create_user("eddy", password=PASSWORD)
    path = saved(tmp_path)
    there = Site(tmp_path / "there", MUSTER_READING="kanban")
    said = there.run("restore", str(path))
    assert "MUSTER_READING was time; here it is kanban." in said
    with lock_data(there.data):
        said = there.run("restore", "--replace", str(path), check=False)
    assert "Muster runs on" in said
    said = there.run("restore", "--replace", str(tmp_path / "nowhere"), check=False)
    assert "nowhere cannot be read: No such file" in said
    said = there.run("backup", str(tmp_path / "no" / "folder"), check=False)
    assert "could not be written" in said
    old = Site(tmp_path / "old")
    old.run("migrate", "indexer", "0006")
    assert "manage.py migrate" in old.run("backup", str(tmp_path / "x"), check=False)
    # Keys that are nowhere: said before anything is touched.
    bare = Site(
        tmp_path / "bare", DEBUG="False", SECRET_KEY="x" * 50, ALLOWED_HOSTS="a"
    )
    remote = simple_repository(tmp_path / "churn.git")
    add_repository(str(remote.path), name="a/b", secret="s3cr3t", wake=False)
    said = bare.run("restore", str(saved(tmp_path)), check=False)
    assert "MUSTER_ENCRYPTION_KEYS is missing" in said
    assert "Nothing was changed" in said
