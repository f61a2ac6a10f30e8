"""Search ranking: versions walk through stages like cards over a kanban board, and
several may hold one stage."""

from __future__ import annotations

from indexer.demo.people import AIKO, JONAS, PRIYA, Persona
from indexer.demo.pipelines import (
    Step,
    Value,
    dvc_lock,
    dvc_yaml,
    json_text,
    loss_tsv,
    yaml_text,
)
from indexer.demo.story import DemoRepository, Story

STEPS = (
    Step(
        "judgements",
        "python tools/judgements.py",
        deps=("data/clicks",),
        params=("clicks.days", "clicks.position_bias"),
        outs=("data/judgements.tsv",),
    ),
    Step(
        "train",
        "python train.py",
        deps=("data/judgements.tsv", "train.py"),
        params=("model.layers", "model.dropout", "model.epochs"),
        outs=("models/ranker.onnx",),
        metrics=("dvclive/metrics.json",),
        plots=("dvclive/plots/metrics/train/loss.tsv",),
    ),
)

RANKER = """\
Orders the first hundred hits of a product search.

Served as ONNX on CPU; the query encoder feeds it. Versions are tried side by side, so
`test` and `prod` may each have several.
"""


def _run(story: Story, state: str, ndcg: float, layers: int) -> dict[str, str]:
    params: dict[str, Value] = {
        "clicks": {"days": 30, "position_bias": "ipw"},
        "model": {"layers": layers, "dropout": 0.1, "epochs": 12},
    }
    metrics: dict[str, Value] = {
        "ndcg@10": ndcg,
        "mrr": round(ndcg - 0.052, 4),
        "train": {"loss": round(1.1 - ndcg, 5)},
        "step": 11,
    }
    changed = dict.fromkeys(
        (
            "data/clicks",
            "data/judgements.tsv",
            "models/ranker.onnx",
            "dvclive/metrics.json",
            "dvclive/plots/metrics/train/loss.tsv",
        ),
        state,
    )
    return {
        "dvc.yaml": dvc_yaml(
            STEPS,
            {
                "ranker": {
                    "path": "models/ranker.onnx",
                    "type": "model",
                    "desc": RANKER,
                    "labels": ["search", "onnx", "learning-to-rank"],
                },
                "query-encoder": {
                    "path": "models/query-encoder.onnx",
                    "type": "model",
                    "desc": "Turns a query into 128 numbers. Not registered yet: it "
                    "still changes with every training of the ranker.",
                    "labels": ["search", "onnx", "embeddings"],
                },
                "judgements": {
                    "path": "data/judgements.tsv",
                    "type": "dataset",
                    "desc": "Query, product, grade from clicks.",
                    "labels": ["search"],
                },
            },
            metrics=["dvclive/metrics.json"],
            plots=[{"dvclive/plots/metrics/train": {"x": "step", "y": "loss"}}],
        ),
        "dvc.lock": dvc_lock(STEPS, params, changed),
        "params.yaml": yaml_text(params),
        "dvclive/metrics.json": json_text(metrics),
        "dvclive/plots/metrics/train/loss.tsv": loss_tsv(
            1.4, 1.1 - ndcg, 12, story.chance
        ),
    }


def _move(
    story: Story, version: str, old: str, new: str, who: Persona, why: str
) -> None:
    """The card moves on: out of one column, into the next."""
    story.unassign("ranker", version, old, who, f"{version} moves on to {new}")
    story.assign("ranker", version, new, who, why)


def tell(story: Story) -> None:
    """A year of it."""
    story.on(345)
    story.commit(
        PRIYA,
        "Learn to rank from clicks",
        {
            "README.md": "# Search ranking\n\nOne stage a version: dev, test, prod.\n",
            ".gto": yaml_text({"types": ["model", "dataset"]}),
            "train.py": '"""Train the ranker and write it as ONNX."""\n',
            **_run(story, "1", 0.4120, 2),
        },
    )
    story.register("ranker", "v1.0.0", PRIYA)
    story.assign("ranker", "v1.0.0", "dev", PRIYA)
    story.on(333)
    _move(story, "v1.0.0", "dev", "test", PRIYA, "5 % of searches")
    story.on(318)
    _move(story, "v1.0.0", "test", "prod", JONAS, "+2.1 % clicks on the first page")

    board = (
        (276, "v1.1.0", 0.4262, 2, "Weigh clicks by position", AIKO, 7, 21),
        (214, "v1.2.0", 0.4339, 3, "One more layer", PRIYA, 6, None),
        (168, "v1.3.0", 0.4418, 3, "Learn from purchases, too", AIKO, 8, 24),
        (97, "v1.4.0", 0.4467, 3, "Fresher clicks, thirty days", PRIYA, 5, 19),
    )
    for days, version, ndcg, layers, message, who, to_test, to_prod in board:
        story.on(days)
        story.commit(who, message, _run(story, version, ndcg, layers))
        story.register("ranker", version, who, message)
        story.assign("ranker", version, "dev", who)
        story.on(days - to_test)
        _move(story, version, "dev", "test", who, "5 % of searches")
        if to_prod:
            story.on(days - to_prod)
            _move(story, version, "test", "prod", JONAS, f"{version} wins its test")
    story.on(70)
    story.unassign("ranker", "v1.2.0", "test", JONAS, "Lost its test, three weeks late")
    for version in ("v1.0.0", "v1.1.0"):
        story.unassign("ranker", version, "prod", JONAS, "v1.3.0 and v1.4.0 serve all")
    story.on(41)
    story.commit(
        AIKO, "Cross-attention over title and query", _run(story, "2a", 0.4581, 4)
    )
    story.register("ranker", "v2.0.0-alpha.1", AIKO, "Slow but promising")
    story.assign("ranker", "v2.0.0-alpha.1", "dev", AIKO)
    story.on(17)
    story.commit(AIKO, "Distil to three layers", _run(story, "2b", 0.4554, 3))
    story.register("ranker", "v2.0.0-rc.1", AIKO, "Distilled: 9 ms a query")
    story.register("judgements", "v1.0.0", AIKO, "What v2.0.0-rc.1 learnt from")
    story.assign("ranker", "v2.0.0-rc.1", "dev", AIKO)
    story.on(5)
    _move(story, "v2.0.0-rc.1", "dev", "test", AIKO, "5 % of searches")


REPOSITORY = DemoRepository(
    "demo/search-ranking",
    "The order of search results, several versions at once",
    tell,
    reading="kanban",
)
