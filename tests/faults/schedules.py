"""Random schedules of faults against a whole Muster: while others push, people act and
crawls are asked for, its processes are killed and stopped, its git dies, its database
drops the connections, Redis goes, the disk fills up and clocks jump. Then all is well
again, and everything must be right:

- each index is what a first crawl in a new installation makes of the same remote;
- each action that was done is one tag at the remote, each that was not is none, and
  there is no tag that nobody asked for; what others pushed is untouched;
- who asked was told what came of it;
- nothing is left open, held or running, and the pages answer.

`python -m tests.faults.schedules N [--seed S] [--embedded | --production]` runs N of
them from seed S and prints a tally; exits 1 with the steps of those that failed, each
tried again alone. `--steps 0,3,4` leaves all other steps out, to make one shorter."""

from __future__ import annotations

import argparse
import contextlib
import json
import random
import shutil
import signal
import sys
import tempfile
import threading
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from tests.faults.asking import Asking, Browser, NoAnswer, pressed
from tests.faults.inside import key_digest
from tests.faults.installation import (
    LEASE,
    SETUPS,
    START,
    Installation,
    installed,
    oracle,
    signalled,
)
from tests.faults.others import (
    ARTIFACTS,
    STAGES,
    Others,
    all_refs,
    counter_of,
    tagged_by,
)
from tests.process_tree import wait_until
from tests.providers.git_server import GitServer, serve_git

PERSON = "eddy"
EMAIL = f"{PERSON}@muster.example"  # of every tag that Muster writes here
REPOSITORIES = ("a", "b")
QUIET_IN = 90.0  # seconds until all must have come to rest, faults being over
LOOK = 0.4  # seconds between two looks whether it has
USES = 25  # of one installation
VERBS = (
    *("register",) * 6, *("assign",) * 6, "unassign", "unassign", "restore",
    "deregister", "deprecate", "revive",
)  # fmt: skip
PAGES = ("/", "/activity", "/repositories", "/actions", "/healthz")
WORK = ("push", "crawl", "act", "act", "act", "look")
# Which faults there are, as (name, what is drawn for it). Killing is most of them.
FAULTS: dict[str, tuple[str, ...]] = {
    "kill child": ("worker", "worker", "web"),
    "kill main": ("worker", "web", "beat"),
    "stop": ("worker", "web", "beat"),
    "git": ("start", "output", "soon", "end", "any"),
    "remote": ("502", "lose push", "truncate"),
    "disk": ("full",),
    "clock": ("worker", "web", "beat"),
    "redis": ("kill", "flush", "stop"),
    "database": ("drop",),
}
COMMON = ("kill child", "kill child", "git", "git", "git", "stop", "clock", "remote")
OF_PRODUCTION = ("redis", "database", "database")
RARE = ("kill main", "disk")


@dataclass(frozen=True)
class Step:
    """One thing that happens. `number` decides what is left to chance."""

    kind: str
    what: str = ""
    number: int = 0
    pause: float = 0.0  # before it, in seconds

    def __str__(self) -> str:
        return f"{self.pause:4.2f}s {self.kind:10} {self.what} {self.number}"


@dataclass(frozen=True)
class Schedule:
    """What happens, in its order; the same seed gives the same."""

    seed: int
    setup: str
    steps: tuple[Step, ...]

    def __str__(self) -> str:
        lines = [f"seed {self.seed}, {self.setup}:"]
        lines += [f"  {place:2}. {step}" for place, step in enumerate(self.steps)]
        return "\n".join(lines)


def schedule_of(
    seed: int, setup: str, *, faults: Sequence[str] = (), length: int = 0
) -> Schedule:
    """The schedule of a seed, with faults of these kinds alone if any are given."""
    rng = random.Random(f"{seed} {setup}")
    more = OF_PRODUCTION if setup == "production" else ()
    kinds = tuple(faults) or (*COMMON, *RARE, *more)
    steps = []
    for _ in range(length or rng.randint(10, 18)):
        is_fault = rng.random() < 0.45
        kind = rng.choice(kinds if is_fault else WORK)
        what = rng.choice(FAULTS[kind]) if is_fault else ""
        if kind == "kill main" and setup == "embedded" and rng.random() < 0.25:
            what = "up"
        pause = rng.choice((0.0, 0.0, 0.05, 0.1, 0.3, rng.uniform(0, 1)))
        steps.append(Step(kind, what, rng.randrange(10**6), round(pause, 2)))
    return Schedule(seed, setup, tuple(steps))


