"""Demand forecast: a monorepo of three teams, retrained every week by a bot. Somebody
left conflict markers in one of its dvc.yaml files."""

from __future__ import annotations

from indexer.demo.people import BOT, LENA, MARA, SADE
from indexer.demo.pipelines import (
    Step,
    Value,
    dvc_lock,
    dvc_yaml,
    json_text,
    yaml_text,
)
from indexer.demo.story import DemoRepository, Story

STEPS = (
    Step(
        "features",
        "python -m forecast.features",
        deps=("data/sales.parquet", "data/calendar.csv"),
        params=("features.lags", "features.holidays"),
        outs=("data/features.parquet",),
    ),
    Step(
        "train",
        "python -m forecast.train",
        deps=("data/features.parquet",),
        params=("train.model", "train.horizon_days"),
        outs=("models/forecast.pkl",),
        metrics=("metrics.json",),
        plots=("backtest.csv",),
    ),
)

STORES = """\
Units sold **per store, item and day**, {horizon} days ahead. Orders of the fresh-food
suppliers follow it without a human in between.

Retrained every Monday by `release-bot`; a version goes to prod when its backtest is no
worse than the one it replaces by more than 1 %.
"""

BROKEN = """\
stages:
  train:
    cmd: python -m uplift.train
    deps:
    - data/promotions.parquet
<<<<<<< HEAD
    - data/weather.parquet
=======
    - data/competitors.parquet
>>>>>>> promotions-competitors
    outs:
    - models/uplift.pkl
artifacts:
  uplift:
    path: models/uplift.pkl
    type: model
"""


def _params(horizon: int, model: str) -> dict[str, Value]:
    return {
        "features": {"lags": [1, 7, 14, 28], "holidays": True},
        "train": {"model": model, "horizon_days": horizon},
    }


def _run(
    story: Story,
    folder: str,
    state: str,
    error: float,
    artifact: dict[str, dict[str, Value]],
    params: dict[str, Value],
) -> dict[str, str]:
    """The files of one training run in one directory."""
    metrics: dict[str, Value] = {
        "wape": round(error, 4),
        "bias": round(story.chance.uniform(-0.02, 0.02), 4),
        "series": 18_400 + story.chance.randrange(400),
    }
    actual, rows = 180.0, ["day,actual,forecast"]
    for day in range(28):
        actual = max(60.0, actual + story.chance.uniform(-25, 25))
        forecast = actual * (1 + story.chance.uniform(-1, 1) * error * 1.6)
        rows.append(f"{day},{actual:.0f},{forecast:.1f}")
    changed = dict.fromkeys(
        (
            "data/sales.parquet",
            "data/features.parquet",
            "models/forecast.pkl",
            "metrics.json",
            "backtest.csv",
        ),
        state,
    )
    plot: dict[str, Value] = {
        "backtest.csv": {"x": "day", "y": ["actual", "forecast"], "title": "Backtest"}
    }
    files = {
        "dvc.yaml": dvc_yaml(STEPS, artifact, params=["params.yaml"], plots=[plot]),
        "dvc.lock": dvc_lock(STEPS, params, changed),
        "params.yaml": yaml_text(params),
        "metrics.json": json_text(metrics),
        "backtest.csv": "\n".join(rows) + "\n",
    }
    return {f"{folder}/{name}": text for name, text in files.items()}


def _stores(horizon: int) -> dict[str, dict[str, Value]]:
    return {
        "demand-forecast": {
            "path": "models/forecast.pkl",
            "type": "model",
            "desc": STORES.format(horizon=horizon),
            "labels": ["forecast", "retail", "lightgbm", "weekly"],
        },
        "sales-history": {
            "path": "data/sales.parquet",
            "type": "dataset",
            "desc": "Cleaned sales by store, item and day.",
            "labels": ["retail"],
        },
    }


def _warehouse(note: str) -> dict[str, dict[str, Value]]:
    return {
        "demand-forecast": {
            "path": "models/forecast.pkl",
            "type": "model",
            "desc": f"Pallets leaving each warehouse, four weeks ahead. {note}",
            "labels": ["forecast", "logistics", "prophet"],
        }
    }


