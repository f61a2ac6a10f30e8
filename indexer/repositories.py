"""Adding, changing and removing the repositories Muster looks at."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from urllib.parse import urlsplit

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.db import IntegrityError, transaction
from django.utils import timezone

from indexer import jobs, snapshot_rows
from indexer.ingest import drop_index
from indexer.models import Connection, Crawl, Repository, Tag
from indexer.providers.addresses import CleanRemote, parse_remote
from indexer.providers.errors import AddressRefused

NAME = re.compile(r"[A-Za-z0-9._-]+(/[A-Za-z0-9._-]+)*", re.ASCII)
PROVIDERS = {"github": Repository.Provider.GITHUB, "gitlab": Repository.Provider.GITLAB}


class NameRefused(AddressRefused):
    """The name is taken, or cannot be a name."""


def add_repository(
    url: str,
    *,
    name: str = "",
    username: str = "",
    secret: str = "",
    reading: str = "",
    by: str = "",
    is_demo: bool = False,
    wake: bool = True,
) -> Repository:
    """Connect a repository and ask for its first crawl; `wake` off: whoever asks
    does it, no worker is told.

    `name` "" is taken from the address. A credential in the address is moved out of it
    and stored encrypted. Raises AddressRefused (NameRefused for the name) with a
    sentence for whoever typed it."""
    remote = checked_remote(url)
    name = _checked_name(name) if name.strip() else _free_name(remote)
    repository = Repository(
        name=name,
        added_at=timezone.now(),
        added_by=by[:200],
        reading=reading,
        is_demo=is_demo,
    )
    _set_remote(repository, remote, username, secret or None)
    try:
        with transaction.atomic():
            repository.save(force_insert=True)
            jobs.request_crawl(
                repository, trigger=Crawl.Trigger.ADDED, by=by, wake=wake
            )
    except IntegrityError as error:
        raise NameRefused(_taken(name)) from error
    return repository


def change_repository(
    repository: Repository,
    *,
    url: str,
    username: str = "",
    secret: str | None = None,
    reading: str = "",
    is_enabled: bool = True,
    by: str = "",
) -> None:
    """Change how a repository is read, and crawl it anew. `secret` None keeps the one
    there is, unless the scheme, the host or the port changes: a credential is never
    sent to another server. Raises AddressRefused."""
    remote = checked_remote(url)
    if (
        secret is None
        and not remote.secret
        and _server(remote.url) != _server(repository.url)
    ):
        secret = ""
    _set_remote(repository, remote, username, secret)
    repository.reading = reading
    repository.is_enabled = is_enabled
    with transaction.atomic():
        repository.save(
            update_fields=[
                "provider", "url", "host", "web_url", "username", "secret",
                "reading", "is_enabled",
            ]
        )  # fmt: skip
        if is_enabled:
            jobs.request_crawl(repository, trigger=Crawl.Trigger.BUTTON, by=by)


def change_connected_repository(
    repository: Repository, *, way: str, reading: str, is_enabled: bool, by: str = ""
) -> None:
    """Change how a repository of a connection is read, and crawl it anew. `way` "" is
    the connection's."""
    repository.way = way
    repository.reading = reading
    repository.is_enabled = is_enabled
    with transaction.atomic():
        repository.save(update_fields=["way", "reading", "is_enabled"])
        if is_enabled:
            jobs.request_crawl(repository, trigger=Crawl.Trigger.BUTTON, by=by)


def remove_repository(repository: Repository) -> None:
    """Forget a repository with its index, memory of tags and mirror. A crawl that runs
    loses its lease and stops. Git keeps everything. Its connection leaves it out from
    now on, or the next listing would bring it back."""
    with transaction.atomic():
        if repository.connection_id is not None:
            _leave_out(repository.connection_id, repository.path)
        # First, so that a crawl that writes waits, or is waited for.
        Repository.objects.filter(pk=repository.pk).update(lease_id=None)
        drop_index(repository.pk)
        snapshot_rows.GONE_TAGS.delete([repository.pk], "repository_id")
        Tag.objects.filter(repository=repository.pk).delete()
        Repository.objects.filter(pk=repository.pk).delete()
    shutil.rmtree(mirror_path(repository.pk), ignore_errors=True)


