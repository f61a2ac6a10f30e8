"""A story: commits and GTO tags in the order they happened, written as one bare
repository through one `git fast-import`."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path

from indexer.demo.people import Persona

Mark = int  # a commit, by its mark in the fast-import stream


class BuildFailed(Exception):
    """Git could not make a repository; the text is a sentence for the person."""


@dataclass(slots=True)
class Story:
    """What happened in one repository. Call in the order of time: `on` moves the
    clock to a day, every commit and tag moves it on by some minutes."""

    today: date
    seed: str
    chance: random.Random = field(init=False)
    _stream: list[bytes] = field(init=False, default_factory=list)
    _clock: datetime = field(init=False)
    _marks: int = field(init=False, default=0)
    _counters: Counter[str] = field(init=False, default_factory=Counter)
    _versions: dict[tuple[str, str], Mark] = field(init=False, default_factory=dict)
    _copies: list[tuple[str, str]] = field(init=False, default_factory=list)

    def __post_init__(self) -> None:
        self.chance = random.Random(self.seed)
        self._clock = datetime.combine(self.today, time(), UTC) - timedelta(days=400)

    # The clock -------------------------------------------------------------------
    def on(self, days_ago: int) -> None:
        """Go to a day (1: yesterday), in the morning; never back in time."""
        if days_ago < 1:
            raise ValueError("the demo's newest day is yesterday")
        morning = datetime.combine(self.today, time(7, 30), UTC)
        morning += timedelta(days=-days_ago, minutes=self.chance.randrange(180))
        self._clock = max(self._clock, morning)

    def _tick(self, person: Persona) -> bytes:
        """The next moment, as Git writes it after a person's name."""
        self._clock += timedelta(seconds=self.chance.randrange(240, 2400))
        hours, minutes = divmod(abs(person.offset), 60)
        sign = "-" if person.offset < 0 else "+"
        zone = f"{sign}{hours:02}{minutes:02}"
        return f"{person.ident} {int(self._clock.timestamp())} {zone}".encode()

    # What happens ----------------------------------------------------------------
    def commit(
        self, person: Persona, message: str, files: Mapping[str, str | None]
    ) -> Mark:
        """A commit on main that writes `files` (None removes one)."""
        self._marks += 1
        who = self._tick(person)
        self._line(b"commit refs/heads/main\nmark :%d" % self._marks)
        self._line(b"author " + who + b"\ncommitter " + who)
        self._data(message + "\n")
        if self._marks > 1:
            self._line(b"from :%d" % (self._marks - 1))
        for path, text in files.items():
            if text is None:
                self._line(b"D " + path.encode())
            else:
                self._line(b"M 100644 inline " + path.encode())
                self._data(text)
        return self._marks

    def register(
        self,
        artifact: str,
        version: str,
        person: Persona,
        message: str = "",
        *,
        at: Mark | None = None,
    ) -> None:
        """Register a version on a commit (default: the newest)."""
        mark = at or self._marks
        self._versions[artifact, version] = mark
        self.tag(
            f"{_tag_name(artifact)}@{version}",
            person,
            message or f"Registering artifact {artifact} version {version}",
            at=mark,
        )

    def deregister(
        self, artifact: str, version: str, person: Persona, message: str
    ) -> None:
        """Take a version back."""
        mark = self._versions[artifact, version]
        self.tag(f"{_tag_name(artifact)}@{version}!", person, message, at=mark)

    def assign(
        self,
        artifact: str,
        version: str,
        stage: str,
        person: Persona,
        message: str = "",
    ) -> None:
        """Give a stage to a version."""
        self._counters[artifact] += 1
        self.tag(
            f"{_tag_name(artifact)}#{stage}#{self._counters[artifact]}",
            person,
            message
            or f"Assigning stage {stage} to artifact {artifact} version {version}",
            at=self._versions[artifact, version],
        )

    def unassign(
        self, artifact: str, version: str, stage: str, person: Persona, message: str
    ) -> None:
        """Take a stage from a version."""
        self._counters[artifact] += 1
        self.tag(
            f"{_tag_name(artifact)}#{stage}!#{self._counters[artifact]}",
            person,
            message,
            at=self._versions[artifact, version],
        )

    def deprecate(self, artifact: str, person: Persona, message: str) -> None:
        """Retire an artifact."""
        self.tag(f"{_tag_name(artifact)}@deprecated", person, message)

    def tag(
        self,
        name: str,
        person: Persona,
        message: str,
        *,
        at: Mark | None = None,
    ) -> None:
        """An annotated tag as it is."""
        self._line(b"tag " + name.encode())
        self._line(b"from :%d" % (at or self._marks))
        self._line(b"tagger " + self._tick(person))
        self._data(message + "\n")

    def lightweight_tag(self, name: str, *, at: Mark | None = None) -> None:
        """A tag without an object of its own: no event for GTO."""
        self._line(b"reset refs/tags/" + name.encode())
        self._line(b"from :%d" % (at or self._marks))
        self._line(b"")

    def copy_tag(self, copy: str, original: str) -> None:
        """A second ref to an annotated tag: `git tag copy original`."""
        self._copies.append((copy, original))

    def _line(self, line: bytes) -> None:
        self._stream.append(line + b"\n")

    def _data(self, text: str) -> None:
        raw = text.encode()
        self._stream.append(b"data %d\n%s\n" % (len(raw), raw))

    # The repository --------------------------------------------------------------
    def write(self, folder: Path) -> None:
        """Make the bare repository; it appears under `folder` whole or not at all.
        Raises BuildFailed."""
        unfinished = folder.with_name(f".{folder.name}.unfinished")
        shutil.rmtree(unfinished, ignore_errors=True)
        try:
            unfinished.parent.mkdir(parents=True, exist_ok=True)
            _git("init", "--quiet", "--bare", "--template=", str(unfinished))
            _git("symbolic-ref", "HEAD", "refs/heads/main", inside=unfinished)
            _git(
                "fast-import",
                "--quiet",
                inside=unfinished,
                stdin=b"".join(self._stream),
            )
            for copy, original in self._copies:
                _git(
                    "update-ref",
                    f"refs/tags/{copy}",
                    f"refs/tags/{original}",
                    inside=unfinished,
                )
            _git("pack-refs", "--all", inside=unfinished)
            unfinished.rename(folder)
        except OSError as error:
            raise BuildFailed(
                f"The demo cannot be written to {folder}: {error.strerror or error}."
            ) from error
        finally:
            shutil.rmtree(unfinished, ignore_errors=True)


