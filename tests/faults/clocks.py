"""A clock for one process alone, which may be set wrong while it runs.

By forty lines of C, for faketime's own library (0.9.10) cannot leave the monotonic
clock alone: every `time.sleep` of Python then fails."""

from __future__ import annotations

import shutil
import struct
import subprocess
from pathlib import Path

SOURCE = Path(__file__).with_name("clock.c")


def has_clocks() -> bool:
    """Whether such a clock can be made here."""
    return shutil.which("cc") is not None


class Clock:
    """A clock, right at first. `environment` gives it to a process."""

    def __init__(self, folder: Path, name: str) -> None:
        self._file = folder / f"{name}.clock"
        self.environment: dict[str, str] = {}
        self.set(0)
        if has_clocks():
            library = folder / "clock.so"
            if not library.exists():
                subprocess.run(
                    ["cc", "-O2", "-shared", "-fPIC", "-o", library, SOURCE, "-ldl"],
                    check=True,
                )
            self.environment = {
                "LD_PRELOAD": str(library),
                "MUSTER_TEST_CLOCK": str(self._file),
            }

    def set(self, seconds: int) -> None:
        """From now on it is so many seconds ahead (or behind, if negative)."""
        with self._file.open("r+b" if self._file.exists() else "w+b") as file:
            file.write(struct.pack("=q", seconds))
