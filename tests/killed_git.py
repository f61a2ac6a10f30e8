"""A `git` that is killed: the nth process of whatever runs git, its children and
theirs counted, dies by SIGKILL where it is told to.

It stands first on the PATH, and as git's own `--exec-path`, so that what git starts
itself (`remote-https`, `index-pack`, `rev-list`, `upload-pack`, …) is counted too, in
the order in which it begins: the same for the same work.

`python -m tests.killed_git` is not for hands: it is what the chosen process becomes."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pytest

# How a process dies: before it does anything; after so many bytes of output; when all
# is done, and only its end is missing; as a shell in between would tell of it; and
# whoever began it dies instead, as soon as it begins.
START, END, SHELL, PARENT = "start", "end", "shell", "parent"
ENDS = (START, "1", "60", "700", END, SHELL, PARENT)

WRAPPER = """\
#!/bin/sh
name=${{0##*/}}
read -r number < "{folder}/last"
until number=$((number + 1)); (set -C; : > "{folder}/begun/$number") 2>&-; do :; done
echo $number > "{folder}/last"
printf '%s ' "$name" "$@" > "{folder}/begun/$number"
export GIT_EXEC_PATH="{folder}/core"
read -r nth how < "{folder}/order"
if [ "$number" = "$nth" ]; then
    exec {python} -IS {program} "$how" "{core}/$name" "$@"
fi
exec "{core}/$name" "$@"
"""


@dataclass(frozen=True, slots=True)
class KilledGit:
    """Where it stands. Nobody is killed before `arm`."""

    folder: Path

    def arm(self, nth: int, how: str = START) -> None:
        """Count from one again, and kill the nth; 0: nobody."""
        shutil.rmtree(self.folder / "begun", ignore_errors=True)
        (self.folder / "begun").mkdir()
        (self.folder / "last").write_text("0\n")
        (self.folder / "order").write_text(f"{nth} {how}\n")

    def begun(self) -> list[str]:
        """The command lines of those that began since, in their order."""
        files = sorted((self.folder / "begun").iterdir(), key=lambda one: int(one.name))
        return [one.read_text() for one in files]


def stand_in(folder: Path, monkeypatch: pytest.MonkeyPatch) -> KilledGit:
    """Put it first on the PATH, for as long as the test lasts."""
    done = subprocess.run(["git", "--exec-path"], capture_output=True, check=True)
    core = Path(done.stdout.decode().strip())
    script = WRAPPER.format(
        folder=folder, python=sys.executable, program=__file__, core=core
    )
    for name in ("bin", "core"):
        (folder / name).mkdir(parents=True)
    for real in core.iterdir():
        (folder / "core" / real.name).symlink_to(real)
    for wrapped in ("bin/git", "core/git", "core/git-remote-http"):
        path = folder / wrapped
        path.unlink(missing_ok=True)
        path.write_text(script)
        path.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder / 'bin'}{os.pathsep}{os.environ['PATH']}")
    killed = KilledGit(folder)
    killed.arm(0)
    return killed


def main(how: str, *command: str) -> None:
    """Run the command as far as it may, and die."""
    me = os.getpid()
    if how == PARENT:
        parent = os.getppid()
        name = Path(f"/proc/{parent}/comm").read_text().strip()
        if name in {"sh", "git", "git-remote-http"}:
            os.kill(parent, signal.SIGKILL)
        os.execv(command[0], command)  # noqa: S606 - what it was started for
    if how == START:
        os.kill(me, signal.SIGKILL)
    process = subprocess.Popen(command, stdout=subprocess.PIPE)
    assert process.stdout is not None
    left = int(how) if how.isdigit() else sys.maxsize
    if how == SHELL:
        left = 200
    while left and (piece := os.read(process.stdout.fileno(), min(left, 65536))):
        os.write(1, piece)
        left -= len(piece)
    if how == END:
        process.wait()
    process.kill()
    process.wait()
    if how == SHELL:
        os._exit(128 + signal.SIGKILL)
    os.kill(me, signal.SIGKILL)


if __name__ == "__main__":
    main(*sys.argv[1:])
