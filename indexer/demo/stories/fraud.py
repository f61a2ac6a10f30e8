"""Card fraud: a version that had to be taken back, a model that was retired, and a
stage on a commit nobody registered."""

from __future__ import annotations

from indexer.demo.people import AIKO, JONAS, SADE, TOMAS
from indexer.demo.pipelines import (
    Step,
    Value,
    dvc_lock,
    dvc_yaml,
    json_text,
    roc_csv,
    yaml_text,
)
from indexer.demo.story import DemoRepository, Story

STEPS = (
    Step(
        "sample",
        "python -m fraud.sample",
        deps=("data/transactions", "fraud/sample.py"),
        params=("sample.negatives_per_fraud",),
        outs=("data/sampled.parquet",),
    ),
    Step(
        "train",
        "python -m fraud.train",
        deps=("data/sampled.parquet", "fraud/train.py"),
        params=("train.num_leaves", "train.learning_rate", "train.rounds"),
        outs=("models/card-fraud.txt",),
    ),
    Step(
        "evaluate",
        "python -m fraud.evaluate",
        deps=("models/card-fraud.txt", "data/holdout.parquet"),
        metrics=("metrics.json",),
        plots=("plots/roc.csv",),
    ),
)

CARD_FRAUD = """\
Scores a card payment **while the customer waits**: 40 ms at the 99th percentile.

| threshold | action |
| --- | --- |
| 0.90 | decline |
| 0.55 | ask for a second factor |

Retrained every quarter; the labels lag by 45 days because chargebacks do.
"""


def _artifacts(rules: bool) -> dict[str, dict[str, Value]]:
    artifacts: dict[str, dict[str, Value]] = {
        "card-fraud": {
            "path": "models/card-fraud.txt",
            "type": "model",
            "desc": CARD_FRAUD,
            "labels": ["payments", "real-time", "lightgbm"],
            "meta": {"owner": "payments-risk", "latency_ms_p99": 40},
        },
        "fraud-holdout": {
            "path": "data/holdout.parquet",
            "type": "dataset",
            "desc": "Two weeks nobody trains on; one a quarter.",
            "labels": ["payments"],
        },
    }
    if rules:
        artifacts["fraud-rules"] = {
            "path": "rules/rules.json",
            "type": "model",
            "desc": "The hand-written rules that came before the model. Retired.",
            "labels": ["payments", "rules"],
        }
    return artifacts


