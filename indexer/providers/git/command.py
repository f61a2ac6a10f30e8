"""The one module that runs git.

Every command is a whole, literal argument list with a fixed verb. What a repository
or a person wrote gets in only as a remote's address, checked by `addresses.py`, behind
`--`, or as object ids over standard input. The environment is made from scratch (`env
-i`), so no configuration, hook, proxy or credential helper of whoever runs Muster has
a say. A credential travels through a pipe to `askpass.sh`: it is in no command line,
environment, file or message.

Each command runs in a process group of its own. The group is killed when its time is
over, when we stop listening, and (a watcher reads a pipe that only we hold) when this
process dies, however it dies.
"""

from __future__ import annotations

import contextlib
import os
import re
import resource
import signal
import tempfile
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, TYPE_CHECKING, Any, Self
from urllib.parse import quote

from indexer.providers.git.hardening import (
    QUIET,
    Connection,
    build_environment,
    find_git,
    network_config,
    origin,
    receive_pack_option,
    upload_pack_option,
)

if TYPE_CHECKING:
    from git.cmd import Git

MAX_FILE_BYTES = 4 * 1024**3  # no file git writes may grow beyond it
MAX_LISTING_BYTES = 96 * 1024**2  # about a million refs
STDERR_BYTES = 16 * 1024  # of the beginning, and of the end
ASKPASS = Path(__file__).with_name("askpass.sh")

# Runs a command beside a watcher that ends the whole process group (`$$` leads it) as
# soon as the pipe's other end, which only the Python process holds, is closed.
WATCHED = (
    '(read -r _ < "/dev/fd/$0"; kill -9 -$$) >&- 2>&- & watcher=$!; '
    '"$@"; status=$?; kill -9 $watcher; wait $watcher 2>&-; exit $status'
)


# How git tells that a process which it began was killed. What stands behind `remote:`
# happened there.
CHILD_KILLED = re.compile(r"^(?!remote:).* died of signal (\d+)", re.MULTILINE)
OWN_STATUSES = frozenset({1, 128})  # with which git itself ends when it fails
USAGE = 129  # and where it does not know an option
LAST_SIGNAL = 64


class GitFailed(Exception):
    """A git command did not end well. `stderr` holds no credential."""

    def __init__(self, verb: str, status: int | None, stderr: str, *, late: bool):
        super().__init__(f"git {verb}: {'out of time' if late else status}")
        self.verb = verb
        self.status = status
        self.stderr = stderr
        self.late = late

    @property
    def signal(self) -> int:
        """By which signal git, or a process that it began, was killed; 0: by none. What
        it said then is no word about what it read."""
        status = self.status or 0
        if status < 0:
            return -status
        # As the shell tells it that runs beside a watcher (WATCHED).
        if USAGE < status <= 128 + LAST_SIGNAL:
            return status - 128
        found = CHILD_KILLED.search(self.stderr)
        return int(found[1]) if found else 0

    @property
    def is_own_word(self) -> bool:
        """Whether git came to an end of its own, so that what it says of an object it
        found out by reading it."""
        return not self.late and not self.signal and self.status in OWN_STATUSES


def ls_remote(
    connection: Connection, *, seconds: float, refs: Sequence[str] = ()
) -> bytes:
    """The remote's refs (all, or those of these names, which are checked and hold no
    `*?[`) and what HEAD points to, in one round trip. Git's own format:
    `ref: TARGET\\tHEAD`, then `ID\\tREF` lines, peeled ones with `^{}`."""
    command = ["ls-remote", "--symref", *upload_pack_option(connection)]
    with Process(
        network_config(connection),
        [*command, "--", connection.url, *refs],
        seconds=seconds,
        connection=connection,
    ) as process:
        return process.read_all(MAX_LISTING_BYTES)


def speaks_git(connection: Connection, *, seconds: float) -> bool:
    """Whether it was a Git server that listed no refs. An empty answer of anything
    else (a proxy, a login page) looks to git like an empty repository."""
    with Process(
        network_config(connection),
        [
            "ls-remote",
            "--symref",
            *upload_pack_option(connection),
            "--",
            connection.url,
        ],
        seconds=seconds,
        connection=connection,
        extra={"GIT_TRACE_PACKET": "2"},
    ) as process:
        process.read_all(MAX_LISTING_BYTES)
    return b"packet:" in process.stderr


