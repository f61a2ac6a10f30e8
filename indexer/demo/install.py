"""Putting the demo into a site, and taking it out again."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from datetime import date
from pathlib import Path

from django.conf import settings

from indexer import jobs
from indexer.demo.stories import REPOSITORIES
from indexer.demo.story import BuildFailed, DemoRepository
from indexer.models import Crawl, Repository
from indexer.repositories import NameRefused, add_repository, remove_repository


def demo_folder() -> Path:
    """Where the demo's bare repositories lie."""
    folder: Path = settings.MUSTER_DATA / "demo"
    return folder


def build(folder: Path, today: date) -> Iterator[tuple[DemoRepository, Path]]:
    """Write the repositories that are missing in `folder`; give each with its path.
    Raises BuildFailed."""
    for planned in REPOSITORIES:
        path = folder / f"{planned.name.rpartition('/')[2]}.git"
        if not path.exists():
            planned.build(path, today)
        yield planned, path


def install(today: date, *, by: str) -> Iterator[Repository]:
    """Build and connect what is missing; give every repository of the demo, each owed a
    crawl that no worker was told of. Raises BuildFailed, or AddressRefused where
    folders of this machine may not be repositories."""
    for planned, path in build(demo_folder(), today):
        known = Repository.objects.filter(name=planned.name).first()
        if known is not None and not known.is_demo:
            raise NameRefused(
                f"A repository of yours is named {planned.name}, like one of the demo. "
                "Remove it first, or do without the demo."
            )
        if known is None:
            known = add_repository(
                str(path),
                name=planned.name,
                reading=planned.reading,
                by=by,
                is_demo=True,
                wake=False,
            )
            Repository.objects.filter(pk=known.pk).update(
                description=planned.description
            )
        else:
            trigger = Crawl.Trigger.COMMAND
            jobs.request_crawl(known, trigger=trigger, by=by, wake=False)
        yield known


def remove() -> int:
    """Forget the demo's repositories and delete them; returns how many there were."""
    found = list(Repository.objects.filter(is_demo=True))
    for repository in found:
        remove_repository(repository)
    try:
        shutil.rmtree(demo_folder())
    except FileNotFoundError:
        pass
    except OSError as error:
        raise BuildFailed(
            f"{demo_folder()} cannot be deleted: {error.strerror}."
        ) from error
    return len(found)
