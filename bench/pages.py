"""Pages over a large catalog against the same pages over a small one."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

from bench.measure import PYTHON, Table, manage, postgres_database, run
from bench.site import Comparison, Site, compare
from bench.tags import make_model

ORDERS = ("name", "repository", "latest", "activity", "assigned")
# Fifty rows in both: `type=any` for the filters, a word of every model to search for.
LISTS = {
    "as it opens": "/?type=any",
    **{f"sorted by {name}": f"/?type=any&sort={name}" for name in ORDERS[1:]},
    **{f"sorted by {name}, last first": f"/?type=any&sort=-{name}" for name in ORDERS},
    "search": "/?type=any&q=team",
    "in prod": "/?type=any&stage=prod&size=25",
    "not in prod": "/?type=any&not_stage=prod&size=25",
    "search in prod": "/?q=team&type=any&stage=prod&sort=-activity&size=25",
}


def measure(folder: Path, table: Table, *, quick: bool) -> None:
    """The list of models, then the page of a long-lived one."""
    _lists(folder, table, quick=quick)
    _model_page(folder, table, quick=quick)


def _lists(folder: Path, table: Table, *, quick: bool) -> None:
    models = 2_000 if quick else 10_000
    for engine in ("SQLite", "PostgreSQL"):
        with ExitStack() as stack:
            sites: dict[int, Site] = {}
            for size in (100, models):
                environment = {"MUSTER_DATA": str(folder / f"{engine}-{size}")}
                if engine == "PostgreSQL":
                    url = stack.enter_context(postgres_database(f"bench_{size}"))
                    if url is None:
                        table.note("PostgreSQL does not answer: its part is left out")
                        return
                    environment["DATABASE_URL"] = url
                fill = ["--models", str(size), "--repositories", str(size // 10)]
                run([PYTHON, "bench/fill_index.py", *fill], environment=environment)
                sites[size] = stack.enter_context(Site(environment))
            table.head(
                f"Models page of 50 rows, {engine}: {models:,} models, "
                f"{models * 10:,} versions, {models * 30:,} events against 100 models"
            )
            queries = 0
            for what, path in LISTS.items():
                compared = compare(sites[100], sites[models], path)
                _lines(table, what, compared)
                queries = max(queries, compared.large.queries)
            table.ratio("most queries of these", queries, at_most=10, unit="")


def _model_page(folder: Path, table: Table, *, quick: bool) -> None:
    versions = 400 if quick else 2_000
    environment = {"MUSTER_DATA": str(folder / "model")}
    manage("migrate", "--verbosity=0", environment=environment)
    for name, count in (("small", 20), ("large", versions)):
        remote = folder / f"{name}.git"
        make_model(remote, count)
        manage(
            "add_repository",
            str(remote),
            "--name",
            f"bench/{name}",
            "--no-wait",
            environment=environment,
        )
        manage("crawl", f"bench/{name}", environment=environment)
    table.head(
        f"Page of a model with {versions:,} versions and {versions * 5:,} events "
        "against one with 20 and 100"
    )
    pages = {
        "model": "/models/bench/{}/-/model",
        "a version": "/models/bench/{}/-/model@v0.0.7",
        "history": "/history/bench/{}/-/model",
    }
    with Site(environment) as site:
        for what, path in pages.items():
            compared = compare(site, site, path.format("small"), path.format("large"))
            _lines(table, what, compared)


def _lines(table: Table, what: str, compared: Comparison) -> None:
    small, large = compared.small, compared.large
    table.ratio(
        f"{what}: time",
        compared.ratio,
        at_most=1.5,
        note=f"{large.milliseconds:.1f} ms against {small.milliseconds:.1f} ms, "
        f"{large.rows} rows against {small.rows}",
    )
    if large.queries != small.queries:
        table.fact(f"{what}: queries", large.queries, small.queries)