class Difference(AssertionError):
    """Something is not as it must be."""


def expect(is_so: object, sentence: str) -> None:
    if not is_so:
        raise Difference(sentence)


@dataclass
class Tally:
    """What was tried, and what came of it."""

    schedules: int = 0
    seconds: float = 0.0
    counts: Counter[str] = field(default_factory=Counter)
    failures: list[tuple[Schedule, str]] = field(default_factory=list)

    def __str__(self) -> str:
        lines = [
            f"{self.schedules} schedules in {self.seconds:.0f} s,"
            f" {len(self.failures)} with a difference"
        ]
        lines += [f"{number:7} {what}" for what, number in sorted(self.counts.items())]
        return "\n".join(lines)


@dataclass
class Site:
    """An installation in use: the remotes' server, a person, and the oracle."""

    muster: Installation
    server: GitServer
    from_scratch: Callable[[str, str], str]
    token: str
    salt: str
    browser: Browser
    uses: int = 0


@contextmanager
def site(setup: str, folder: Path) -> Iterator[Site]:
    """A new installation, with its person signed in."""
    remotes = folder / "remotes"
    remotes.mkdir(parents=True)
    with ExitStack() as stack:
        muster = stack.enter_context(installed(setup, folder / "muster"))
        server = stack.enter_context(serve_git(remotes))
        from_scratch = stack.enter_context(oracle(folder))
        person = muster.inside.ask("person", name=PERSON)
        browser = Browser(muster.url)
        wait_until(lambda: answers(browser) and muster.is_whole(), START, "the start")
        browser.sign_in(PERSON, PERSON)
        yield Site(muster, server, from_scratch, browser=browser, **person)


def answers(browser: Browser) -> bool:
    try:
        return browser.ask("/healthz", seconds=5).status == 200
    except NoAnswer:
        return False


