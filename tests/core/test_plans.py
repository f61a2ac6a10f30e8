"""What Muster would write against what gto writes, as histories grow step by step."""

from __future__ import annotations

import os
import random
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

import gto.api
import pytest
from dulwich.errors import RefFormatError
from gto.exceptions import GTOException
from scmrepo.exceptions import SCMError
from scmrepo.git import Git

from indexer.core.effects import stage_changes
from indexer.core.plans import (
    LONGEST_REF,
    Refusal,
    Registry,
    TagPlan,
    plan_assignment,
    plan_deprecation,
    plan_deregistration,
    plan_registration,
    plan_revival,
    plan_unassignment,
    suggest_version,
)
from indexer.core.state import build_state
from indexer.core.versions import Part
from tests.core.histories import START, Commit, History, Tag, write_repository
from tests.core.reading import read_repository

ARTIFACTS = ("churn", "models/segment", "sub:detect")
STAGES = ("prod", "dev", "team/prod")
VERSIONS = ("", "", "v1.0.0", "v0.1.0", "v2.0.0-rc.1", "1.0", "v0.0.1")
NAMES = (*ARTIFACTS, *ARTIFACTS, "no_", "-x", "a b", "x\n")
FILES = {"artifacts.yaml": "spam: {type: model, path: spam.pkl}\n"}
LATER = 100_000  # seconds after the last commit

gto_api: Any = gto.api
Plan = TagPlan | Refusal


def registry_at(path: Path) -> Registry:
    snapshot = read_repository(path)
    return Registry.of(build_state(snapshot), (tag.ref for tag in snapshot.tags))


def commits_of(path: Path) -> list[str]:
    return _git(path, "rev-list", "--reverse", "main").split()


def tags_of(path: Path) -> dict[str, tuple[str, str, str]]:
    """Annotated tags by ref: target, type of it, message."""
    shown = _git(
        path,
        "for-each-ref",
        "--format=%(refname:lstrip=2)%01%(object)%01%(type)%01%(contents)%02",
        "refs/tags",
    )
    found = {}
    for line in shown.split("\x02"):
        if line.strip():
            ref, target, kind, message = line.strip("\n").split("\x01")
            found[ref] = target, kind, message.strip()
    return found


def _git(path: Path, *arguments: str, env: dict[str, str] | None = None) -> str:
    done = subprocess.run(
        ["git", "-C", str(path), *arguments], capture_output=True, env=env, check=False
    )
    if done.returncode:
        raise SCMError(done.stderr.decode())
    return done.stdout.decode()


@contextmanager
def at_time(path: Path, at: int) -> Iterator[None]:
    """Let gto's tags bear this date: the libraries under it take the time from C."""

    def tag(_: Any, ref: str, target: str, *, annotated: bool, message: str) -> None:
        assert annotated
        _git(
            path, "-c", "user.name=Ada", "-c", "user.email=ada@example.org",
            "tag", "-a", "-m", message, "--", ref, target,
            env=os.environ | {"GIT_COMMITTER_DATE": f"{at} +0000"},
        )  # fmt: skip

    with mock.patch.object(Git, "tag", tag):
        yield


@dataclass(frozen=True)
class Request:
    """The same wish, to Muster and to gto. gto needs to be told what a plan does by
    itself: `simple` False where the plain name is taken, `force` where a version lost
    its stage to another and gets it back."""

    plan: Callable[[Registry], Plan]
    ask: Callable[..., object]
    may_force: bool = False
    suggests: bool = False  # the version; gto's own may be one that was taken back


def random_request(rng: random.Random, path: Path, commits: list[str]) -> Request:
    name, commit = rng.choice(NAMES), rng.choice(commits)
    stage = rng.choice((*STAGES, *STAGES, "pro d"))
    known = registry_at(path).state.artifacts.get(name)
    versions = [one.name for one in known.versions] if known else []
    version = rng.choice([*versions, *versions, "v9.9.9"])
    is_version = version.startswith("v")
    where: dict[str, str] = {"version" if is_version else "ref": version}
    message = rng.choice(("", "", "Because it is better\n\nMuch better"))
    match rng.randrange(8):
        case 0 | 1 | 2:
            wanted = rng.choice(VERSIONS)
            part = rng.choice(list(Part))
            bump = {} if wanted or not known else {f"bump_{part}": True}
            if known and known.latest is None:
                bump = {}  # gto bumps nothing that is not there
            return Request(
                lambda registry: plan_registration(
                    registry, name, commit, wanted, part=part, message=message
                ),
                lambda **more: gto_api.register(
                    path, name, commit, message=message or None,
                    **({"version": wanted or None} | bump | more),
                ),
                suggests=not wanted,
            )  # fmt: skip
        case 3 | 4 if is_version:
            return Request(
                lambda registry: plan_assignment(
                    registry, name, stage, version=version, message=message
                ),
                lambda **more: gto_api.assign(
                    path, name, stage, version=version, message=message or None, **more
                ),
                may_force=True,
            )
        case 3 | 4:
            return Request(
                lambda registry: plan_assignment(
                    registry, name, stage, commit_id=commit, message=message
                ),
                lambda **more: gto_api.assign(
                    path, name, stage, ref=commit, skip_registration=True,
                    message=message or None, **more,
                ),
                may_force=True,
            )  # fmt: skip
        case 5:
            return Request(
                lambda registry: plan_unassignment(
                    registry, name, stage, version, message=message
                ),
                lambda **more: gto_api.unassign(
                    path, name, stage=stage, message=message or None, **where, **more
                ),
            )
        case 6 if is_version:
            return Request(
                lambda registry: plan_deregistration(
                    registry, name, version, message=message
                ),
                lambda **more: gto_api.deregister(
                    path, name, version=version, message=message or None, **more
                ),
            )
        case _:
            return Request(
                lambda registry: plan_deprecation(
                    registry, name, head=commits[-1], message=message
                ),
                lambda **more: gto_api.deprecate(
                    path, name, message=message or None, **more
                ),
            )