def init(mirror: Path, object_format: str, *, seconds: float = 30) -> None:
    """Make an empty bare repository at `mirror`, without hooks or samples."""
    command = ["init", "--quiet", "--bare", "--template=", "--initial-branch=main"]
    with Process(
        QUIET, [*command, f"--object-format={object_format}", "--", str(mirror)],
        seconds=seconds,
    ) as process:  # fmt: skip
        process.read_all(1024)


def fetch(
    mirror: Path,
    connection: Connection,
    object_ids: Iterable[str],
    *,
    filtered: str,
    shallow: bool,
    depth: int = 1,
    have: str = "",
    seconds: float,
) -> None:
    """Fetch objects by id into the mirror, writing no ref. `filtered` is git's filter
    ("" for none); `depth` how many commits deep a shallow fetch goes; `have` a commit
    that the mirror holds, to save sending its trees."""
    command = [
        "fetch",
        "--quiet",
        "--no-progress",
        "--no-tags",
        "--no-write-fetch-head",
        "--no-auto-maintenance",
        "--no-recurse-submodules",
        "--no-show-forced-updates",
    ]
    if filtered:
        command.append(f"--filter={filtered}")
    if shallow:
        command.append(f"--depth={depth}")
    if have:
        command.append(f"--negotiation-tip={have}")
    config = (
        *network_config(connection),
        f"remote.origin.url={connection.url}",
        "remote.origin.tagOpt=--no-tags",
        *(_promisor(filtered) if filtered else ()),
    )
    with Process(
        config,
        [*command, *upload_pack_option(connection), "--stdin", "--", "origin"],
        seconds=seconds,
        connection=connection,
        mirror=mirror,
        stdin=object_ids,
    ) as process:
        process.read_all(64 * 1024)


def _promisor(filtered: str) -> tuple[str, ...]:
    """Only while fetching: a reader that knows of no promisor asks nobody for what is
    missing. Without both of these git would write them into the mirror."""
    return (
        "remote.origin.promisor=true",
        f"remote.origin.partialclonefilter={filtered}",
    )


def hash_object(mirror: Path, kind: str, body: bytes, *, seconds: float = 30) -> str:
    """Put an object into a repository of ours; its id."""
    with Process(
        QUIET,
        ["hash-object", "-w", "-t", kind, "--stdin"],
        seconds=seconds,
        mirror=mirror,
        stdin=body,
    ) as process:
        return process.read_all(1024).decode("ascii").strip()


def push_ref(
    mirror: Path,
    connection: Connection,
    object_id: str,
    ref: str,
    *,
    before: str = "",
    seconds: float,
) -> tuple[str, str]:
    """Move one ref (a whole name, checked) at the remote, which must be at the id
    `before`; "": it must not be there yet. What git reports of it
    (`FLAG\\tFROM:TO\\tSUMMARY`), and what it and the remote said meanwhile; raises
    GitFailed where it reports nothing.

    The remote is asked which commits it has (`push.negotiate`), so that what is new
    alone is sent, though we have no more than one commit of it here."""
    command = [
        "push",
        "--porcelain",
        "--atomic",
        "--no-verify",
        "--no-signed",
        "--no-follow-tags",
        "--recurse-submodules=no",
        f"--force-with-lease={ref}:{before}",
    ]
    config = (*network_config(connection), "push.negotiate=true")
    report = b""
    try:
        with Process(
            config,
            [
                *command,
                *receive_pack_option(connection),
                "--",
                connection.url,
                f"{object_id}:{ref}",
            ],
            seconds=seconds,
            connection=connection,
            mirror=mirror,
            questions=2,  # once more for the commits in common
        ) as process:
            report = process.read_all(64 * 1024)
    except GitFailed as error:
        if error.late or f":{ref}\t".encode() not in report:
            raise
        return report.decode("utf-8", "replace"), error.stderr
    return report.decode("utf-8", "replace"), ""


