"""Fill an empty index with made-up rows, to measure lists at full size.

    python bench/fill_index.py --models 10000 --repositories 1000

writes models, ten versions and thirty events of each, stages, labels and facets
straight into the tables (crawling as many real repositories would take hours). The
database is the one of MUSTER_DATA or DATABASE_URL; a filled one is refused.
"""

from __future__ import annotations

import argparse
import os
import random
import sys
from collections import Counter
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "registry_site.settings")

VERSIONS = 10
EVENTS = 30
STAGES = ("dev", "staging", "prod")
LABELS = (
    *("tabular", "vision", "nlp", "ranking", "fraud", "churn", "pricing", "search"),
    *("onnx", "pytorch", "xgboost", "sklearn", "gpu", "batch", "online", "edge"),
)
TYPES = ("model",) * 17 + ("",) + ("dataset",) * 2
TOPICS = ("churn", "fraud", "ranking", "pricing", "demand", "spam", "ocr", "vision")
WORDS = (
    *("predicts", "estimates", "scores", "customers", "orders", "payments", "of"),
    *("documents", "images", "daily", "weekly", "nightly", "for", "the", "with"),
    *("baseline", "gradient", "boosted", "transformer", "encoder"),
)
PEOPLE = [(f"Person {n}", f"person{n}@example.com") for n in range(200)]
START = datetime(2023, 1, 1, tzinfo=UTC)


def fill(models: int, repositories: int, *, seed: int = 1) -> None:
    """Write the rows; the same for the same arguments."""
    from django.db import connection, transaction

    from indexer.models import Artifact

    if Artifact.objects.exists():
        raise SystemExit("The index is not empty: fill an empty database.")
    with transaction.atomic():
        _fill(models, repositories, random.Random(seed))
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE" if connection.vendor == "sqlite" else "VACUUM ANALYZE")


def _fill(models: int, repositories: int, dice: random.Random) -> None:
    from indexer.models import Repository

    owners = Repository.objects.bulk_create(
        Repository(
            name=f"team-{n % 37:02}/{TOPICS[n % 8]}-{n:04}",
            url=f"https://git.example.com/team-{n % 37:02}/{TOPICS[n % 8]}-{n:04}.git",
            host="git.example.com",
            added_at=START,
            state="ok",
            stage_order=list(STAGES) if n % 3 else [],
        )
        for n in range(repositories)
    )
    for start in range(0, models, 1000):
        _fill_models(range(start, min(start + 1000, models)), owners, dice)
    _fill_facets()


def _fill_models(numbers: range, owners: list[Any], dice: random.Random) -> None:
    from indexer import models as rows

    artifacts = rows.Artifact.objects.bulk_create(
        _artifact(n, owners[n % len(owners)], dice) for n in numbers
    )
    rows.ArtifactLabel.objects.bulk_create(
        rows.ArtifactLabel(artifact=artifact, label=label)
        for artifact in artifacts
        for label in artifact.labels
    )
    versions = rows.Version.objects.bulk_create(
        version for artifact in artifacts for version in _versions(artifact, dice)
    )
    newest = {v.artifact_id: v for v in versions if v.rank == 0}
    rows.StageHolder.objects.bulk_create(
        rows.StageHolder(
            artifact=artifact,
            version=newest[artifact.pk],
            stage=stage,
            assigned_at=artifact.last_assignment_at,
            author_name=PEOPLE[artifact.pk % len(PEOPLE)][0],
            author_email=PEOPLE[artifact.pk % len(PEOPLE)][1],
            tag=f"{artifact.name}#{stage}",
        )
        for artifact in artifacts
        if artifact.last_assignment_at
        for stage in STAGES
        if dice.random() < 0.6
    )
    rows.Event.objects.bulk_create(
        (event for artifact in artifacts for event in _events(artifact, dice)),
        batch_size=2000,
    )


