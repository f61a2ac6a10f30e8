"""Customer churn: one model that a team improves over a year, with a rollback, and
the data set it learns from."""

from __future__ import annotations

from indexer.demo.people import LENA, MARA, PRIYA, TOMAS
from indexer.demo.pipelines import (
    Step,
    Value,
    confusion_csv,
    dvc_lock,
    dvc_yaml,
    json_text,
    roc_csv,
    yaml_text,
)
from indexer.demo.story import DemoRepository, Story

STEPS = (
    Step(
        "prepare",
        "python src/prepare.py",
        deps=("data/customers.parquet", "src/prepare.py"),
        params=("prepare.window_days", "prepare.test_share"),
        outs=("data/prepared",),
    ),
    Step(
        "featurize",
        "python src/featurize.py",
        deps=("data/prepared", "src/featurize.py"),
        params=("featurize.recency", "featurize.support_tickets"),
        outs=("data/features.parquet",),
    ),
    Step(
        "train",
        "python src/train.py",
        deps=("data/features.parquet", "src/train.py"),
        params=("train.learning_rate", "train.max_depth", "train.rounds", "train.seed"),
        outs=("models/churn.pkl",),
    ),
    Step(
        "evaluate",
        "python src/evaluate.py",
        deps=("data/features.parquet", "models/churn.pkl", "src/evaluate.py"),
        metrics=("metrics/eval.json",),
        plots=("plots/roc.csv", "plots/confusion.csv"),
    ),
)

DESCRIPTION = """\
Probability that a **subscriber cancels within 30 days**.

Scores are written every night to the retention team's worklist; everything above
`0.62` gets a call. Trained on {months} months of billing, usage and support data.

- Input: one row a customer, features as of midnight UTC
- Output: `churn_probability`, calibrated by isotonic regression
- Not for: business accounts, customers younger than {young} days
"""

README = """\
# Churn prediction

    dvc pull && dvc repro

Models are registered with GTO: `git tag -a churn@v1.2.0`. Stages: dev, staging, prod.
"""


def _params(depth: int, rounds: int, window: int, tickets: bool) -> dict[str, Value]:
    return {
        "prepare": {"window_days": window, "test_share": 0.2},
        "featurize": {"recency": True, "support_tickets": tickets},
        "train": {
            "learning_rate": 0.05,
            "max_depth": depth,
            "rounds": rounds,
            "seed": 20,
        },
    }


def _files(
    story: Story,
    state: str,
    area: float,
    params: dict[str, Value],
    *,
    months: int,
    young: int = 60,
) -> dict[str, str]:
    """Everything a training run changes."""
    precision = round(area - 0.11 + story.chance.uniform(-0.01, 0.01), 4)
    recall = round(area - 0.19 + story.chance.uniform(-0.01, 0.01), 4)
    metrics: dict[str, Value] = {
        "auc": area,
        "precision": precision,
        "recall": recall,
        "f1": round(2 * precision * recall / (precision + recall), 4),
        "brier": round(0.31 - area / 5, 4),
        "rows": 48_000 + months * 2_150,
    }
    changed = {
        "data/customers.parquet": f"{months}",
        "data/prepared": f"{months} {params['prepare']}",
        "data/features.parquet": f"{months} {params}",
        "models/churn.pkl": state,
        "metrics/eval.json": state,
        "plots/roc.csv": state,
        "plots/confusion.csv": state,
        "src/train.py": f"{area > 0.85}",
    }
    return {
        "params.yaml": yaml_text(params),
        "dvc.yaml": dvc_yaml(
            STEPS,
            {
                "churn": {
                    "path": "models/churn.pkl",
                    "type": "model",
                    "desc": DESCRIPTION.format(months=months, young=young),
                    "labels": ["retention", "tabular", "xgboost", "batch"],
                    "meta": {"owner": "retention", "framework": "xgboost"},
                },
                "churn-training-data": {
                    "path": "data/customers.parquet",
                    "type": "dataset",
                    "desc": f"Subscribers of the last {months} months, one row each, "
                    "with the date they left or none.",
                    "labels": ["retention", "tabular", "personal-data"],
                },
            },
            params=["params.yaml"],
            metrics=["metrics/eval.json"],
            plots=[
                {"ROC": {"x": "fpr", "y": {"plots/roc.csv": "tpr"}}},
                {
                    "Confusion": {
                        "template": "confusion",
                        "x": "actual",
                        "y": {"plots/confusion.csv": "predicted"},
                    }
                },
            ],
        ),
        "dvc.lock": dvc_lock(STEPS, params, changed),
        "metrics/eval.json": json_text(metrics),
        "plots/roc.csv": roc_csv(area),
        "plots/confusion.csv": confusion_csv(
            ["stays", "leaves"], metrics_accuracy(area), story.chance
        ),
    }


def metrics_accuracy(area: float) -> float:
    """A plausible accuracy for an area under the curve."""
    return area - 0.04