@dataclass(frozen=True, slots=True)
class DemoRepository:
    """A repository of the demo: its name in the catalog and how to tell its story.
    `reading` is how its stages are meant, "" the site's default."""

    name: str
    description: str
    tell: Callable[[Story], None]
    reading: str = ""

    def build(self, folder: Path, today: date) -> None:
        """Write the repository to `folder`."""
        story = Story(today, seed=self.name)
        self.tell(story)
        story.write(folder)


def _tag_name(artifact: str) -> str:
    """`dir:name` is written `dir=name` in a tag."""
    return artifact.replace(":", "=")


def _git(*arguments: str, inside: Path | None = None, stdin: bytes = b"") -> None:
    """Run git on a repository of ours, with an environment that no configuration of
    the person reaches. Raises BuildFailed."""
    where = [] if inside is None else ["--git-dir", str(inside)]
    environment = {
        "PATH": os.environ.get("PATH", os.defpath),
        "HOME": os.devnull,
        "LC_ALL": "C",
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_DEFAULT_HASH": "sha1",
    }
    try:
        done = subprocess.run(
            ["git", *where, *arguments],
            input=stdin,
            capture_output=True,
            env=environment,
            timeout=60,
            check=False,
        )
    except FileNotFoundError as error:
        raise BuildFailed("git is not installed; the demo needs it.") from error
    except subprocess.TimeoutExpired as error:
        raise BuildFailed(f"git {arguments[0]} took more than a minute.") from error
    if done.returncode:
        reason = done.stderr.decode(errors="replace").strip().splitlines() or ["?"]
        raise BuildFailed(f"git {arguments[0]} failed: {reason[-1]}")
