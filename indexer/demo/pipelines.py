"""Text of the files that DVC users keep in Git: dvc.yaml, dvc.lock, params, metrics,
plots. Written as DVC writes them; hashes are made up from what they stand for."""

from __future__ import annotations

import hashlib
import json
import random
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

Value: TypeAlias = (
    "str | int | float | bool | Sequence[Value] | Mapping[str, Value] | None"
)

_PLAIN = re.compile(r"[A-Za-z./][A-Za-z0-9_./,()'’–€ -]*[A-Za-z0-9_./)]|[A-Za-z]")
_DIGEST = re.compile(r"(?=[0-9]*[a-f])(?!\d+e\d+$)[0-9a-f]{32}")
_WORDS = {"true", "false", "null", "yes", "no", "on", "off"}


def yaml_text(value: Mapping[str, Value]) -> str:
    """A mapping in YAML's block style, as people write it."""
    return "".join(f"{line.rstrip()}\n" for line in _mapping_lines(value))


def _mapping_lines(value: Mapping[str, Value]) -> list[str]:
    lines: list[str] = []
    for key, item in value.items():
        lines += _entry(f"{_scalar(key)}:", item)
    return lines


def _entry(head: str, item: Value) -> list[str]:
    if isinstance(item, str) and "\n" in item:
        body = [f"  {line}" for line in item.strip("\n").split("\n")]
        return [f"{head} |-", *body]
    if isinstance(item, Mapping) and item:
        return [head, *(f"  {line}" for line in _mapping_lines(item))]
    if isinstance(item, Sequence) and not isinstance(item, str) and item:
        lines = [head]
        for member in item:
            lines += _list_item(member)
        return lines
    return [f"{head} {_scalar(item)}"]


def _list_item(member: Value) -> list[str]:
    if isinstance(member, Mapping) and member:
        first, *rest = _mapping_lines(member)
        return [f"- {first}", *(f"  {line}" for line in rest)]
    if isinstance(member, Sequence) and not isinstance(member, str) and member:
        first, *rest = [line for inner in member for line in _list_item(inner)]
        return [f"- {first}", *(f"  {line}" for line in rest)]
    return _entry("-", member)


def _scalar(value: Value) -> str:
    if isinstance(value, str):
        plain = _PLAIN.fullmatch(value) and value.lower() not in _WORDS
        if plain or _DIGEST.fullmatch(value):
            return value
        return json.dumps(value, ensure_ascii=False)
    if value is None:
        return "null"
    return json.dumps(value)


@dataclass(frozen=True, slots=True)
class Step:
    """One stage of a DVC pipeline."""

    name: str
    cmd: str
    deps: tuple[str, ...] = ()
    params: tuple[str, ...] = ()
    outs: tuple[str, ...] = ()
    metrics: tuple[str, ...] = ()
    plots: tuple[str, ...] = ()


def dvc_yaml(
    steps: Sequence[Step] = (),
    artifacts: Mapping[str, Mapping[str, Value]] | None = None,
    *,
    metrics: Sequence[str] = (),
    params: Sequence[str] = (),
    plots: Sequence[Mapping[str, Value]] = (),
) -> str:
    """A dvc.yaml with stages, artifacts and what to show of them."""
    top: dict[str, Value] = {}
    if steps:
        top["stages"] = {step.name: _stage(step) for step in steps}
    for key, listed in (("params", params), ("metrics", metrics), ("plots", plots)):
        if listed:
            top[key] = list(listed)
    if artifacts:
        top["artifacts"] = dict(artifacts)
    return yaml_text(top)


def _stage(step: Step) -> dict[str, Value]:
    stage: dict[str, Value] = {"cmd": step.cmd}
    for key, paths in (("deps", step.deps), ("params", step.params)):
        if paths:
            stage[key] = list(paths)
    if step.outs:
        stage["outs"] = list(step.outs)
    for key, paths in (("metrics", step.metrics), ("plots", step.plots)):
        if paths:
            stage[key] = [{path: {"cache": False}} for path in paths]
    return stage


def dvc_lock(
    steps: Sequence[Step], params: Mapping[str, Value], changed: Mapping[str, str]
) -> str:
    """A dvc.lock: what each stage read and wrote. `changed` says, by path, which
    state of a file this is: another word, another hash; the same word, the same."""
    stages: dict[str, Value] = {}
    for step in steps:
        stage: dict[str, Value] = {"cmd": step.cmd}
        stage["deps"] = [_hashed(path, changed) for path in step.deps]
        if step.params:
            stage["params"] = {
                "params.yaml": {name: _lookup(params, name) for name in step.params}
            }
        written = (*step.outs, *step.metrics, *step.plots)
        stage["outs"] = [_hashed(path, changed) for path in written]
        stages[step.name] = stage
    return yaml_text({"schema": "2.0", "stages": stages})


def _hashed(path: str, changed: Mapping[str, str]) -> dict[str, Value]:
    text = f"{path}\n{changed.get(path, '')}"
    digest = hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()
    return {
        "path": path,
        "hash": "md5",
        "md5": digest,
        "size": 2_000 + int(digest[:6], 16),
    }


def _lookup(params: Mapping[str, Value], name: str) -> Value:
    value: Value = params
    for part in name.split("."):
        if not isinstance(value, Mapping):
            raise KeyError(name)
        value = value[part]
    return value


def json_text(value: Value) -> str:
    """JSON as dvclive and most scripts write it."""
    return json.dumps(value, indent=4, ensure_ascii=False) + "\n"


def roc_csv(area: float, points: int = 21) -> str:
    """A ROC curve with about that area under it."""
    power = (1 - area) / area  # the area under x**power is 1 / (1 + power)
    rows = ["fpr,tpr"]
    for index in range(points):
        x = index / (points - 1)
        rows.append(f"{x:.3f},{x**power:.4f}")
    return "\n".join(rows) + "\n"


def confusion_csv(labels: Sequence[str], accuracy: float, chance: random.Random) -> str:
    """Rows of actual and predicted labels, right about as often as `accuracy`."""
    rows = ["actual,predicted"]
    for _ in range(60):
        actual = chance.choice(labels)
        wrong = [label for label in labels if label != actual]
        right = chance.random() < accuracy
        rows.append(f"{actual},{actual if right else chance.choice(wrong)}")
    return "\n".join(rows) + "\n"


def loss_tsv(start: float, end: float, steps: int, chance: random.Random) -> str:
    """A falling loss by step, as dvclive writes it."""
    rows = ["step\tloss"]
    for step in range(steps):
        share = 1 - step / max(1, steps - 1)
        noise = chance.uniform(-0.02, 0.02) * start * share
        rows.append(f"{step}\t{end + (start - end) * share**2 + noise:.5f}")
    return "\n".join(rows) + "\n"