def tell(story: Story) -> None:
    """A year of it."""
    story.on(366)
    story.commit(
        MARA,
        "Start the churn project",
        {
            "README.md": README,
            ".gitignore": "/data\n/models\n.venv/\n",
            ".gto": yaml_text({"stages": ["dev", "staging", "prod"]}),
            "src/prepare.py": '"""Cut the raw table to the window."""\n',
            "src/featurize.py": '"""Recency, frequency, money."""\n',
            "src/train.py": '"""Gradient boosted trees."""\n',
            "src/evaluate.py": '"""Write metrics and curves."""\n',
        },
    )
    story.on(352)
    first = _params(4, 200, 180, tickets=False)
    story.commit(
        MARA,
        "Train the first baseline",
        _files(story, "v0.1", 0.7421, first, months=12),
    )
    story.register("churn-training-data", "v1.0.0", MARA, "Twelve months of customers")
    story.register("churn", "v0.1.0", MARA, "First baseline, for the dry run only")
    story.assign("churn", "v0.1.0", "dev", MARA)

    story.on(311)
    story.commit(
        PRIYA,
        "Widen the window to a year\n\nSeasonal customers looked like leavers.",
        _files(story, "v1.0", 0.8013, _params(5, 300, 365, tickets=False), months=14),
    )
    story.register(
        "churn",
        "v1.0.0",
        PRIYA,
        "First version good enough to call people\n\nAUC 0.80 on the last two months.",
    )
    story.assign("churn", "v1.0.0", "dev", PRIYA)
    story.on(304)
    story.assign("churn", "v1.0.0", "staging", PRIYA, "Shadow run of one week")
    story.on(296)
    story.assign(
        "churn", "v1.0.0", "prod", TOMAS, "Shadow run is clean, go live (RET-118)"
    )

    story.on(243)
    story.commit(
        PRIYA,
        "Add support tickets as features",
        _files(story, "v1.1", 0.8266, _params(5, 400, 365, tickets=True), months=16),
    )
    story.register("churn-training-data", "v1.1.0", PRIYA, "With support tickets")
    story.register("churn", "v1.1.0", PRIYA, "Support tickets: AUC 0.80 to 0.83")
    story.assign("churn", "v1.1.0", "dev", PRIYA)
    story.on(239)
    story.assign("churn", "v1.1.0", "staging", LENA)
    story.on(231)
    story.assign("churn", "v1.1.0", "prod", TOMAS, "Approved in RET-141")

    story.on(150)
    story.commit(
        MARA,
        "Move to monotone constraints and deeper trees",
        _files(story, "v2.0", 0.8589, _params(7, 600, 365, tickets=True), months=19),
    )
    story.register("churn", "v2.0.0-rc.1", MARA, "Candidate, calibration not checked")
    story.assign("churn", "v2.0.0-rc.1", "dev", MARA)
    story.on(141)
    story.commit(
        MARA,
        "Calibrate by isotonic regression",
        _files(story, "v2.0", 0.8612, _params(7, 600, 365, tickets=True), months=19),
    )
    story.register("churn-training-data", "v2.0.0", MARA, "Nineteen months")
    story.register("churn", "v2.0.0", MARA, "Calibrated; threshold moves to 0.62")
    story.assign("churn", "v2.0.0", "dev", MARA)
    story.on(137)
    story.assign("churn", "v2.0.0", "staging", LENA, "Two weeks beside v1.1.0")
    story.on(122)
    story.assign("churn", "v2.0.0", "prod", TOMAS, "Lift confirmed (RET-167)")
    story.on(119)
    story.assign(
        "churn",
        "v1.1.0",
        "prod",
        LENA,
        "Roll back to v1.1.0\n\nCustomers who paused their plan score 0.9 since "
        "Friday; the worklist tripled. See RET-171.",
    )

    story.on(98)
    story.commit(
        PRIYA,
        "Treat a paused plan as active\n\nFixes the flood of RET-171.",
        _files(story, "v2.1", 0.8634, _params(7, 600, 365, tickets=True), months=20),
    )
    story.register("churn", "v2.0.1", PRIYA, "Paused plans count as active (RET-171)")
    story.assign("churn", "v2.0.1", "dev", PRIYA)
    story.on(96)
    story.assign("churn", "v2.0.1", "staging", PRIYA)
    story.on(88)
    story.assign("churn", "v2.0.1", "prod", TOMAS, "Fix confirmed on paused plans")

    story.on(34)
    story.commit(
        MARA,
        "Retrain on two years",
        _files(
            story,
            "v3.0",
            0.8727,
            _params(7, 750, 365, tickets=True),
            months=24,
            young=45,
        ),
    )
    story.register("churn-training-data", "v3.0.0", MARA, "Two full years")
    story.register("churn", "v3.0.0", MARA, "Two years of data, AUC 0.873")
    story.assign("churn", "v3.0.0", "dev", MARA)
    story.on(26)
    story.assign("churn", "v3.0.0", "staging", LENA, "Shadow run until month end")
    story.on(9)
    story.commit(
        PRIYA,
        "Drop the postcode feature\n\nIt stood in for income; review FAIR-12.",
        _files(
            story,
            "v3.1",
            0.8709,
            _params(7, 750, 365, tickets=True),
            months=24,
            young=45,
        ),
    )
    story.register(
        "churn",
        "v3.1.0",
        PRIYA,
        "Without postcode\n\nCosts 0.002 AUC and passes the fairness review FAIR-12.",
    )
    story.assign("churn", "v3.1.0", "dev", PRIYA)
    story.on(6)
    story.assign("churn", "v3.1.0", "staging", LENA)
    story.on(2)
    story.assign("churn", "v3.0.0", "prod", TOMAS, "Approved in RET-204")


REPOSITORY = DemoRepository(
    "demo/churn-prediction", "Who is about to leave, and why", tell
)
