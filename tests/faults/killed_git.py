"""A `git` to put first on PATH that dies when it is told to: at once, after some
output, in the middle of its work, or when all is done and nobody knows it yet.

Orders are files in a folder, one for each git process to come. A process takes the
first by renaming it, so that each is for one process whichever comes first."""

from __future__ import annotations

import shutil
import stat
from pathlib import Path

REAL = shutil.which("git") or "/usr/bin/git"
# What an order may hold. `$1` is what the word before it is told.
SCRIPT = r"""#!/bin/sh
# The environment is git's own (`env -i`), so the folder is written here.
for order in "@ORDERS@"/*.order; do
    mv "$order" "@ORDERS@/$$.taken" 2>/dev/null || continue
    read -r word number < "@ORDERS@/$$.taken"
    case $word in
    start) kill -9 $$ ;;
    output) "@REAL@" "$@" | head -c "$number"; kill -9 $$ ;;
    soon) exec 3<&0; "@REAL@" "$@" <&3 & sleep "$number"; kill -9 $! $$ ;;
    end) "@REAL@" "$@"; kill -9 $$ ;;
    esac
    break
done
exec "@REAL@" "$@"
"""


class KilledGit:
    """The program in `folder`/bin, and the orders it looks at."""

    def __init__(self, folder: Path) -> None:
        self.bin = folder / "bin"
        self.orders = folder / "orders"
        self.bin.mkdir(parents=True)
        self.orders.mkdir()
        script = SCRIPT.replace("@ORDERS@", str(self.orders)).replace("@REAL@", REAL)
        program = self.bin / "git"
        program.write_text(script)
        program.chmod(program.stat().st_mode | stat.S_IXUSR)

    def kill(self, number: int, how: str) -> None:
        """Kill the `number`th git process from now: `start`, `output BYTES`, `soon
        SECONDS` or `end`."""
        self.calm()
        for place in range(1, number + 1):
            words = how if place == number else "live"
            part = self.orders / "part"
            part.write_text(f"{words}\n")
            part.rename(self.orders / f"{place:03}.order")

    def calm(self) -> None:
        """Let every git live that starts from now on."""
        for order in self.orders.glob("*.order"):
            order.unlink(missing_ok=True)

    def killed(self) -> int:
        """How many died by an order so far."""
        return sum(
            not taken.read_text().startswith("live")
            for taken in self.orders.glob("*.taken")
        )