def _leave_out(connection_id: int, path: str) -> None:
    """Add a repository to what a connection does not take."""
    row = Connection.objects.select_for_update().get(pk=connection_id)
    if path.lower() not in row.exclude.lower().split():
        row.exclude = f"{row.exclude.rstrip()}\n{path}".lstrip()
        row.save(update_fields=["exclude"])


def checked_remote(url: str) -> CleanRemote:
    """The address as this site allows it. Raises AddressRefused."""
    return parse_remote(
        url,
        allow_local=settings.MUSTER_ALLOW_LOCAL,
        allow_private=settings.MUSTER_ALLOW_PRIVATE,
        own_data=settings.MUSTER_DATA / "mirrors",  # the demo lies beside them
    )


def mirror_path(repository_id: int) -> Path:
    """The folder of a repository's mirror."""
    path: Path = settings.MUSTER_DATA / "mirrors" / str(repository_id)
    return path


def remove_orphaned_mirrors() -> int:
    """Remove mirrors and lists of commits of repositories that are no more: a crawl may
    have made one anew while its repository was removed. Returns how many."""
    return _remove_orphans("mirrors") + _remove_orphans("commits")


def _remove_orphans(kind: str) -> int:
    """Of one folder, whose entries are called by the repositories' numbers."""
    folder: Path = settings.MUSTER_DATA / kind
    found = {
        path: int(path.name.partition(".")[0])
        for path in folder.glob("*")
        if path.name.partition(".")[0].isdecimal()
    }
    kept = set(
        Repository.objects.filter(pk__in=found.values()).values_list("pk", flat=True)
    )
    orphans = [path for path, pk in found.items() if pk not in kept]
    for path in orphans:
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)
    return len(orphans)


def _set_remote(
    repository: Repository, remote: CleanRemote, username: str, secret: str | None
) -> None:
    """`secret` None: that of the address, else the one there is."""
    from indexer.crypto import encrypt

    repository.url = remote.url
    repository.host = remote.host
    repository.web_url = remote.web_url
    repository.provider = PROVIDERS.get(remote.kind.value, Repository.Provider.GIT)
    repository.username = (username or remote.username)[:200]
    secret = secret if secret is not None else remote.secret or None
    if secret is not None:
        try:
            repository.secret = encrypt(secret) if secret else ""
        except ImproperlyConfigured as error:  # there is no key to keep it with
            raise AddressRefused(str(error)) from error


def _server(url: str) -> tuple[str, str]:
    """What a credential belongs to: the scheme, and the host with its port."""
    parts = urlsplit(url)
    return (parts.scheme, parts.netloc) if parts.netloc else ("", url.split(":")[0])


def _checked_name(name: str) -> str:
    name = name.strip().strip("/")
    segments = name.split("/")
    if (
        len(name) > 200
        or not NAME.fullmatch(name)
        or any(segment in {"-", ".", ".."} for segment in segments)
    ):
        raise NameRefused(
            "A name is OWNER/NAME: letters, digits, “.”, “_”, “-” between slashes, at "
            "most 200 characters, and no part that is only “-”, “.” or “..”."
        )
    if Repository.objects.filter(name=name).exists():
        raise NameRefused(_taken(name))
    return name


def _free_name(remote: CleanRemote) -> str:
    """The address's own name, with a number behind it where another has it."""
    same = Repository.objects.filter(url=remote.url).values_list("name", flat=True)
    if same:
        raise NameRefused(
            f"This address is here already, as {same[0]}. Give another name to add it "
            "a second time."
        )
    guess = name = remote.name_guess
    number = 2
    while Repository.objects.filter(name=name).exists():
        tail = f"-{number}"
        name, number = f"{guess[: 200 - len(tail)]}{tail}", number + 1
    return name


def _taken(name: str) -> str:
    return f"A repository named {name} is here already. Choose another name."