def _artifact(n: int, repository: Any, dice: random.Random) -> Any:
    from indexer import limits
    from indexer.core.versions import sort_key
    from indexer.models import Artifact
    from indexer.models.fields import UNKNOWN_TIME

    name = f"{TOPICS[n % 8]}-{WORDS[n % len(WORDS)]}-{n:05}"
    labels = sorted(dice.sample(LABELS, 2))
    description = " ".join(dice.choices(WORDS, k=25))
    last = START + timedelta(minutes=dice.randrange(1_800_000))
    tagged = dice.random() < 0.9
    assigned = tagged and dice.random() < 0.7
    version = f"v{dice.randrange(9)}.{dice.randrange(20)}.{dice.randrange(40)}"
    words = (name, repository.name, description, *labels)
    return Artifact(
        repository=repository,
        name=name,
        type=dice.choice(TYPES),
        path=f"models/{name}.pkl",
        description=description,
        labels=labels,
        source="dvc.yaml",
        is_annotated=True,
        is_active=dice.random() > 0.03,
        is_registered=tagged,
        search="\n".join(words).casefold(),
        name_key=limits.sort_key(name),
        repository_key=limits.sort_key(repository.name),
        latest_version=version if tagged else "",
        latest_key=sort_key(version) if tagged else "",
        latest_commit_id=f"{n:040x}" if tagged else "",
        latest_at=last if tagged else None,
        last_event_at=last if tagged else None,
        last_event_key=int(last.timestamp()) if tagged else UNKNOWN_TIME,
        last_assignment_at=last if assigned else None,
        last_assignment_key=int(last.timestamp()) if assigned else UNKNOWN_TIME,
        version_count=VERSIONS,
        event_count=EVENTS,
    )


def _versions(artifact: Any, dice: random.Random) -> Iterable[Any]:
    from indexer.models import Version

    for rank in range(VERSIONS):
        who = dice.choice(PEOPLE)
        yield Version(
            artifact=artifact,
            name=f"v1.{VERSIONS - rank}.0",
            commit_id=f"{dice.getrandbits(160):040x}",
            rank=rank,
            is_active=True,
            is_registered=True,
            created_at=START + timedelta(minutes=dice.randrange(1_800_000)),
            author_name=who[0],
            author_email=who[1],
            message=f"Registering artifact {artifact.name} version v1.{rank}.0",
            ref=f"{artifact.name}@v1.{rank}.0",
        )


def _events(artifact: Any, dice: random.Random) -> Iterable[Any]:
    from indexer.models import Event

    for n in range(EVENTS):
        registers = n < VERSIONS
        stage = "" if registers else STAGES[n % 3]
        who = dice.choice(PEOPLE)
        mark = f"@v1.{n}.0" if registers else f"#{stage}#{n}"
        at = START + timedelta(minutes=dice.randrange(1_800_000))
        yield Event(
            repository_id=artifact.repository_id,
            artifact=artifact,
            kind="registration" if registers else "assignment",
            version=f"v1.{n % VERSIONS}.0",
            stage=stage,
            commit_id=f"{dice.getrandbits(160):040x}",
            at=at,
            at_key=int(at.timestamp()),
            position=n,
            author_name=who[0],
            author_email=who[1],
            message=f"Changing {artifact.name}{mark}: {dice.choice(WORDS)}",
            tag=f"{artifact.name}{mark}",
            tag_id=f"{dice.getrandbits(160):040x}",
        )


def _fill_facets() -> None:
    from indexer.models import Artifact, Repository, RepositoryFacet, StageHolder

    counts: Counter[tuple[int, str, str]] = Counter()
    per_repository: Counter[int] = Counter()
    artifacts: Counter[int] = Counter()
    for pk, kind, labels in Artifact.objects.values_list(
        "repository_id", "type", "labels"
    ):
        counts[pk, "type", kind] += 1
        counts.update((pk, "label", label) for label in labels)
        per_repository[pk] += kind in ("", "model")
        artifacts[pk] += 1
    for pk, stage in StageHolder.objects.values_list("artifact__repository", "stage"):
        counts[pk, "stage", stage] += 1
    RepositoryFacet.objects.bulk_create(
        RepositoryFacet(repository_id=pk, kind=kind, value=value, count=count)
        for (pk, kind, value), count in sorted(counts.items())
    )
    repositories = list(Repository.objects.all())
    for repository in repositories:
        repository.model_count = per_repository[repository.pk]
        repository.artifact_count = artifacts[repository.pk]
        repository.event_count = EVENTS * repository.artifact_count
        repository.version_count = VERSIONS * repository.artifact_count
    Repository.objects.bulk_update(
        repositories,
        ["model_count", "artifact_count", "event_count", "version_count"],
        batch_size=500,
    )


def main() -> None:
    """Migrate and fill the database of the environment."""
    parser = argparse.ArgumentParser(description="Fill an empty index.")
    parser.add_argument("--models", type=int, default=10_000)
    parser.add_argument("--repositories", type=int, default=1000)
    arguments = parser.parse_args()
    import django
    from django.core.management import call_command

    django.setup()
    call_command("migrate", verbosity=0, skip_checks=True)
    fill(arguments.models, arguments.repositories)


if __name__ == "__main__":
    main()
