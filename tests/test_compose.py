"""compose.yaml, without Docker: its services' very own commands and health checks run
natively against PostgreSQL and Redis."""

from __future__ import annotations

import fcntl
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg
import pytest
from cryptography.fernet import Fernet
from psycopg import sql
from ruamel.yaml import YAML

from indexer.processes import processes
from tests.services import POSTGRES_URL, REDIS_URL, free_port

ROOT = Path(__file__).resolve().parent.parent
OURS = ("web", "worker", "beat", "migrate")
REDIS = f"{REDIS_URL.rpartition('/')[0]}/14"  # a database no other test uses
NAME = "models.example.org"


def compose() -> dict[str, Any]:
    """compose.yaml with its anchors resolved."""
    text = (ROOT / "compose.yaml").read_text(encoding="utf-8")
    loaded: dict[str, Any] = YAML(typ="safe", pure=True).load(text)
    return loaded


def test_every_service_is_checked_and_none_has_rights_it_does_not_need() -> None:
    services = compose()["services"]
    for name, service in services.items():
        assert "no-new-privileges:true" in service["security_opt"], name
        assert service["read_only"] is True, name
        assert service["cap_drop"] == ["ALL"], name
        if name != "migrate":  # it ends
            assert service["healthcheck"]["test"], name
    assert [name for name, service in services.items() if "cap_add" in service] == [
        "proxy"
    ]
    assert all(services[name]["init"] is True for name in OURS)
    # The images' own users need no right to change to them.
    assert (services["db"]["user"], services["redis"]["user"]) == ("postgres", "redis")


def test_no_service_takes_more_than_its_share_of_the_machine() -> None:
    for name, service in compose()["services"].items():
        for limit in ("mem_limit", "cpus", "pids_limit"):
            value = re.sub(r"\$\{\w+:-(.*)\}", r"\1", str(service[limit]))
            assert re.fullmatch(r"[\d.]+[mg]?", value), (name, limit)
        # Docker refuses more than there are.
        cpus = re.sub(r"\$\{\w+:-(.*)\}", r"\1", str(service["cpus"]))
        assert float(cpus) <= 1, name


def test_every_image_is_named_by_its_digest() -> None:
    pinned = r"[a-z]+:\d+\.\d+[\w.-]*@sha256:[0-9a-f]{64}"
    for name, service in compose()["services"].items():
        if name not in OURS:
            assert re.fullmatch(pinned, service["image"]), name
    dockerfile = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    bases = re.findall(r"^FROM (\S+)", dockerfile, re.MULTILINE)
    assert len(bases) == 2
    assert all(re.fullmatch(pinned, base) for base in bases)
    assert len(set(bases)) == 1


def test_only_the_proxy_is_reached_from_outside() -> None:
    everything = compose()
    services = everything["services"]
    assert [name for name, service in services.items() if "ports" in service] == [
        "proxy"
    ]
    assert everything["networks"]["inside"] == {"internal": True}
    for name in ("db", "redis", "beat", "migrate"):
        assert services[name]["networks"] == ["inside"], name
    assert services["proxy"]["networks"] == ["outside"]


def test_no_secret_stands_in_compose_or_in_the_image() -> None:
    everything = compose()
    for service in everything["services"].values():
        for name, value in service.get("environment", {}).items():
            secret = re.search(r"SECRET|PASSWORD|DATABASE_URL", name)
            assert not secret or value.startswith("/run/secrets/"), name
    for kept in everything["secrets"].values():
        assert kept["file"].startswith("./secrets/")
    dockerfile = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    assert not re.search(r"^ENV .*SECRET", dockerfile, re.MULTILINE)
    assert re.search(r"^USER muster$", dockerfile, re.MULTILINE)