def ask_gto(path: Path, request: Request, plan: Plan) -> bool:
    """Whether gto writes the tag, told what a plan does by itself. `refused_before`
    of the first try is allowed only for the two known reasons."""
    tries: list[dict[str, Any]] = [{}]
    if isinstance(plan, TagPlan):
        if request.suggests:
            no_bump = dict.fromkeys((f"bump_{part}" for part in Part), False)
            tries.append({"version": plan.tag.version, **no_bump})
        tries.append({"simple": False})
        if request.may_force:
            tries.append({"force": True})
    for options in tries:
        before = tags_of(path)
        try:
            request.ask(**options)
        except (GTOException, SCMError, RefFormatError, ValueError):
            assert tags_of(path) == before
        else:
            return True
    return False


@pytest.mark.fuzz
@pytest.mark.parametrize("seed", range(10))
def test_it_writes_what_gto_writes(tmp_path: Path, seed: int) -> None:
    """The same requests on the same growing repository: equal tags, or both refuse."""
    rng = random.Random(seed)
    commits = tuple(
        Commit(seconds=START + 60 * number, message=f"Commit {number}\n", files=FILES)
        for number in range(5)
    )
    light = Tag("churn#prod#41", target=0, is_lightweight=True)
    path = write_repository(
        tmp_path / "repo", History(commits, (light,) if seed % 2 else ())
    )
    ids = commits_of(path)
    written = refused = 0
    for step in range(24):
        request = random_request(rng, path, ids)
        registry = registry_at(path)
        plan = request.plan(registry)
        before = tags_of(path)
        at = START + LATER + 60 * step
        with at_time(path, at):
            gto_wrote = ask_gto(path, request, plan)
        new = {ref: tag for ref, tag in tags_of(path).items() if ref not in before}
        if isinstance(plan, Refusal):
            refused += 1
            assert not gto_wrote or plan.code in STRICTER, (plan, new)
        else:
            written += 1
            assert gto_wrote, plan
            assert new == {plan.name: (plan.commit_id, "commit", plan.message)}
            assert plan.not_before <= at
    assert written
    assert refused


# Where gto writes a tag that changes nothing, or that no page could show, we refuse.
STRICTER = {"stage-not-held", "stage-held", "deregistered"}


def written(path: Path, plan: Plan, at: int) -> Registry:
    """The registry after the plan's tag was written."""
    assert isinstance(plan, TagPlan), plan
    with at_time(path, at):
        write: Any = Git.tag
        write(None, plan.name, plan.commit_id, annotated=True, message=plan.message)
    return registry_at(path)


def a_repository(path: Path, files: dict[str, str] | None = None) -> list[str]:
    commits = [
        Commit(seconds=START + number, files=files or {}, message=f"{number}\n")
        for number in range(3)
    ]
    write_repository(path, History(tuple(commits)))
    return commits_of(path)


def code_of(plan: Plan) -> str:
    return plan.code if isinstance(plan, Refusal) else ""


def test_a_deprecated_model_comes_back_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "repo"
    first, second, _ = a_repository(path)
    registry = registry_at(path)
    plans: list[Callable[[Registry], Plan]] = [
        lambda now: plan_registration(now, "churn", first),
        lambda now: plan_registration(now, "churn", second, part=Part.MAJOR),
        lambda now: plan_assignment(now, "churn", "prod", version="v0.0.1"),
        lambda now: plan_deprecation(now, "churn", head=second),
    ]
    for number, plan in enumerate(plans):
        registry = written(path, plan(registry), START + LATER + number)
    gone = registry.state.artifacts["churn"]
    assert not gone.is_active
    assert gone.events[0].commit_id == first  # the newest event's
    revival = plan_revival(registry, "churn")
    assert isinstance(revival, TagPlan)
    assert revival.name == "churn@v1.0.0#2"
    back = written(path, revival, START + LATER + 9).state.artifacts["churn"]
    assert back.is_active
    assert not stage_changes(gone, back)
    assert [one.name for one in back.versions] == [one.name for one in gone.versions]
    assert code_of(plan_revival(registry_at(path), "churn")) == "not-deprecated"