class Run:
    """One schedule, carried out and looked at."""

    def __init__(self, schedule: Schedule, at: Site, counts: Counter[str]) -> None:
        self.schedule, self.site, self.counts = schedule, at, counts
        self.muster = at.muster
        rng = random.Random(f"{schedule.seed} remotes")
        self.others: dict[str, Others] = {}
        self.urls: dict[str, str] = {}
        for letter in REPOSITORIES:
            name = f"s{schedule.seed}u{at.uses}/{letter}"
            path = at.server.root / name.replace("/", "-")
            self.others[name] = Others.begin(path, rng)
            is_near = rng.random() < 0.25  # a path of this machine
            self.urls[name] = str(path) if is_near else at.server.url_of(path)
        self.names = sorted(self.others)
        self.askings: list[Asking] = []
        self.timers: list[threading.Timer] = []

    def __call__(self) -> None:
        """Raises Difference."""
        try:
            for name in self.names:
                self.muster.inside.ask("admit", name=name, url=self.urls[name])
            for step in self.schedule.steps:
                time.sleep(step.pause)
                did = self._do(step)
                what = f"{step.kind} {step.what}".strip()
                self.counts[what if did else f"{what}: nothing to do"] += 1
            self._end_faults()
            self._come_to_rest()
            self._check()
        finally:
            self._end_faults()
            for asking in self.askings:
                asking.given_up.set()
            for asking in self.askings:
                asking.join()
            with contextlib.suppress(AssertionError):
                for name in self.names:
                    self.muster.inside.ask("remove", name=name)
            for others in self.others.values():
                shutil.rmtree(others.path, ignore_errors=True)

    # What happens -------------------------------------------------------------------

    def _do(self, step: Step) -> bool:
        """Whether there was anything to do it to."""
        rng = random.Random(step.number)
        muster = self.muster
        match step.kind:
            case "push":
                self.others[rng.choice(self.names)].push(
                    rng, commits=rng.choice((0, 0, 1, 2)), tags=rng.randint(1, 5)
                )
            case "crawl":
                self._press(rng.choice(self.names))
            case "act":
                self._ask(rng)
            case "look":
                self._look(rng)
            case "kill child":
                return muster.kill_child(step.what, step.number)
            case "kill main":
                return muster.kill_main(step.what)
            case "stop":
                return self._stop(step)
            case "git" if step.what == "any":
                return self._kill_git(rng)
            case "git":
                how = {"output": f"output {rng.choice((0, 1, 90, 300, 900))}"}
                how["soon"] = f"soon {rng.uniform(0.001, 0.03):.3f}"
                muster.git.kill(rng.randint(1, 8), how.get(step.what, step.what))
            case "remote":
                self._spoil_remote(step.what, rng)
            case "disk":
                self._later(rng.uniform(0.3, 1.5), muster.clear_disk)
                if not muster.fill_disk():
                    return False
                self._look(rng, is_reading=True)
            case "clock":
                return muster.set_clock(step.what, rng.choice((-2, 2, 0)))
            case "database":
                muster.inside.ask("drop_connections")
            case "redis":
                self._spoil_redis(step.what, rng)
            case _:
                raise ValueError(step.kind)
        return True

    def _later(self, seconds: float, what: Callable[[], object]) -> None:
        timer = threading.Timer(seconds, what)
        timer.daemon = True
        self.timers.append(timer)
        timer.start()

    def _press(self, name: str) -> None:
        browser = self.site.browser
        thread = threading.Thread(
            target=lambda: _quietly(lambda: pressed(browser, name, 3)), daemon=True
        )
        thread.start()

    def _ask(self, rng: random.Random) -> None:
        name = rng.choice(self.names)
        others = self.others[name]
        artifact = rng.choice(ARTIFACTS)
        verb = rng.choice(VERBS)
        tags = sorted(tag for tag in others.tags() if tag.startswith(f"{artifact}@v"))
        versions = [tag.partition("@")[2].partition("#")[0] for tag in tags]
        fields: dict[str, str] = {}
        if verb == "register":
            fields["commit"] = rng.choice(others.commits)
            fields["bump"] = rng.choice(("major", "minor", "patch"))
        if verb in {"assign", "unassign", "restore"}:
            fields["stage"] = rng.choice(STAGES)
        if verb in {"assign", "unassign", "deregister"}:
            fields["version"] = rng.choice(versions or ["v0.0.1"]).rstrip("!")
        asking = Asking(
            self.site.browser if rng.random() < 0.4 else Browser(self.muster.url),
            self.site.token,
            f"{self.schedule.seed} {self.site.uses} {len(self.askings)}",
            verb,
            name,
            artifact.replace("=", ":"),
            fields,
        )
        if asking.browser is self.site.browser:
            asking.token = ""
        self.askings.append(asking)
        asking.start()

    def _look(self, rng: random.Random, *, is_reading: bool = False) -> None:
        """Read a page. While the disk is full alone it must answer; while processes
        are killed and connections dropped it may not."""
        path = rng.choice(PAGES)
        try:
            status = self.site.browser.ask(path, seconds=5).status
        except NoAnswer:
            status = 0
        when = "on a full disk" if is_reading else "meanwhile"
        self.counts[f"page {when}: {status or 'no answer'}"] += 1

    def _stop(self, step: Step) -> bool:
        pid = self.muster.stop(step.what, step.number)
        seconds = random.Random(step.number).choice((0.5, LEASE + 1.0))
        if pid:
            self._later(seconds, lambda: signalled(pid, signal.SIGCONT))
        return bool(pid)

    def _kill_git(self, rng: random.Random) -> bool:
        """One of those that run just now, helpers of git's own among them."""
        running = self.muster.gits()
        return bool(running) and signalled(rng.choice(running), signal.SIGKILL)

    def _spoil_remote(self, how: str, rng: random.Random) -> None:
        server = self.site.server
        match how:
            case "502":
                server.status = 502
            case "lose push":
                server.lose_push = True
                server.lose_all_after = rng.random() < 0.5
            case _:
                server.truncate = rng.choice((10, 200, 1000))
        self._later(rng.uniform(0.2, 1.0), self._mend_remote)

    def _mend_remote(self) -> None:
        server = self.site.server
        server.lose_push = server.lose_all_after = False
        server.status = server.truncate = 0

    def _spoil_redis(self, how: str, rng: random.Random) -> None:
        redis = self.muster.redis
        assert redis is not None
        away = rng.uniform(0.2, 1.0)
        match how:
            case "flush":
                _quietly(redis.flush)
            case "stop":
                assert redis.process is not None
                pid = redis.process.pid
                signalled(pid, signal.SIGSTOP)
                self._later(away, lambda: signalled(pid, signal.SIGCONT))
            case _:
                redis.kill()
                self._later(away, self.muster.revive_redis)

    # Afterwards ---------------------------------------------------------------------

    def _end_faults(self) -> None:
        for timer in self.timers:
            timer.cancel()
        for timer in self.timers:
            timer.join()
        self.timers.clear()
        self._mend_remote()
        self.muster.well_again()

    def _rows(self) -> dict[str, list[dict[str, Any]]]:
        found: dict[str, list[dict[str, Any]]] = self.muster.inside.ask(
            "rows", names=self.names
        )
        return found

    def _come_to_rest(self) -> None:
        """Until nothing is owed, open or held, and everybody was told; then each
        repository is asked for once more, which must go well."""
        begun = time.monotonic()
        while time.monotonic() < begun + QUIET_IN:
            rows = self._rows()
            if not restless(rows) and not any(one.is_alive() for one in self.askings):
                break
            # Pauses are tested elsewhere; who holds something is not waited for less.
            if time.monotonic() > begun + 2:
                self.muster.inside.ask("pass_pauses", names=self.names)
            time.sleep(LOOK)
        else:
            waiting = [str(one) for one in self.askings if one.is_alive()]
            raise Difference(
                f"no rest after {QUIET_IN:.0f} s: {restless(rows)}; not told: {waiting}"
            )
        self.counts["seconds to come to rest"] += round(time.monotonic() - begun)
        before = {row["name"]: row["done_seq"] for row in rows["repositories"]}
        for name in self.names:
            pressed(self.site.browser, name)
        for _ in range(int(QUIET_IN / LOOK)):
            rows = self._rows()
            if not restless(rows) and all(
                row["done_seq"] > before[row["name"]] for row in rows["repositories"]
            ):
                break
            time.sleep(LOOK)
        else:
            raise Difference(f"the last crawl was not done: {restless(rows)}")
        for row in rows["repositories"]:
            expect(
                row["state"] in {"ok", "empty"},
                f"{row['name']} is {row['state']} after all: {row['message']}",
            )

    def _check(self) -> None:
        rows = self._rows()
        expect(
            not restless(rows) or all(map(_is_crawl, restless(rows))),
            f"something goes on: {restless(rows)}",
        )
        for name, others in self.others.items():
            self._check_tags(others, _of(rows["actions"], name))
            ours = self.muster.inside.ask("dump", name=name)
            fresh = self.site.from_scratch(name, self.urls[name])
            expect(ours == fresh, f"the index of {name} is not that from scratch:\n"
                   f"{_first_difference(ours, fresh)}")  # fmt: skip
        self._check_told(rows["actions"])
        for path in (*PAGES, *(f"/repositories/{name}/" for name in self.names)):
            answer = self.site.browser.ask(path)
            expect(answer.status == 200, f"{path} answers {answer.status}")
        with contextlib.suppress(AssertionError):
            wait_until(lambda: not self.muster.gits() or _crawling(self._rows()), 5)
        expect(
            not self.muster.gits() or _crawling(self._rows()),
            "a git process is left, and no crawl runs",
        )
        ended, self.muster.ended_alone = self.muster.ended_alone, []
        expect(not ended, "\n".join(["a process ended by itself:", *ended]))

    def _check_tags(self, others: Others, actions: list[dict[str, Any]]) -> None:
        """Rows and tags one to one, and the others' as they left them."""
        for row in actions:
            self.counts[f"action {row['status']}"] += 1
            expect(row["status"] != "unknown", f"nobody knows: {row['sentence']}")
            expect(row["sentence"], f"action {row['pk' if 'pk' in row else 'id']}"
                   " says nothing")  # fmt: skip
        done = {row["tag"]: row["object_id"] for row in actions
                if row["status"] == "done"}  # fmt: skip
        count = sum(row["status"] == "done" for row in actions)
        expect(len(done) == count, f"two actions did one tag: {sorted(done)}")
        written = tagged_by(others.path, EMAIL)
        expect(
            written == done,
            "tags by Muster that no action did: "
            f"{sorted(written.items() - done.items())}; actions done without their "
            f"tag: {sorted(done.items() - written.items())}",
        )
        there = all_refs(others.path)
        for name, object_id in done.items():
            expect(there.pop(f"refs/tags/{name}") == object_id, f"{name} was moved")
        expect(
            there == others.refs,
            "what others pushed is not as they left it: "
            f"{sorted(there.items() ^ others.refs.items())}",
        )
        for artifact in ARTIFACTS:
            counters = [counter_of(tag, artifact) for tag in done]
            ours = sorted(filter(None, counters))
            expect(len(ours) == len(set(ours)), f"a counter came twice: {sorted(done)}")
            known = {0, *ours, *(counter_of(tag, artifact) for tag in others.ever)}
            gaps = [one for one in ours if one - 1 not in known]
            expect(not gaps, f"counters of {artifact} left a gap before {gaps}")

    def _check_told(self, actions: list[dict[str, Any]]) -> None:
        """Who was told that it is done has their tag; who was told otherwise none."""
        by_key = {row["key"]: row for row in actions}
        by_id = {row["uuid"]: row for row in actions}
        expect(len(by_key) <= len(self.askings), "a wish has two rows")
        for asking in self.askings:
            self.counts[f"told {asking.outcome or 'nothing at all'}"] += 1
            row = by_key.get(key_digest(self.site.salt, asking.key))
            if asking.action:
                expect(by_id.get(asking.action) is row, f"told of another: {asking}")
            status = row["status"] if row else "no row"
            allowed = {
                "done": {"done"},
                "refused": {"refused", "no row"},
                "failed": {"failed", "no row", "done", "refused"}
                if not asking.action
                else {"failed"},
                "nothing": {"no row"},
            }.get(asking.outcome, set())
            expect(status in allowed, f"told “{asking.outcome}”, is {status}: {asking}")