def test_a_site_is_told_the_settings_that_its_pages_speak_of() -> None:
    """Each stands in docs/configuration.md; a team sets them in `.env`."""
    told = compose()["services"]["worker"]["environment"]
    for name in ("POLL", "DISCOVERY", "RECONCILE", "CRAWL"):
        assert told[f"MUSTER_{name}_INTERVAL"].startswith("${MUSTER_"), name
    assert told["MUSTER_PUBLIC_URL"] == "${MUSTER_PUBLIC_URL:-}"


def test_make_secrets_makes_every_key_that_compose_names(tmp_path: Path) -> None:
    shutil.copy(ROOT / "Makefile", tmp_path)
    made = subprocess.run(
        ["make", "secrets"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert made.returncode == 0, made.stderr
    everything = compose()
    keys = {
        name: tmp_path / kept["file"] for name, kept in everything["secrets"].items()
    }
    assert {path.name for path in (tmp_path / "secrets").iterdir()} == set(keys)
    text = {name: path.read_text() for name, path in keys.items()}
    assert re.fullmatch(
        "postgres://muster:[0-9a-f]{48}@db:5432/muster", text["database_url"]
    )
    # The superuser's password is nobody else's.
    assert text["postgres_password"] not in text["database_url"]
    assert len(text["secret_key"]) >= 50
    assert Fernet(text["encryption_keys"])
    for name in OURS:
        service = everything["services"][name]
        given = service["environment"]["MUSTER_ENCRYPTION_KEYS_FILE"]
        assert given.removeprefix("/run/secrets/") in service["secrets"]
    # Keys that are there are never written over; one that is missing is made.
    keys["secret_key"].unlink()
    again = subprocess.run(
        ["make", "secrets"], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert "Made secrets/secret_key:" in again.stdout
    for name, path in keys.items():
        assert (path.read_text() == text[name]) is (name != "secret_key")
        assert path.stat().st_mode & 0o777 == 0o444


def test_the_image_holds_what_runs_and_no_more() -> None:
    text = (ROOT / ".dockerignore").read_text(encoding="utf-8")
    kept = set(re.findall(r"^!(\S+)$", text, re.MULTILINE))
    assert text.splitlines()[1] == "*"
    assert all((ROOT / name).exists() for name in kept)
    assert {"manage.py", "indexer", "registry_site", "templates", "static"} <= kept
    assert not kept & {"tests", "var", "secrets", ".git", ".venv"}


class Deployment:
    """The services of compose.yaml as processes of this machine."""

    def __init__(self, folder: Path, database_url: str) -> None:
        self.folder = folder
        self.port = free_port()
        self.services = compose()["services"]
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self.more: dict[str, str] = {}  # in the environment
        secrets = folder / "secrets"
        for name in ("tmp", "data", "secrets"):
            (folder / name).mkdir()
        (secrets / "secret_key").write_text("k7Jq2vX9mB4tR8wZ1cY6nH3sL5pD0fGaEuViOxKy")
        (secrets / "encryption_keys").write_text(Fernet.generate_key().decode())
        (secrets / "database_url").write_text(database_url)
        # What differs from the containers: where things are. Nothing else.
        self.places = {
            "redis://redis:6379/0": REDIS,
            "/run/secrets": str(secrets),
            "/tmp": str(folder / "tmp"),
            "/data": str(folder / "data"),
            "0.0.0.0:8000": f"127.0.0.1:{self.port}",
            "127.0.0.1:8000": f"127.0.0.1:{self.port}",
        }

    def here(self, text: str) -> str:
        """`text` of compose.yaml with the places of this machine."""
        text = re.sub(
            r"\$\{(\w+)(?::[-?]([^}]*))?\}",
            lambda found: NAME if found[1] == "ALLOWED_HOSTS" else found[2] or "",
            text,
        )
        theirs = rf"(?:{'|'.join(map(re.escape, self.places))})\b"
        text = re.sub(theirs, lambda found: self.places[found[0]], text)
        return text.replace("$$", "$")

    def environment(self, service: str) -> dict[str, str]:
        """The service's environment and nothing else of this machine's."""
        declared = self.services[service]["environment"]
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        return {
            "PATH": path,
            "HOSTNAME": socket.gethostname(),
            **{name: self.here(str(value)) for name, value in declared.items()},
            "MUSTER_ALLOW_LOCAL": "True",  # the repository of the test is a folder
            **self.more,
        }

    def command(self, service: str) -> list[str]:
        """The service's command line."""
        return [self.here(part) for part in self.services[service]["command"]]

    def run(self, arguments: list[str]) -> subprocess.CompletedProcess[str]:
        """Run something as the web service would, to its end."""
        return subprocess.run(
            arguments,
            cwd=ROOT,
            env=self.environment("web"),
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    def collect_static(self) -> None:
        """Put the static files where the image has them; one test at a time."""
        dockerfile = (ROOT / "Dockerfile").read_text(encoding="utf-8")
        found = re.search(r"python (manage\.py collectstatic.*?)(?: \\|$)", dockerfile)
        assert found is not None
        with (ROOT / "Dockerfile").open("rb") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            done = self.run([sys.executable, *shlex.split(found[1])])
        assert done.returncode == 0, done.stderr

    def start(self, service: str) -> None:
        """Start a service."""
        with (self.folder / f"{service}.log").open("wb") as log:
            self.processes[service] = subprocess.Popen(
                self.command(service),
                cwd=ROOT,
                env=self.environment(service),
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def is_healthy(self, service: str) -> bool:
        """Run the service's own health check."""
        kind, *test = self.services[service]["healthcheck"]["test"]
        arguments = [self.here(part) for part in test]
        if kind == "CMD-SHELL":
            arguments = ["/bin/sh", "-c", *arguments]
        return self.run(arguments).returncode == 0

    def wait(self, what: str, met: Callable[[], bool], seconds: float) -> None:
        """Wait until something is so; fail with the services' logs if it is not."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if met():
                return
            time.sleep(0.2)
        logs = "".join(
            f"--- {path.name}\n{path.read_text(errors='replace')[-3000:]}\n"
            for path in sorted(self.folder.glob("*.log"))
        )
        pytest.fail(f"not within {seconds} s: {what}\n{logs}")

    def stop(self) -> dict[str, int]:
        """End all services as Docker does, and give their exit codes."""
        for process in self.processes.values():
            process.terminate()
        codes = {}
        for name, process in self.processes.items():
            try:
                codes[name] = process.wait(30)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                codes[name] = process.wait()
        self.processes.clear()
        return codes


@pytest.fixture
def superuser_url() -> Iterator[str]:
    """A PostgreSQL database of our own, as its superuser sees it; and no role of its
    name."""
    name = f"muster_compose_{os.getpid()}"
    drop = [
        sql.SQL(text).format(sql.Identifier(name))
        for text in (
            "DROP DATABASE IF EXISTS {} WITH (FORCE)",
            "DROP ROLE IF EXISTS {}",
        )
    ]
    with psycopg.connect(POSTGRES_URL, autocommit=True) as connection:
        for statement in drop:
            connection.execute(statement)
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    yield f"{POSTGRES_URL.rpartition('/')[0]}/{name}"
    with psycopg.connect(POSTGRES_URL, autocommit=True) as connection:
        for statement in drop:
            connection.execute(statement)


def make_owner(superuser_url: str, folder: Path) -> str:
    """Run deploy/owner.sh as PostgreSQL's image does. The address of the database for
    the role it made."""
    parts = urlsplit(superuser_url)
    name = parts.path[1:]
    url = f"postgres://{name}:s3cr3t@{parts.hostname}:{parts.port or 5432}/{name}"
    secret = folder / "database_url"
    secret.write_text(url)
    subprocess.run(
        ["sh", "-euc", f". {shlex.quote(str(ROOT / 'deploy/owner.sh'))}"],
        env={
            "PATH": os.environ["PATH"],
            "PGHOST": parts.hostname or "",
            "PGPORT": str(parts.port or 5432),
            "PGPASSWORD": parts.password or "",
            "POSTGRES_USER": parts.username or "",
            "DATABASE_URL_FILE": str(secret),
        },
        check=True,
    )
    return url


@pytest.fixture
def database_url(superuser_url: str, tmp_path: Path) -> str:
    """The database for the role that owns it, which is no superuser."""
    return make_owner(superuser_url, tmp_path)


@pytest.fixture
def deployment(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Deployment]:
    """The services, none started; all ended afterwards."""
    import redis

    # Asked for here and not as an argument, so that a missing server is a reason to
    # leave the test out and not an error.
    url = request.getfixturevalue("database_url")
    with redis.Redis.from_url(REDIS) as client:
        client.flushdb()
    made = Deployment(tmp_path, url)
    yield made
    made.stop()


def registry(folder: Path, *tags: str) -> Path:
    """A bare repository with one commit and these annotated tags."""
    who = b"Ada <ada@example.com> 1760000000 +0000"
    stream = b"commit refs/heads/main\nmark :1\ncommitter " + who + b"\ndata 1\nx\n"
    for tag in tags:
        stream += b"tag %s\nfrom :1\ntagger %s\ndata 1\nx\n" % (tag.encode(), who)
    git = ["git", "--git-dir", str(folder)]
    subprocess.run([*git, "init", "-q", "--bare"], check=True)
    subprocess.run([*git, "symbolic-ref", "HEAD", "refs/heads/main"], check=True)
    subprocess.run([*git, "fast-import", "--quiet"], input=stream, check=True)
    return folder


@pytest.mark.needs_postgres
def test_the_role_that_muster_signs_in_with_owns_its_tables_and_nothing_else(
    superuser_url: str, tmp_path: Path
) -> None:
    """Also where the superuser made them, as in an installation of before; and running
    the script again changes nothing."""
    site = Deployment(tmp_path, superuser_url)
    assert site.run(site.command("migrate")).returncode == 0
    for _ in range(2):
        url = make_owner(superuser_url, tmp_path)
    with psycopg.connect(superuser_url) as connection:
        owners = connection.execute(
            "SELECT DISTINCT pg_get_userbyid(relowner) FROM pg_class "
            "WHERE relnamespace = 'public'::regnamespace"
        ).fetchall()
        rights = connection.execute(
            "SELECT rolsuper, rolcreatedb, rolcreaterole, rolreplication, rolbypassrls "
            "FROM pg_roles WHERE rolname = %s",
            [urlsplit(url).username],
        ).fetchone()
    assert owners == [(urlsplit(url).username,)]
    assert rights == (False,) * 5
    (tmp_path / "secrets/database_url").write_text(url)
    for back in ("zero", None):
        arguments = [
            "python",
            "manage.py",
            "migrate",
            "indexer",
            *([back] if back else []),
        ]
        done = site.run(arguments)
        assert done.returncode == 0, done.stderr


def worker_children(deployment: Deployment) -> list[int]:
    """The processes of the worker's pool."""
    main = deployment.processes["worker"].pid
    return [pid for pid, (parent, _, _) in processes().items() if parent == main]


@pytest.mark.needs_postgres
@pytest.mark.needs_redis
@pytest.mark.slow
def test_a_worker_that_hangs_or_takes_no_messages_is_not_healthy(
    deployment: Deployment,
) -> None:
    """Though its main process answers."""
    assert deployment.run(deployment.command("migrate")).returncode == 0
    deployment.more = {"MUSTER_WAKE_INTERVAL": "1"}  # how often it asks itself
    deployment.start("worker")
    deployment.places["-mmin -12"] = "-newermt -2seconds"  # how long it may be silent
    name = f"celery@{socket.gethostname()}"
    ask = [sys.executable, "-m", "celery", "--app=registry_site.celery"]

    def healthy() -> bool:
        return deployment.is_healthy("worker")

    def becomes_unhealthy() -> None:
        deployment.wait("nothing is begun any more", lambda: not healthy(), 30)
        ping = deployment.run([*ask, "inspect", "ping", f"--destination={name}"])
        assert "pong" in ping.stdout, ping.stderr
        assert not healthy()

    deployment.wait("the worker begins its own tasks", healthy, 60)
    children = worker_children(deployment)
    assert len(children) == 2
    for pid in children:
        os.kill(pid, signal.SIGSTOP)
    try:
        becomes_unhealthy()
    finally:
        for pid in children:
            os.kill(pid, signal.SIGCONT)
    deployment.wait("the pool works again", healthy, 60)
    for queue in ("celery", f"{name}.dq2"):
        deployment.run([*ask, "control", "cancel_consumer", queue])
    becomes_unhealthy()
    assert deployment.stop() == {"worker": 0}


@pytest.mark.needs_postgres
@pytest.mark.needs_redis
@pytest.mark.slow
def test_the_commands_of_compose_run_the_whole_site(
    deployment: Deployment, database_url: str, tmp_path: Path
) -> None:
    migrated = deployment.run(deployment.command("migrate"))
    assert migrated.returncode == 0, migrated.stderr
    deployment.collect_static()

    # Web answers, asks to sign in, and finds its static files.
    deployment.start("web")
    deployment.wait("web is healthy", lambda: deployment.is_healthy("web"), 30)
    status, location = _get(deployment, "/")
    assert (status, location.partition("?")[0]) == (302, "/login")
    assert _get(deployment, "/login")[0] == 200

    # A worker crawls what is added.
    deployment.start("worker")
    deployment.wait("worker is healthy", lambda: deployment.is_healthy("worker"), 30)
    remote = registry(tmp_path / "churn.git", "churn@v1.0.0", "churn#prod#1")
    added = deployment.run(
        [
            *(sys.executable, "manage.py", "add_repository"),
            *(str(remote), "--name", "risk/churn"),
            *("--username", "ada", "--secret-env", "HOSTNAME"),  # kept encrypted
        ]
    )
    assert added.returncode == 0, added.stderr
    with psycopg.connect(database_url, autocommit=True) as connection:

        def crawls() -> int:
            row = connection.execute(
                "SELECT count(*) FROM indexer_crawl WHERE finished_at IS NOT NULL"
            ).fetchone()
            return row[0] if row else 0

        deployment.wait("the worker crawls", lambda: crawls() == 1, 60)
        held = connection.execute(
            "SELECT a.name, v.name, h.stage FROM indexer_stageholder h "
            "JOIN indexer_version v ON v.id = h.version_id "
            "JOIN indexer_artifact a ON a.id = h.artifact_id"
        ).fetchall()
        assert held == [("churn", "v1.0.0", "prod")]

        # The scheduler finds by itself what is due.
        connection.execute(
            "UPDATE indexer_repository SET next_crawl_at = now() - interval '1 minute'"
        )
        time.sleep(1)
        assert crawls() == 1, "nobody asked"
        deployment.start("beat")
        deployment.wait("the scheduler enqueues", lambda: crawls() >= 2, 60)
        deployment.wait("beat is healthy", lambda: deployment.is_healthy("beat"), 30)

    codes = deployment.stop()
    assert codes == {"web": 0, "worker": 0, "beat": 0}


def _get(deployment: Deployment, path: str) -> tuple[int, str]:
    """Ask web as a proxy that speaks TLS would: the status, and where it leads."""

    class Stay(urllib.request.HTTPRedirectHandler):
        def redirect_request(self, *_: object) -> None:
            return None

    request = urllib.request.Request(
        f"http://127.0.0.1:{deployment.port}{path}",
        headers={"Host": NAME, "X-Forwarded-Proto": "https"},
    )
    try:
        with urllib.request.build_opener(Stay).open(request, timeout=10) as answer:
            return answer.status, ""
    except urllib.error.HTTPError as error:
        return error.code, error.headers.get("Location", "")