def _uplift() -> dict[str, dict[str, Value]]:
    return {
        "uplift": {
            "path": "models/uplift.pkl",
            "type": "model",
            "desc": "How many more we sell of an item while it is on promotion.",
            "labels": ["pricing", "causal"],
        }
    }


def tell(story: Story) -> None:
    """A year of it."""
    story.on(358)
    story.commit(
        LENA,
        "Bring the forecasts of three teams together",
        {
            "README.md": "# Forecasts\n\nOne directory a team: stores, warehouse, "
            "promotions. Tags: `stores=demand-forecast@v1.0.0`.\n",
            "forecast/__init__.py": "",
        },
    )
    story.on(340)
    story.commit(
        MARA,
        "warehouse: first forecast",
        _run(
            story,
            "warehouse",
            "1",
            0.164,
            _warehouse("A first try."),
            _params(28, "prophet"),
        ),
    )
    story.register("warehouse:demand-forecast", "v1.0.0", MARA)
    story.assign("warehouse:demand-forecast", "v1.0.0", "prod", MARA)
    story.on(330)
    story.commit(
        SADE,
        "promotions: measure uplift",
        {
            "promotions/dvc.yaml": dvc_yaml(artifacts=_uplift()),
            "promotions/metrics.json": json_text({"qini": 0.081}),
        },
    )
    story.register("promotions:uplift", "v0.1.0", SADE, "Two pilots' worth of data")
    story.assign("promotions:uplift", "v0.1.0", "staging", SADE)

    _weekly(story)

    story.on(10)
    story.commit(
        MARA,
        "warehouse: holidays by region",
        _run(
            story,
            "warehouse",
            "3",
            0.121,
            _warehouse("Knows regional holidays."),
            _params(28, "prophet"),
        ),
    )
    story.register("warehouse:demand-forecast", "v1.2.0", MARA, "Regional holidays")
    story.assign("warehouse:demand-forecast", "v1.2.0", "staging", MARA)
    story.on(4)
    story.commit(
        SADE,
        "Merge competitors' prices into promotions",
        {"promotions/dvc.yaml": BROKEN},
    )


def _weekly(story: Story) -> None:
    """Forty weeks of the bot, with people in between."""
    error = 0.152
    minor = 0
    for week in range(40):
        story.on(320 - week * 7)
        error = max(0.094, error - 0.0015 + story.chance.uniform(-0.002, 0.0015))
        version = f"v1.{minor}.0"
        story.commit(
            BOT,
            f"stores: weekly training {week + 1}",
            _run(
                story,
                "stores",
                f"week {week}",
                error,
                _stores(14 if week < 22 else 21),
                _params(14 if week < 22 else 21, "lightgbm"),
            ),
        )
        story.register(
            "stores:demand-forecast", version, BOT, f"Weekly training, WAPE {error:.3f}"
        )
        story.assign("stores:demand-forecast", version, "staging", BOT)
        minor += 1
        if week in {7, 19, 31}:  # the backtest was worse: nothing goes live
            continue
        story.assign("stores:demand-forecast", version, "prod", BOT, "Backtest passed")
        if week == 13:
            story.on(320 - week * 7 - 2)
            story.assign(
                "stores:demand-forecast",
                "v1.12.0",
                "prod",
                LENA,
                "Back to last week: the bank holiday is missing from the calendar",
            )
        if week == 21:
            story.on(320 - week * 7 - 3)
            story.commit(
                MARA,
                "warehouse: switch to weekly seasonality",
                _run(
                    story,
                    "warehouse",
                    "2",
                    0.138,
                    _warehouse("Weekly seasonality."),
                    _params(28, "prophet"),
                ),
            )
            story.register("warehouse:demand-forecast", "v1.1.0", MARA)
            story.assign("warehouse:demand-forecast", "v1.1.0", "prod", LENA, "LOG-77")
        if week == 25:
            story.register("stores:sales-history", "v1.0.0", LENA, "Frozen for audit")
            story.register("promotions:uplift", "v0.2.0", SADE, "Six more pilots")
            story.assign("promotions:uplift", "v0.2.0", "staging", SADE)
            story.assign("promotions:uplift", "v0.1.0", "prod", LENA, "For the autumn")


REPOSITORY = DemoRepository(
    "demo/demand-forecast",
    "Monorepo: what stores, warehouses and offers will need",
    tell,
)
