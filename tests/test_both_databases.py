"""SQLite and PostgreSQL hold the same index, byte for byte, of the worst repositories
there are (threats 1C, 1D, 1E)."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit
from uuid import uuid4

import psycopg
import pytest
from psycopg import sql

from tests.process_tree import ROOT, environment
from tests.providers import hostile
from tests.providers.raw_repository import RawRepository, simple_repository
from tests.services import POSTGRES_URL

CRAWL_ALL = """
import json, sys
import django
django.setup()
from django.core.management import call_command
call_command("migrate", verbosity=0)
from indexer.crawl import crawl_repository
from indexer.index_dump import index_dump
from indexer.models import Crawl
from indexer.repositories import add_repository
for name, path in json.loads(sys.argv[1]).items():
    repository = add_repository(path, name=name, wake=False)
    crawl = crawl_repository(repository.pk)
    assert crawl.status == Crawl.Status.CHANGED, (name, crawl.message)
    repository.refresh_from_db()
    assert repository.state == "ok", (name, repository.message)
print(index_dump())
"""
BUILDERS: dict[str, Callable[[Path], Path]] = {
    "P1/bombs": hostile.yaml_bombs,
    "T1/tags": hostile.hostile_tag_objects,
    "T9/names": hostile.hostile_names,
    "A7/links": hostile.links_and_submodules,
    "D1/bomb": hostile.git_bomb,
    "D2/deep": hostile.deep_directories,
    "P8/large": hostile.large_documents,
}


def odd_texts(path: Path) -> Path:
    """P6 to P9 in every place a text or a number can stand."""
    repository = RawRepository(path)
    odd = "nul\\0 \\uD800 \\U0001F600 \\u202E ' \\\" \\\\ {{7*7}} <b>" + "é" * 300
    document = (
        f'artifacts:\n  m:\n    type: "{odd}"\n    desc: "{odd}"\n    path: "{odd}"\n'
        f'    labels: ["{odd}", "x"]\n    meta: {{"{odd}": "{odd}", n: .nan, i: .inf,'
        " big: 99999999999999999999, e: 1e400, h: 0xffffffffffffffffffff, f: 1e16,"
        " z: -0.0, one: 1.0, d: 2023-02-30}\n"
    ).encode()
    commit = repository.commit(
        repository.files({"dvc.yaml": document, "artifacts.yaml": b"m: [1, \0]\n"}),
        message=b"nul \0 latin \xe9 \xf0\x9f\x98\x80" + b"m" * 20_000,
    )
    tagger = b"n\xe9 \xed\xa0\x80 <e\xff@x> 1700000000 +0530"
    for name in (b"m@v1.0.0", b"m#prod#1", b"m@v1.0.0-" + b"9" * 230):
        body = repository.tag_body(
            commit, name, tagger=tagger, message=b"a\0b\xe9" + b"x" * 100_000
        )
        repository.tag(name, body)
    repository.refs[b"refs/heads/main"] = commit
    repository.refs[b"refs/heads/" + b"b" * 300] = commit
    return repository.finish()


BUILDERS["P7/texts"] = odd_texts


@contextmanager
def postgres_database() -> Iterator[str]:
    """An empty database of this test."""
    name = f"muster_{uuid4().hex[:12]}"
    parts = urlsplit(POSTGRES_URL)
    with psycopg.connect(POSTGRES_URL, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        try:
            yield urlunsplit(parts._replace(path=f"/{name}"))
        finally:
            connection.execute(
                sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name))
            )


def crawled(remotes: dict[str, str], data: Path, **more: str) -> str:
    """The dump of an installation that crawled these remotes."""
    done = subprocess.run(
        [sys.executable, "-c", CRAWL_ALL, json.dumps(remotes)],
        env={
            **environment(data, **more),
            "DJANGO_SETTINGS_MODULE": "registry_site.settings",
        },
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


@pytest.mark.needs_postgres
@pytest.mark.slow
def test_P8_both_databases_hold_the_same_of_the_worst_repositories(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "remotes"
    folder.mkdir()
    remotes = {
        name: str(build(folder / name.replace("/", "-")))
        for name, build in BUILDERS.items()
    }
    remotes["good/one"] = str(simple_repository(folder / "good").path)
    on_sqlite = crawled(remotes, tmp_path / "sqlite")
    with postgres_database() as url:
        on_postgres = crawled(remotes, tmp_path / "postgres", DATABASE_URL=url)
    assert json.loads(on_sqlite) == json.loads(on_postgres)
    assert on_sqlite == on_postgres
    assert len(json.loads(on_sqlite)["Event"]) > 20
