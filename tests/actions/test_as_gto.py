"""The same wishes, to gto and to Muster, on two equal repositories: equal tags and
equal refusals, step by step."""

from __future__ import annotations

import os
import random
from pathlib import Path
from typing import Any

import gto.api
import pytest
from dulwich.errors import RefFormatError
from gto.exceptions import GTOException
from scmrepo.exceptions import SCMError

from indexer.actions import BadWish
from indexer.models import ActionLog
from tests.actions.places import ActionPlace, Verb, act_at, git
from tests.core.test_plans import LATER, STRICTER, at_time, registry_at, tags_of

gto_api: Any = gto.api
WALKS = int(os.environ.get("MUSTER_FUZZ", "3"))
STEPS = 14
STAGES = ("prod", "dev", "team/prod")


@pytest.mark.fuzz
@pytest.mark.parametrize("seed", range(WALKS))
def test_random_wishes_write_what_gto_writes(
    seed: int, tmp_path: Path, own_site: None, transactional_db: None
) -> None:
    rng = random.Random(seed)
    with act_at("git", tmp_path) as place:
        twin = tmp_path / "twin"
        git(tmp_path, "clone", "--quiet", str(place.bare), str(twin))
        done = 0
        for step in range(STEPS):
            done += _step(rng, place, twin, step)
            assert tags_of(twin) == tags_of(place.bare), f"seed {seed}, step {step}"
        assert done, "every wish of this walk was refused"
        assert ActionLog.objects.filter(status="done").count() == done


def _step(rng: random.Random, place: ActionPlace, twin: Path, step: int) -> bool:
    """One wish to both; whether it was done, which both must say alike."""
    known = registry_at(twin).state.artifacts.get("churn")
    versions = (
        [one.name for one in known.versions if one.is_registered] if known else []
    )
    version = rng.choice([*versions, *versions, "v9.9.9"])
    stage, message = rng.choice(STAGES), rng.choice(("", "Because\n\nit is better"))
    commit = rng.choice(place.commits)
    verb = rng.choice([Verb.REGISTER, Verb.ASSIGN, Verb.ASSIGN, Verb.UNASSIGN,
                       Verb.DEREGISTER, Verb.DEPRECATE])  # fmt: skip
    if verb == Verb.DEPRECATE and not versions:
        verb = Verb.REGISTER  # gto knows nothing of what only a dvc.yaml says
    what: dict[str, Any] = {"message": message}
    if verb == Verb.REGISTER:
        wanted = rng.choice(("v1.0.0", "v0.1.0", "v2.0.0-rc.1", "1.0", "v3.0.0"))
        what |= {"commit_id": commit, "version": wanted}
    elif verb in {Verb.ASSIGN, Verb.UNASSIGN}:
        what |= {"stage": stage, "version": version}
    elif verb == Verb.DEREGISTER:
        what["version"] = version
    try:
        row = place.act(verb, **what)
        ours = row.status == "done"
    except BadWish:
        row, ours = None, False
    if row is not None and row.code in STRICTER:
        return False  # gto may write a tag there that changes nothing
    at = row.seconds if row and row.seconds else LATER * 1000 + step
    theirs = _by_gto(twin, verb, what, at)
    assert theirs == ours, (verb, what, row and row.sentence)
    return ours


def _by_gto(twin: Path, verb: Verb, what: dict[str, Any], at: int) -> bool:
    """Whether gto does it. What a plan does by itself gto is told: `simple` False where
    the plain name is taken, `force` where a version that lost a stage gets it back."""
    message = {"message": what["message"] or None}
    for more in ({}, {"simple": False}, {"force": True}):
        if "force" in more and (verb != Verb.ASSIGN or _holds(twin, what)):
            continue
        try:
            with at_time(twin, at):
                _ask(twin, verb, what, message | more)
        except (GTOException, SCMError, RefFormatError):
            continue
        return True
    return False


def _holds(twin: Path, what: dict[str, Any]) -> bool:
    known = registry_at(twin).state.artifacts.get("churn")
    holders = known.stages.get(what["stage"], ()) if known else ()
    names = {one.version for one in holders}
    versions = {one.name for one in known.versions} if known else set()
    return what["version"] in names or what["version"] not in versions


def _ask(twin: Path, verb: Verb, what: dict[str, Any], more: dict[str, Any]) -> None:
    path = str(twin)
    match verb:
        case Verb.REGISTER:
            gto_api.register(
                path, "churn", what["commit_id"], version=what["version"], **more
            )
        case Verb.ASSIGN:
            gto_api.assign(
                path, "churn", what["stage"], version=what["version"], **more
            )
        case Verb.UNASSIGN:
            gto_api.unassign(
                path, "churn", stage=what["stage"], version=what["version"], **more
            )
        case Verb.DEREGISTER:
            gto_api.deregister(path, "churn", version=what["version"], **more)
        case _:
            gto_api.deprecate(path, "churn", **more)
