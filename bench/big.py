"""A repository at the edge of what is promised: 100,000 tags."""

from __future__ import annotations

from pathlib import Path

from bench.crawl import Place, worker_peak
from bench.measure import Table


def measure(folder: Path, table: Table, *, quick: bool) -> None:
    """Let a worker crawl it and see how long that takes and how much it needs."""
    tags = 20_000 if quick else 100_000
    place = Place.make(folder / "big", tags)
    megabytes, seconds = worker_peak(place, tags)
    table.head(f"{tags:,} tags in one repository, by a Celery worker")
    table.ratio("from the worker's start to the index", seconds, at_most=60, unit=" s")
    table.ratio("worker's peak memory", megabytes, at_most=512, unit=" MB")
