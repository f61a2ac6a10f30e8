"""manage.py up: all of Muster as one foreground process tree."""

from __future__ import annotations

import errno
import fcntl
import os
import re
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from types import FrameType
from typing import IO, Any

from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.management import call_command, get_commands
from django.core.management.base import BaseCommand, CommandError
from django.db import DatabaseError, connection

from indexer.full_disk import keep_readable
from indexer.processes import Child, Tree, TreeFailed, python

OLDEST_PYTHON = (3, 11)
OLDEST_GIT = (2, 30)
START_LIMIT = 60.0  # seconds until the web server must answer


class Stopped(Exception):
    """Ctrl-C, or SIGTERM."""


class Command(BaseCommand):
    """Web server, worker and scheduler, until Ctrl-C."""

    help = "Run Muster: web server, worker and scheduler, until Ctrl-C."
    requires_system_checks: list[str] = []

    def handle(self, *args: Any, **options: Any) -> None:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            # `nohup make run &` asks not to end with the terminal.
            if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:
                signal.signal(number, _stop)
        try:
            check_python()
            check_git()
            check_data(settings.MUSTER_DATA)
            lock = lock_data(settings.MUSTER_DATA)
            check_port(settings.HOST, settings.PORT)
            self.prepare()
            self.run()
            lock.close()
        except Stopped:
            self.stdout.write("Muster has ended.")

    def prepare(self) -> None:
        """The tables, the first admin, and on the first start the demo."""
        try:
            call_command("migrate", verbosity=0, interactive=False, skip_checks=True)
            # Changes nothing, but fails at once where nothing may be written.
            get_user_model()._default_manager.filter(pk=0).update(is_active=False)
            free_own_leases()
            self.offer_demo()
            # Last, so that the password stands where a person looks.
            self.make_admin()
        except DatabaseError as error:
            raise CommandError(
                f"The database cannot be used: {_first_line(error)}. Check "
                f"{_database_place()}."
            ) from error
        connection.close()

    def make_admin(self) -> None:
        """Create the first admin, with a password that is printed this once."""
        users = get_user_model()._default_manager
        if users.filter(is_staff=True, is_active=True).exists():
            return
        password = secrets.token_urlsafe(12)
        users.create_superuser("admin", "", password)
        self.stdout.write(
            "To add repositories sign in as admin with the password "
            f"{password}\n(shown only now; manage.py changepassword admin sets another)"
        )

    def offer_demo(self) -> None:
        """Build the demo at the very first start, if nothing is connected."""
        from indexer.models import Repository

        mark = settings.MUSTER_DATA / "demo-offered"
        if not settings.MUSTER_DEMO or mark.exists() or "demo" not in get_commands():
            return
        if not Repository.objects.exists():
            self.stdout.write("Building the demo, as no repository is connected yet.")
            try:
                # A wrapper in a wrapper would end each piece of a line.
                call_command("demo", stdout=self.stdout._out)
            except CommandError as error:
                self.stdout.write(f"The demo could not be built: {error}")
        mark.touch()

    def run(self) -> None:
        """Start the tree and tend it until somebody ends it."""
        tree = Tree(children(), sys.stdout)
        kept = keep_readable()
        try:
            tree.start()
            self.wait_for_web(tree)
            while True:
                tree.tend(1.0)
        except TreeFailed as error:
            self.stdout.flush()
            raise CommandError(str(error)) from error
        finally:
            # A second Ctrl-C must not leave half of it running.
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
                signal.signal(number, signal.SIG_IGN)
            tree.stop()
            free_own_leases()
            if kept is not None:
                kept.close()

    def wait_for_web(self, tree: Tree) -> None:
        """Say where Muster is once a page can be had there."""
        until = time.monotonic() + START_LIMIT
        while time.monotonic() < until:
            tree.tend(0.1)
            if answers(f"http://{_reachable(settings.HOST)}:{settings.PORT}/healthz"):
                self.stdout.write(
                    f"Muster is at http://{_shown(settings.HOST)}:{settings.PORT}"
                )
                self.stdout.write("Ctrl-C ends it.")
                self.stdout.flush()
                return
        raise TreeFailed(
            f"The web server did not answer within {START_LIMIT:.0f} seconds."
        )