def restless(rows: dict[str, list[dict[str, Any]]]) -> list[str]:
    """What is owed, held, open or running."""
    found = []
    for row in rows["repositories"]:
        if row["requested_seq"] > row["done_seq"]:
            found.append(f"a crawl of {row['name']} is owed")
        if row["lease_id"]:
            found.append(
                f"crawl: {row['name']} is held by {row['lease_holder']} until "
                f"{row['lease_expires_at']}"
            )
    held = {row["lease_id"] for row in rows["repositories"]}
    for row in rows["crawls"]:
        if row["status"] == "running" and row["lease_id"] not in held:
            found.append(f"crawl {row['id']} runs for ever")
    for row in rows["actions"]:
        if row["ended_at"] is None or row["lease_id"]:
            found.append(
                f"action {row['id']} is {row['status']}, held by "
                f"{row['lease_id'] and row['lease_holder']} until "
                f"{row['lease_expires_at']}: {row['sentence']}"
            )
    return found


def _is_crawl(sentence: str) -> bool:
    """One that is due every few seconds may be under way at any time."""
    return sentence.startswith("crawl: ")


def _crawling(rows: dict[str, list[dict[str, Any]]]) -> bool:
    return any(row["lease_id"] for row in rows["repositories"])


def _of(rows: list[dict[str, Any]], name: str) -> list[dict[str, Any]]:
    return [row for row in rows if row["repository_name"] == name]


