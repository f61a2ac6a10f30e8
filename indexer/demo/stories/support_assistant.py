"""Support assistant: mostly prompts and data sets, with a small model between them."""

from __future__ import annotations

from indexer.demo.people import AIKO, PRIYA, SADE
from indexer.demo.pipelines import Value, dvc_yaml, json_text, yaml_text
from indexer.demo.story import DemoRepository, Story

ROUTER = """\
Sends a ticket to one of eleven queues. Fine-tuned from a small multilingual encoder;
answers in `de`, `en`, `fr` and `pt`.
"""


def _artifacts(languages: int) -> dict[str, dict[str, Value]]:
    return {
        "ticket-router": {
            "path": "models/router.safetensors",
            "type": "model",
            "desc": ROUTER,
            "labels": ["support", "nlp", "transformers"],
            "meta": {"languages": languages},
        },
        "answer-prompt": {
            "path": "prompts/answer.md",
            "type": "prompt",
            "desc": "What the assistant is told before it answers a customer.",
            "labels": ["support", "llm"],
        },
        "summary-prompt": {
            "path": "prompts/summary.md",
            "type": "prompt",
            "desc": "One-paragraph summary of a ticket for the next agent.",
            "labels": ["support", "llm"],
        },
        "answer-evaluation": {
            "path": "data/evaluation.jsonl",
            "type": "dataset",
            "desc": "Two hundred tickets with answers that agents liked.",
            "labels": ["support", "llm", "evaluation"],
        },
    }


def _state(
    answer: str, helpful: float, accuracy: float, *, languages: int = 4
) -> dict[str, str]:
    return {
        "dvc.yaml": dvc_yaml(
            artifacts=_artifacts(languages),
            metrics=["metrics.yaml"],
            params=["params.yaml"],
        ),
        "params.yaml": yaml_text(
            {"router": {"epochs": 3, "learning_rate": 0.00002, "languages": languages}}
        ),
        "metrics.yaml": yaml_text(
            {
                "router": {"accuracy": accuracy, "macro_f1": round(accuracy - 0.03, 4)},
                "answer": {
                    "helpful": helpful,
                    "refused": round(0.09 - helpful / 20, 4),
                },
            }
        ),
        "prompts/answer.md": answer,
    }


def tell(story: Story) -> None:
    """Half a year of it: the youngest project."""
    story.on(201)
    story.commit(
        AIKO,
        "Begin the support assistant",
        {
            "README.md": "# Support assistant\n\nPrompts are versioned like models.\n",
            "prompts/summary.md": "Summarise the ticket in one paragraph.\n",
            "data/evaluation.jsonl": json_text({"tickets": 200}),
            **_state("Answer politely.\n", 0.61, 0.842),
        },
    )
    story.register("answer-prompt", "v0.1.0", AIKO)
    story.register("answer-evaluation", "v1.0.0", AIKO, "Two hundred tickets")
    story.register("ticket-router", "v0.1.0", AIKO, "Eleven queues, four languages")
    story.assign("ticket-router", "v0.1.0", "dev", AIKO)
    story.assign("answer-prompt", "v0.1.0", "dev", AIKO)
    story.on(172)
    story.commit(
        PRIYA,
        "Tell the assistant to quote the help page it used",
        _state("Answer politely. Quote the help page you used.\n", 0.72, 0.842),
    )
    story.register("answer-prompt", "v0.2.0", PRIYA, "Quotes its source")
    story.assign("answer-prompt", "v0.2.0", "staging", PRIYA)
    story.on(160)
    story.assign("answer-prompt", "v0.2.0", "prod", SADE, "Agents prefer it 3 to 1")
    story.on(133)
    story.commit(
        AIKO,
        "Fine-tune the router on corrected tickets",
        _state("Answer politely. Quote the help page you used.\n", 0.72, 0.887),
    )
    story.register("ticket-router", "v0.2.0", AIKO, "Corrected tickets: 0.84 to 0.89")
    story.assign("ticket-router", "v0.2.0", "staging", AIKO)
    story.on(118)
    story.assign("ticket-router", "v0.2.0", "prod", SADE, "SUP-212")
    story.on(64)
    story.commit(
        SADE,
        "Never promise a refund",
        _state(
            "Answer politely. Quote the help page you used. Never promise a refund.\n",
            0.74,
            0.887,
        ),
    )
    story.register("answer-prompt", "v0.3.0", SADE, "No promises (legal, SUP-240)")
    story.register("summary-prompt", "v0.1.0", SADE)
    story.assign("answer-prompt", "v0.3.0", "prod", SADE, "At once, SUP-240")
    story.on(21)
    story.commit(
        AIKO,
        "Add Portuguese and Polish",
        _state(
            "Answer politely, in the customer's language. Quote the help page you "
            "used. Never promise a refund.\n",
            0.78,
            0.901,
            languages=6,
        ),
    )
    story.register("ticket-router", "v0.3.0", AIKO, "Six languages")
    story.register("answer-prompt", "v0.4.0", AIKO, "In the customer's language")
    story.assign("ticket-router", "v0.3.0", "staging", AIKO)
    story.assign("answer-prompt", "v0.4.0", "staging", AIKO)
    story.on(1)
    story.assign("ticket-router", "v0.3.0", "prod", SADE, "SUP-266")


REPOSITORY = DemoRepository(
    "demo/support-assistant", "Prompts, data sets and a router for tickets", tell
)