def _run(
    state: str, recall: float, leaves: int, *, rules: bool = True
) -> dict[str, str]:
    params: dict[str, Value] = {
        "sample": {"negatives_per_fraud": 40},
        "train": {"num_leaves": leaves, "learning_rate": 0.03, "rounds": leaves * 12},
    }
    area = round(0.9 + recall / 10, 4)
    metrics: dict[str, Value] = {
        "auc": area,
        "recall_at_1pct_fpr": recall,
        "declined_share": round(0.0031 + (1 - recall) / 900, 5),
        "latency_ms": {"p50": 11 + leaves // 32, "p99": 28 + leaves // 16},
    }
    changed = dict.fromkeys(
        (
            "data/transactions",
            "data/sampled.parquet",
            "models/card-fraud.txt",
            "metrics.json",
            "plots/roc.csv",
        ),
        state,
    )
    return {
        "dvc.yaml": dvc_yaml(
            STEPS,
            _artifacts(rules),
            plots=[{"plots/roc.csv": {"x": "fpr", "y": "tpr"}}],
        ),
        "dvc.lock": dvc_lock(STEPS, params, changed),
        "params.yaml": yaml_text(params),
        "metrics.json": json_text(metrics),
        "plots/roc.csv": roc_csv(area),
    }


def tell(story: Story) -> None:
    """A year of it."""
    story.on(360)
    story.commit(
        JONAS,
        "Write down the rules we run today",
        {
            "README.md": "# Fraud detection\n\nRules first, models next.\n",
            "rules/rules.json": json_text({"velocity_per_hour": 6, "amount": 950}),
            "dvc.yaml": dvc_yaml(
                artifacts={"fraud-rules": _artifacts(rules=True)["fraud-rules"]}
            ),
        },
    )
    story.register("fraud-rules", "v1.0.0", JONAS, "The rules as they run today")
    story.assign("fraud-rules", "v1.0.0", "prod", JONAS)
    story.on(322)
    story.commit(
        SADE, "Train a first model on chargebacks", _run("q1", 0.612, leaves=63)
    )
    story.register("card-fraud", "v1.0.0", SADE, "Beats the rules at equal declines")
    story.register("fraud-holdout", "v1.0.0", SADE)
    story.assign("card-fraud", "v1.0.0", "shadow", SADE)
    story.on(290)
    story.assign("card-fraud", "v1.0.0", "prod", TOMAS, "10 % of traffic, then all")
    story.on(281)
    story.unassign(
        "fraud-rules", "v1.0.0", "prod", TOMAS, "card-fraud v1.0.0 takes all traffic"
    )
    story.on(240)
    story.commit(AIKO, "Retrain for the quarter", _run("q2", 0.671, leaves=95))
    story.register("card-fraud", "v2.0.0", AIKO, "Quarterly training, merchant history")
    story.register("fraud-holdout", "v2.0.0", AIKO)
    story.assign("card-fraud", "v2.0.0", "shadow", AIKO)
    story.on(228)
    story.assign("card-fraud", "v2.0.0", "prod", TOMAS, "Shadow agrees, PAY-330")
    story.on(171)
    story.commit(SADE, "Add device features", _run("q3-leak", 0.894, leaves=127))
    story.register("card-fraud", "v2.1.0", SADE, "Device features: recall 0.89!")
    story.assign("card-fraud", "v2.1.0", "shadow", SADE)
    story.on(166)
    story.assign("card-fraud", "v2.1.0", "prod", TOMAS, "Too good to wait")
    story.on(163)
    story.deregister(
        "card-fraud",
        "v2.1.0",
        AIKO,
        "Withdraw v2.1.0: the label leaked\n\n`device.blocked_at` is set by the very "
        "chargeback we predict. Nothing may be built on this version. PAY-352.",
    )
    story.on(158)
    story.commit(
        AIKO,
        "Cut device features off at the time of payment",
        _run("q3", 0.702, leaves=127),
    )
    story.register("card-fraud", "v2.1.1", AIKO, "Device features without the leak")
    story.assign("card-fraud", "v2.1.1", "shadow", AIKO)
    story.on(147)
    story.assign("card-fraud", "v2.1.1", "prod", TOMAS, "PAY-352 closed")
    story.on(121)
    story.deprecate(
        "fraud-rules", JONAS, "Nothing calls the rules any more\n\nUse card-fraud."
    )
    story.on(62)
    story.commit(SADE, "Retrain for the quarter", _run("q4", 0.728, leaves=127))
    story.register("card-fraud", "v2.2.0", SADE, "Quarterly training")
    story.register("fraud-holdout", "v3.0.0", SADE)
    story.assign("card-fraud", "v2.2.0", "shadow", SADE)
    story.on(51)
    story.assign("card-fraud", "v2.2.0", "prod", TOMAS, "PAY-401")
    story.on(12)
    trial = story.commit(
        JONAS, "Try a graph of shared devices", _run("graph", 0.741, leaves=191)
    )
    story.tag(
        "card-fraud#shadow#12",
        JONAS,
        "Look at the graph features in shadow, not worth a version yet",
        at=trial,
    )
    story.on(3)
    story.commit(
        JONAS,
        "Prune the graph to one hop\n\nTwo hops doubled the latency for nothing.",
        _run("graph-1", 0.739, leaves=191),
    )


REPOSITORY = DemoRepository(
    "demo/fraud-detection", "Payments scored while the customer waits", tell
)