def children() -> list[Child]:
    """The programs of the tree."""
    environment = {
        **os.environ,
        "PYTHONUNBUFFERED": "1",
        # Celery warns root at every start; in a container that is how it is.
        "PYTHONWARNINGS": "ignore:You're running the worker with superuser",
    }
    celery = python("-m", "celery", "--app", "registry_site.celery", "--quiet")
    return [
        Child(
            "web",
            python(
                "-m",
                "gunicorn",
                "--config=python:registry_site.gunicorn_conf",
                "registry_site.wsgi",
                "--graceful-timeout=1",
                "--log-level=warning",
                f"--chdir={settings.BASE_DIR}",
            ),
            environment,
        ),
        Child(
            "worker",
            [
                *celery,
                "worker",
                f"--concurrency={settings.MUSTER_WORKERS}",
                "--loglevel=WARNING",
                "--without-gossip",
                "--without-mingle",
                "--without-heartbeat",
            ],
            environment,
            # At once: a crawl that is cut off is done again.
            stop_signal=signal.SIGKILL,
        ),
        Child(
            "beat",
            [
                *celery,
                "beat",
                "--loglevel=WARNING",
                "--scheduler=celery.beat.Scheduler",
                "--pidfile=",
            ],
            environment,
            stop_signal=signal.SIGKILL,  # it keeps nothing
        ),
    ]


def check_python() -> None:
    """Raise CommandError for a Python that is too old."""
    if sys.version_info < OLDEST_PYTHON:
        raise CommandError(
            f"Muster needs Python {_dotted(OLDEST_PYTHON)} or later; this is "
            f"{_dotted(sys.version_info[:3])}."
        )


def check_git() -> None:
    """Raise CommandError where git is missing or too old."""
    wanted = f"Muster needs git {_dotted(OLDEST_GIT)} or later"
    git = shutil.which("git")
    if git is None:
        raise CommandError(f"{wanted}, and none is installed (or it is not in PATH).")
    try:
        said = subprocess.run(
            [git, "--version"], capture_output=True, text=True, timeout=10, check=False
        ).stdout
    except (OSError, subprocess.TimeoutExpired) as error:
        raise CommandError(f"{wanted}; {git} could not be run: {error}") from error
    found = re.search(r"(\d+)\.(\d+)", said)
    if found is None or (int(found[1]), int(found[2])) < OLDEST_GIT:
        raise CommandError(f"{wanted}; {git} says it is “{said.strip()}”.")


def check_data(folder: Path) -> None:
    """Raise CommandError for a data directory we cannot write into."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        probe = folder / f".probe-{os.getpid()}"
        probe.write_bytes(b"x" * 4096)
        probe.unlink()
    except OSError as error:
        raise CommandError(
            f"The data directory {folder} cannot be written ({error.strerror}). Mend "
            "it, or set MUSTER_DATA to another."
        ) from error


def lock_data(folder: Path) -> IO[str]:
    """Take the data directory for this process tree, as long as the file is open.
    Raises CommandError if another has it."""
    lock = (folder / "up.lock").open("a+")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        lock.seek(0)
        raise CommandError(
            f"Muster runs on {folder} already (process {lock.read().strip() or '?'}). "
            "End that one first, or set MUSTER_DATA to another directory."
        ) from error
    lock.truncate(0)
    lock.write(str(os.getpid()))
    lock.flush()
    return lock


def check_port(host: str, port: int) -> None:
    """Raise CommandError if the port cannot be listened on."""
    try:
        family, kind, _, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        with socket.socket(family, kind) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
            probe.listen(1)
    except OSError as error:
        reason = getattr(error, "strerror", None) or str(error)
        if isinstance(error, socket.gaierror) or error.errno == errno.EADDRNOTAVAIL:
            raise CommandError(
                f"{host} is no address of this machine ({reason}). Set HOST to one, "
                "or leave it out."
            ) from error
        free = port + 1 if 1024 <= port < 65535 else 8001
        raise CommandError(
            f"Port {port} of {host} cannot be used ({reason}). Set PORT to another, "
            f"as in: make run PORT={free}"
        ) from error


def free_own_leases() -> None:
    """Free the leases of a tree that was killed. On SQLite nobody else can hold one,
    for the data directory is ours; elsewhere those of this machine's dead."""
    from indexer import jobs

    try:
        jobs.free_leases(everybody=connection.vendor == "sqlite")
    except DatabaseError:
        # They run out by themselves; this only saves the wait.
        connection.close()


def answers(url: str) -> bool:
    """Whether a web server answers there with anything but a failure."""
    try:
        with urllib.request.urlopen(url, timeout=2) as response:  # noqa: S310
            return bool(response.status < 500)
    except urllib.error.HTTPError as error:
        return error.code < 500
    except OSError:
        return False


def _stop(number: int, frame: FrameType | None) -> None:
    raise Stopped


def _dotted(version: tuple[Any, ...]) -> str:
    return ".".join(map(str, version))


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")


def _database_place() -> str:
    if connection.vendor == "sqlite":
        return str(connection.settings_dict["NAME"])
    return "DATABASE_URL"


def _reachable(host: str) -> str:
    """Where this machine reaches a server that listens on `host`."""
    if host in {"0.0.0.0", "::", ""}:  # noqa: S104
        return "127.0.0.1"
    return f"[{host}]" if ":" in host else host


def _shown(host: str) -> str:
    if host in {"0.0.0.0", "::", ""}:  # noqa: S104
        return socket.gethostname()
    return f"[{host}]" if ":" in host else host