def is_ancestor(mirror: Path, first: str, later: str, *, seconds: float = 30) -> bool:
    """Whether a commit is among those on which another stands, or is that one."""
    try:
        with Process(
            QUIET,
            ["merge-base", "--is-ancestor", first, later],
            seconds=seconds,
            mirror=mirror,
        ) as process:
            process.read_all(1024)
    except GitFailed as error:
        if error.is_own_word and error.status == 1 and not error.stderr.strip():
            return False
        raise  # one that could not be read is no answer
    return True


def rev_list(
    mirror: Path, tip: str, *, skip: int, most: int, seconds: float = 30
) -> list[str]:
    """Ids of the commits from `tip` back, newest first, as far as they are there."""
    with Process(
        QUIET,
        ["rev-list", f"--skip={skip}", f"--max-count={most}", "--end-of-options", tip],
        seconds=seconds,
        mirror=mirror,
    ) as process:
        return process.read_all(128 * most).decode("ascii").split()


@contextlib.contextmanager
def cat_file(
    mirror: Path, object_ids: Iterable[str], *, check: bool, seconds: float
) -> Iterator[Process]:
    """A git that writes the objects of these ids, in order, as `cat-file --batch` does;
    with `check` only their headers. What it `said` is there at its end."""
    mode = "--batch-check" if check else "--batch"
    with Process(
        QUIET,
        ["cat-file", mode, "--buffer"],
        seconds=seconds,
        mirror=mirror,
        stdin=object_ids,
    ) as process:
        yield process


def version() -> tuple[int, ...]:
    """The version of git, such as (2, 39, 5). Raises GitMissing."""
    with Process(QUIET, ["version"], seconds=30) as process:
        words = process.read_all(1024).decode("ascii", "replace").split()
    numbers = words[2].split(".") if len(words) > 2 else []
    return tuple(int(number) for number in numbers[:3] if number.isdigit())


def _load_git() -> type[Git]:
    """GitPython's runner. Importing it runs `git version` in an environment that is
    not ours, unless it finds no git to run."""
    names = {
        "GIT_PYTHON_REFRESH": "quiet",
        "GIT_PYTHON_GIT_EXECUTABLE": "/nonexistent/git",
    }
    before = {name: os.environ.get(name) for name in names}
    os.environ.update(names)
    try:
        from git.cmd import Git
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
    return Git


class Process:
    """A running git: a context manager that leaves no process behind, and raises
    GitFailed if git failed or ran out of time."""

    def __init__(
        self,
        config: Sequence[str],
        command: Sequence[str],
        *,
        seconds: float,
        connection: Connection | None = None,
        mirror: Path | None = None,
        stdin: Iterable[str] | bytes | None = None,
        extra: Mapping[str, str] | None = None,
        questions: int = 1,  # so often git asks for the credential
    ) -> None:
        self.verb = command[0]
        self._secret = connection.secret if connection else ""
        self._late = False
        self._ended = threading.Event()
        self.stderr = b""
        arguments = [find_git()]
        for pair in config:
            arguments += ["-c", pair]
        if mirror is not None:
            arguments += ["--git-dir", str(mirror)]
        with contextlib.ExitStack() as ours, contextlib.ExitStack() as kept:
            inherited: list[int] = []
            environment = build_environment(connection) | dict(extra or {})
            watch = ""
            if connection is not None:
                if connection.secret:
                    environment |= _answers(connection, ours, inherited, questions)
                reader, lifeline = os.pipe()
                ours.callback(os.close, reader)
                kept.callback(os.close, lifeline)
                inherited.append(reader)
                watch = str(reader)
            source = ours.enter_context(_file(stdin)) if stdin is not None else None
            self._process: Any = _spawn(
                [*arguments, *command], environment, inherited, watch, source
            )
            self._kept = kept.pop_all()  # the lifeline, until git has ended
        self.stdout: IO[bytes] = self._process.stdout
        self._drain = threading.Thread(target=self._read_stderr, daemon=True)
        self._drain.start()
        self._clock = threading.Timer(seconds, self._out_of_time)
        self._clock.daemon = True
        self._clock.start()

    def read_all(self, limit: int) -> bytes:
        """All that git writes; GitFailed beyond `limit` bytes."""
        data = self.stdout.read(limit + 1)
        if len(data) > limit:
            raise GitFailed(self.verb, None, "fatal: output too large", late=False)
        return data

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is not None:
            self._kill()
        self.stdout.close()
        self._drain.join()
        status = self._process.wait()
        self._ended.set()
        self._clock.cancel()
        self._process.stderr.close()
        self._kept.close()
        if self._late or (kind is None and status != 0):
            raise GitFailed(self.verb, status, self.said, late=self._late) from None

    @property
    def said(self) -> str:
        """What git wrote to `stderr`, at its end; without the credential."""
        text = self.stderr.decode("utf-8", "replace").replace("\0", "\ufffd")
        for secret in {self._secret, quote(self._secret, safe="")} - {""}:
            text = text.replace(secret, "[hidden]")
        return text

    def _read_stderr(self) -> None:
        head, tail = b"", b""
        while piece := self._process.stderr.read1(8192):
            room = STDERR_BYTES - len(head)
            head += piece[:room]
            tail = (tail + piece[room:] if room > 0 else tail + piece)[-STDERR_BYTES:]
        self.stderr = head + tail

    def _out_of_time(self) -> None:
        if not self._ended.is_set():
            self._late = True
            self._kill()

    def _kill(self) -> None:
        # The group outlives its leader while any member of it runs; gone is fine.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)


