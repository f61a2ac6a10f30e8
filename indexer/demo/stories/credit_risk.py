"""Credit risk: models an auditor reads about. Few versions, long messages, a champion
and its challenger, one model retired by the regulator's wish."""

from __future__ import annotations

from indexer.demo.people import LENA, MARA, TOMAS
from indexer.demo.pipelines import Value, dvc_yaml, json_text, roc_csv, yaml_text
from indexer.demo.story import DemoRepository, Story

PD = """\
**Probability of default** within twelve months, for consumer loans up to € 50,000.

### Intended use
Decision support in underwriting. A person decides; the score never declines alone.

### Limits
1. Applicants without a credit file: use the manual process.
2. Valid while unemployment stays under 9 %; reviewed every quarter.

### Approval
Model risk committee, minutes in `docs/committee/`.
"""

CARD = """\
# Model card: pd-scorecard

| | |
| --- | --- |
| Owner | Credit risk |
| Risk tier | 1 |
| Last validation | {validation} |
| Gini | {gini} |
"""


def _artifacts(with_legacy: bool) -> dict[str, dict[str, Value]]:
    artifacts: dict[str, dict[str, Value]] = {
        "pd-scorecard": {
            "path": "models/pd.json",
            "type": "model",
            "desc": PD,
            "labels": ["credit", "regulated", "tier-1", "logistic-regression"],
            "meta": {"owner": "credit-risk", "risk_tier": 1},
        },
        "lgd-model": {
            "path": "models/lgd.pkl",
            "type": "model",
            "desc": "Share of a loan that is lost once it defaults.",
            "labels": ["credit", "regulated", "tier-2"],
        },
        "loan-book": {
            "path": "data/loans.parquet",
            "type": "dataset",
            "desc": "Loans since 2015 with their outcome, pseudonymous.",
            "labels": ["credit", "personal-data"],
        },
    }
    if with_legacy:
        artifacts["pd-scorecard-2019"] = {
            "path": "models/pd-2019.json",
            "type": "model",
            "desc": "The scorecard before IFRS 9 recalibration.",
            "labels": ["credit", "regulated"],
        }
    return artifacts


def _run(gini: float, validation: str, *, with_legacy: bool) -> dict[str, str]:
    area = (gini + 1) / 2
    return {
        "dvc.yaml": dvc_yaml(
            artifacts=_artifacts(with_legacy),
            metrics=["metrics/pd.json"],
            params=["params.yaml"],
            plots=[{"plots/pd_roc.csv": {"x": "fpr", "y": "tpr", "title": "PD"}}],
        ),
        "params.yaml": yaml_text(
            {"pd": {"bins": 8, "penalty": 0.4, "scale": {"base": 600, "odds": 20}}}
        ),
        "models/pd.json": json_text({"intercept": -2.31, "gini": gini}),
        "metrics/pd.json": json_text(
            {"gini": gini, "ks": round(gini * 0.74, 4), "psi": round(0.2 - gini / 5, 4)}
        ),
        "plots/pd_roc.csv": roc_csv(area),
        "docs/pd-scorecard.md": CARD.format(validation=validation, gini=gini),
    }


def tell(story: Story) -> None:
    """A year of it."""
    story.on(364)
    story.commit(
        TOMAS,
        "Take over the scorecards from the old system",
        {
            "README.md": "# Credit risk\n\nEvery change goes through the committee.\n",
            ".gto": yaml_text(
                {"stages": ["validation", "challenger", "champion", "retired"]}
            ),
            "models/pd-2019.json": json_text({"intercept": -2.02}),
            **_run(0.5210, "before the takeover", with_legacy=True),
        },
    )
    story.register("pd-scorecard-2019", "v7.3.0", TOMAS, "As it ran in the old system")
    story.assign("pd-scorecard-2019", "v7.3.0", "champion", TOMAS, "Still in force")
    story.register("loan-book", "v1.0.0", TOMAS, "Loans until the takeover")
    story.on(307)
    story.commit(
        MARA,
        "Recalibrate for IFRS 9",
        _run(0.5534, "spring validation", with_legacy=True),
    )
    story.register(
        "pd-scorecard",
        "v1.0.0",
        MARA,
        "Recalibrated scorecard\n\nGini 0.553 against 0.521; documented in "
        "docs/pd-scorecard.md; change request CR-2044.",
    )
    story.register("lgd-model", "v1.0.0", MARA, "First own LGD, CR-2045")
    story.assign("pd-scorecard", "v1.0.0", "validation", MARA, "CR-2044")
    story.assign("lgd-model", "v1.0.0", "validation", MARA, "CR-2045")
    story.on(279)
    story.assign(
        "pd-scorecard",
        "v1.0.0",
        "champion",
        LENA,
        "Approved by the model risk committee\n\nMinutes 14, item 3. Conditions: PSI "
        "watched monthly, review in two quarters.",
    )
    story.assign("lgd-model", "v1.0.0", "champion", LENA, "Minutes 14, item 4")
    story.on(274)
    story.assign(
        "pd-scorecard-2019", "v7.3.0", "retired", LENA, "Replaced by pd-scorecard"
    )
    story.unassign(
        "pd-scorecard-2019", "v7.3.0", "champion", LENA, "Replaced by pd-scorecard"
    )
    story.on(213)
    story.deprecate(
        "pd-scorecard-2019",
        TOMAS,
        "Retire the 2019 scorecard\n\nThe supervisor asked for one PD model in force.",
    )
    story.on(126)
    story.commit(
        MARA,
        "Add open-banking income\n\nOnly where the applicant agreed.",
        _run(0.5817, "autumn validation", with_legacy=False),
    )
    story.register("pd-scorecard", "v2.0.0", MARA, "Open-banking income, CR-2101")
    story.register("loan-book", "v2.0.0", MARA, "With two more quarters")
    story.assign("pd-scorecard", "v2.0.0", "validation", MARA, "CR-2101")
    story.on(101)
    story.assign(
        "pd-scorecard", "v2.0.0", "challenger", LENA, "Runs beside v1.0.0, minutes 17"
    )
    story.on(46)
    story.commit(
        MARA,
        "Cap the weight of open-banking income",
        _run(0.5802, "winter validation", with_legacy=False),
    )
    story.register("pd-scorecard", "v2.0.1", MARA, "Cap asked for by validation")
    story.assign("pd-scorecard", "v2.0.1", "validation", MARA, "CR-2118")
    story.on(18)
    story.assign(
        "pd-scorecard", "v2.0.1", "challenger", LENA, "Minutes 19, item 2: replace"
    )


REPOSITORY = DemoRepository(
    "demo/credit-risk", "Regulated scorecards with a champion and a challenger", tell
)