def test_a_model_without_a_version_is_revived_by_its_stage(tmp_path: Path) -> None:
    path = tmp_path / "repo"
    first, *_ = a_repository(path)
    registry = written(
        path,
        plan_assignment(registry_at(path), "churn", "prod", commit_id=first),
        START + LATER,
    )
    registry = written(
        path, plan_deprecation(registry, "churn", head=first), START + LATER + 1
    )
    registry = written(path, plan_revival(registry, "churn"), START + LATER + 2)
    artifact = registry.state.artifacts["churn"]
    assert artifact.is_active
    assert [holder.commit_id for holder in artifact.stages["prod"]] == [first]


def test_it_says_which_version_a_stage_falls_back_to(tmp_path: Path) -> None:
    path = tmp_path / "repo"
    first, second, _ = a_repository(path)
    registry = registry_at(path)
    plans: list[Callable[[Registry], Plan]] = [
        lambda now: plan_registration(now, "churn", first, "v1.0.0"),
        lambda now: plan_registration(now, "churn", second, "v2.0.0"),
        lambda now: plan_assignment(now, "churn", "prod", version="v1.0.0"),
        lambda now: plan_assignment(now, "churn", "prod", version="v2.0.0"),
    ]
    for number, plan in enumerate(plans):
        registry = written(path, plan(registry), START + LATER + number)
    before = registry.state.artifacts["churn"]
    after = written(
        path, plan_deregistration(registry, "churn", "v2.0.0"), START + LATER + 9
    ).state.artifacts["churn"]
    (change,) = stage_changes(before, after)
    assert (change.stage, change.before, change.after) == (
        "prod", ("v2.0.0",), ("v1.0.0",),
    )  # fmt: skip


def test_a_version_that_was_taken_back_is_not_suggested(tmp_path: Path) -> None:
    path = tmp_path / "repo"
    first, second, third = a_repository(path)
    registry = written(
        path, plan_registration(registry_at(path), "churn", first), START + LATER
    )
    registry = written(
        path, plan_registration(registry, "churn", second), START + LATER + 1
    )
    registry = written(
        path, plan_deregistration(registry, "churn", "v0.0.2"), START + LATER + 2
    )
    assert suggest_version(registry, "churn") == "v0.0.3"
    assert code_of(plan_registration(registry, "churn", third, "v0.0.2"))
    again = plan_registration(registry, "churn", second)
    assert isinstance(again, TagPlan)
    assert again.name == "churn@v0.0.2#1"


def test_a_counter_is_free_among_all_tags_of_the_model(tmp_path: Path) -> None:
    path = tmp_path / "repo"
    first, *_ = a_repository(path)
    for light in ("churn#dev#007", "churn@v9.9.9#8", "churning#prod#99", "x#prod#50"):
        _git(path, "tag", light, first)
    _git(path, "tag", "churn#dev#" + "1" * 90, first)
    plan = plan_assignment(registry_at(path), "churn", "prod", commit_id=first)
    assert isinstance(plan, TagPlan)
    assert plan.name == "churn#prod#" + str(int("1" * 90) + 1)


def test_stages_that_gto_would_not_allow_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "repo"
    first, *_ = a_repository(path, {".gto": "stages: [dev, prod]\n"})
    plan = plan_assignment(registry_at(path), "churn", "staging", commit_id=first)
    assert isinstance(plan, Refusal)
    assert plan.code == "stage-not-listed"
    assert "dev, prod" in plan.sentence


@pytest.mark.parametrize(
    "odd", ["v1.0.0\n", "v1.0.0 ", "v1.0\u0662.0", "1.0.0", "v1.0"]
)
def test_odd_versions_are_refused(tmp_path: Path, odd: str) -> None:
    """T7: nothing that only looks like a version gets into a tag's name."""
    first, *_ = a_repository(tmp_path / "repo")
    registry = registry_at(tmp_path / "repo")
    assert code_of(plan_registration(registry, "churn", first, odd)) == "bad-version"


@pytest.mark.parametrize(
    "odd", ["churn\n", "churn\r\n", "a\tb", "a\u2028b", "-a", "a#b", ""]
)
def test_odd_names_are_refused(tmp_path: Path, odd: str) -> None:
    """T7"""
    first, *_ = a_repository(tmp_path / "repo")
    registry = registry_at(tmp_path / "repo")
    assert code_of(plan_registration(registry, odd, first)) == "bad-artifact"
    assert code_of(plan_assignment(registry, odd, "prod", commit_id=first))
    assert code_of(plan_assignment(registry, "churn", odd, commit_id=first)) == (
        "bad-stage"
    )


def test_a_name_that_no_ref_can_hold_is_refused(tmp_path: Path) -> None:
    first, *_ = a_repository(tmp_path / "repo")
    registry = registry_at(tmp_path / "repo")
    fits = "m" * (LONGEST_REF - len("@v0.0.1"))
    assert isinstance(plan_registration(registry, fits, first), TagPlan)
    assert code_of(plan_registration(registry, f"{fits}m", first)) == "name-too-long"
