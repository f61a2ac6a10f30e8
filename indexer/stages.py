"""The order of stage columns. Pure."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Sequence
from itertools import pairwise

# What teams call their stages, first to last, where no `.gto` says otherwise.
USUAL_ORDER = (
    "dev",
    "development",
    "test",
    "testing",
    "qa",
    "staging",
    "stage",
    "prod",
    "production",
)
_USUAL_RANK = {stage: rank for rank, stage in enumerate(USUAL_ORDER)}


def ordered_stages(
    present: Iterable[str], orders: Iterable[tuple[Sequence[str], int]] = ()
) -> list[str]:
    """The stages in `present`, each once, in the order of their columns.

    `orders` are the `stages:` lists of `.gto` files, each with the number of
    repositories that have it. One list is followed as it is. Several are merged:
    "a before b" counts as often as repositories say it, the weightier first, and
    what contradicts a weightier one is left out. Where no list speaks it is dev,
    test, staging/stage, prod; a stage neither knows comes last, by name. The answer
    depends on no order of the input.
    """
    wanted = set(present)
    weights: dict[tuple[str, str], int] = {}
    listed: set[str] = set()
    for order, count in orders:
        stages = [stage for stage in dict.fromkeys(order) if stage in wanted]
        listed.update(stages)
        for before, after in pairwise(stages):
            weights[before, after] = weights.get((before, after), 0) + count
    usual = [stage for stage in USUAL_ORDER if stage in wanted]
    followers: dict[str, set[str]] = {stage: set() for stage in wanted}
    pairs = [
        *sorted(weights, key=lambda pair: (-weights[pair], pair)),
        *pairwise(usual),
    ]
    for before, after in pairs:
        if not _reaches(followers, after, before):
            followers[before].add(after)

    def place(stage: str) -> tuple[bool, int, str]:
        known = stage in listed or stage in _USUAL_RANK
        return not known, _USUAL_RANK.get(stage, len(_USUAL_RANK)), stage

    waits_for = dict.fromkeys(wanted, 0)
    for after in (after for afters in followers.values() for after in afters):
        waits_for[after] += 1
    ready = [place(stage) for stage in wanted if not waits_for[stage]]
    heapq.heapify(ready)
    found: list[str] = []
    while ready:
        stage = heapq.heappop(ready)[-1]
        found.append(stage)
        for after in followers[stage]:
            waits_for[after] -= 1
            if not waits_for[after]:
                heapq.heappush(ready, place(after))
    return found


def _reaches(followers: dict[str, set[str]], start: str, goal: str) -> bool:
    """Whether `goal` comes after `start` (or is it) by what is known so far."""
    seen, todo = {start}, [start]
    while todo:
        stage = todo.pop()
        if stage == goal:
            return True
        todo.extend(followers[stage] - seen)
        seen |= followers[stage]
    return False