def _first_difference(ours: str, fresh: str) -> str:
    """The rows that only one of two dumps has."""
    mine, theirs = json.loads(ours), json.loads(fresh)
    lines = []
    for model in mine:
        here, there = Counter(mine[model]), Counter(theirs[model])
        lines += [f"  - {model} {row}" for row in (here - there)]
        lines += [f"  + {model} {row}" for row in (there - here)]
    return "\n".join(lines[:20])


def _quietly(what: Callable[[], object]) -> None:
    """Do it; that it cannot be done is what a fault is."""
    with contextlib.suppress(Exception):
        what()


# Many of them -------------------------------------------------------------------------


def run_all(
    schedules: Sequence[Schedule],
    folder: Path,
    say: Callable[[str], object] = lambda _: None,
    done: Callable[[Schedule, Tally], object] = lambda *_: None,
) -> Tally:
    """Run schedules of one set-up, some on each installation; those that failed once
    more alone on a new one. `say` is told of each failure as it happens, `done` of
    each schedule that has ended."""
    tally = Tally()
    begun = time.monotonic()
    queue = list(schedules)
    while queue:
        again: Schedule | None = None
        place = folder / f"{queue[0].setup}-{tally.schedules}"
        with site(queue[0].setup, place) as at:
            while queue and at.uses < USES and again is None:
                schedule = queue.pop(0)
                failure = run_one(schedule, at, tally)
                done(schedule, tally)
                if failure:
                    say(f"{schedule}\n{failure}\nIts logs are in {place}.\n")
                    again = schedule
            left = at.muster.end_in_order()
            if left and again is None:
                again = schedule
                tally.failures.append((schedule, f"left at the end: {left}"))
                say(f"{schedule}\nleft at the end: {left}\n")
        if again is None:
            shutil.rmtree(place, ignore_errors=True)
            continue
        with site(again.setup, place.with_name(f"{place.name}-again")) as alone:
            failure = run_one(again, alone, Tally())
        how = f"it fails again:\n{failure}" if failure else "it went well"
        say(f"Seed {again.seed} once more, alone: {how}\n")
    tally.seconds = time.monotonic() - begun
    return tally