def _answers(
    connection: Connection,
    ours: contextlib.ExitStack,
    inherited: list[int],
    questions: int,
) -> Mapping[str, str]:
    """Pipes that hold the username and the secret, and the environment that tells
    `askpass.sh` which they are and whose question to answer."""
    asker = origin(connection)
    scheme, rest = asker.split("://", 1)
    names = []
    for value in (connection.username or "git", connection.secret):
        reader, writer = os.pipe()
        ours.callback(os.close, reader)
        with os.fdopen(writer, "w", encoding="utf-8") as pipe:
            pipe.write(f"{value}\n" * questions)
        inherited.append(reader)
        names.append(str(reader))
    return {
        "GIT_ASKPASS": str(ASKPASS),
        "MUSTER_ASK_USERNAME": names[0],
        "MUSTER_ASK_SECRET": names[1],
        "MUSTER_ASK_ORIGIN": asker,
        # Git names the user in its second question.
        "MUSTER_ASK_NAMED": (
            f"{scheme}://{quote(connection.username or 'git', safe='')}@{rest}"
        ),
    }


def _file(content: Iterable[str] | bytes) -> IO[bytes]:
    """A file without a name that holds these bytes, or one item a line: as standard
    input it can neither block nor deadlock."""
    file = tempfile.TemporaryFile()  # noqa: SIM115 - the caller closes it
    try:
        if isinstance(content, bytes):
            file.write(content)
        else:
            file.writelines(item.encode("ascii") + b"\n" for item in content)
        file.seek(0)
    except BaseException:
        file.close()
        raise
    return file


def _spawn(
    arguments: Sequence[str],
    environment: Mapping[str, str],
    inherited: Sequence[int],
    watch: str,
    source: IO[bytes] | None,
) -> Any:
    pairs = [f"{name}={value}" for name, value in environment.items()]
    wrapped = ["/usr/bin/env", "-i", *pairs]
    if watch:
        wrapped += ["/bin/sh", "-c", WATCHED, watch]
    process: Any = _load_git()("/").execute(
        [*wrapped, *arguments],
        istream=source,  # type: ignore[arg-type]
        as_process=True,
        start_new_session=True,
        pass_fds=tuple(inherited),
    )
    running = process.proc
    # Kept from ending what this class ends itself, in its own way.
    process.proc = None
    if hasattr(resource, "prlimit"):
        with contextlib.suppress(ProcessLookupError):
            resource.prlimit(
                running.pid, resource.RLIMIT_FSIZE, (MAX_FILE_BYTES, MAX_FILE_BYTES)
            )
    return running