def run_one(schedule: Schedule, at: Site, tally: Tally) -> str:
    """What went wrong, "" if nothing did."""
    begun = time.monotonic()
    failure = ""
    try:
        Run(schedule, at, tally.counts)()
    except Exception as error:
        failure = f"{type(error).__name__}: {error}"
        if not isinstance(error, Difference):
            failure = traceback.format_exc()
        tally.failures.append((schedule, failure))
    at.uses += 1
    tally.schedules += 1
    tally.counts += at.muster.counts
    at.muster.counts.clear()
    tally.seconds += time.monotonic() - begun
    return failure


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit status: 0 when nothing differed."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults.schedules")
    parser.add_argument("count", type=int, nargs="?", default=1)
    parser.add_argument("--seed", type=int, default=random.randrange(10**6))
    parser.add_argument("--steps", default="", help="these alone, as in 0,3,4")
    parser.add_argument("--only", default="", help="faults of these kinds: git,clock")
    for setup in SETUPS:
        parser.add_argument(f"--{setup}", action="store_true")
    given = parser.parse_args(arguments)
    setups = [setup for setup in SETUPS if getattr(given, setup)] or list(SETUPS)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended"))  # leaves nothing
    folder = Path(tempfile.mkdtemp(prefix="muster-faults-"))
    failures = 0
    for setup in setups:
        schedules = [
            schedule_of(seed, setup, faults=tuple(filter(None, given.only.split(","))))
            for seed in range(given.seed, given.seed + given.count)
        ]
        if given.steps:
            kept = {int(place) for place in given.steps.split(",")}
            schedules = [
                replace(one, steps=tuple(
                    step for place, step in enumerate(one.steps) if place in kept
                ))
                for one in schedules
            ]  # fmt: skip
        if len(schedules) == 1:
            sys.stdout.write(f"{schedules[0]}\n")
        tally = run_all(schedules, folder, _say, _say_done)
        _say(f"{setup}, seeds {given.seed} to {given.seed + given.count - 1}: {tally}")
        failures += len(tally.failures)
    if not failures:
        shutil.rmtree(folder, ignore_errors=True)
    return 1 if failures else 0


def _say_done(schedule: Schedule, tally: Tally) -> None:
    """A line for each, and now and then all that came so far: long runs are cut off."""
    _say(f"{schedule.setup} {schedule.seed}: ended")
    if tally.schedules % USES == 0:
        _say(f"So far: {tally}")


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
