"""`python -m tests.core.mutants [MODULE …]`: change the core in one place after
another, and see for each change whether a test of `tests/core` fails.

First the tests that show one rule each, which take a second together; then, for what
they let pass, all of them, random histories against gto too. Prints the share of each
module and every change that no test notices, without those that mutants.toml gives a
reason for; exits 1 when fewer than 95 of 100 are noticed. RESUME=1 goes on with a run
that was broken off."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tomllib
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from mutmut.mutation.data import SourceFileMutationData
from mutmut.mutation.diff_apply import get_diff_for_mutant
from mutmut.stats import status_by_exit_code

FOLDER = Path("mutants")  # mutmut's: the code with all changes, and what became of them
CORE = Path("indexer/core")
REASONS = Path(__file__).with_suffix(".toml")
WANTED = 0.95
HISTORIES = "60"  # how many random ones the last sieve takes

ONE_RULE_EACH = "not (measures_time or fuzz)"
ALL = "not measures_time"
# A change that makes a test run on without end is noticed as well.
NOTICED = {"killed", "timeout", "segfault", "caught by type check"}
PASSED = {"survived", "no tests"}


@dataclass(frozen=True)
class Mutant:
    """One change: mutmut's name for it, and what became of it."""

    name: str
    path: Path
    status: str

    @property
    def change(self) -> str:
        """What it changes, in words that stay when other lines change: the function,
        the lines before, the lines after."""
        function = self.name.removeprefix("indexer.core.").partition("__mutmut_")[0]
        module, _, inside = function.partition(".")
        if inside.startswith("xǁ"):  # mutmut's sign between a class and its method
            inside = inside.removeprefix("xǁ").replace("ǁ", ".")
        diff = get_diff_for_mutant(self.name, path=self.path).splitlines()
        before, after = (
            " ".join(line[1:].strip() for line in diff if _is_changed(line, sign))
            for sign in "-+"
        )
        return f"{module}.{inside.removeprefix('x_')}: {before} → {after}"


def _is_changed(line: str, sign: str) -> bool:
    return line.startswith(sign) and not line.startswith(sign * 3)


def mutants() -> Iterator[Mutant]:
    """All changes that there are, in the order of files and lines."""
    for path in sorted(CORE.glob("*.py")):
        data = SourceFileMutationData(path=path)
        data.load()
        for name, code in data.exit_code_by_key.items():
            yield Mutant(name, path, status_by_exit_code[code])


def try_out(tests: str, names: Iterable[str]) -> None:
    """Run `tests` (an expression of markers) on the changes of these names."""
    environment = os.environ | {"PYTEST_ADDOPTS": f'-m "{tests}"'}
    environment.setdefault("MUSTER_FUZZ", HISTORIES)
    command = [str(Path(sys.executable).parent / "mutmut"), "run", *names]
    subprocess.run(command, env=environment, check=True)


def reasons() -> dict[str, str]:
    """Changes that no test can or need notice, each with its reason."""
    listed = tomllib.loads(REASONS.read_text(encoding="utf-8"))["unnoticed"]
    return {change: one["why"] for one in listed for change in one["changes"]}


def report(found: list[Mutant]) -> int:
    """Print what became of the changes; the exit status."""
    known = reasons()
    passed = {one.change for one in found if one.status in PASSED}
    for change in sorted(passed - set(known)):
        print(f"  {change}")
    print(f"{len(passed - set(known))} that no test notices and nothing explains.\n")
    for path in sorted({one.path for one in found}):
        print(_share(path.stem, [one for one in found if one.path == path]))
    print(_share("all", found))
    whole = {one.path for one in mutants()} == {one.path for one in found}
    if whole and (gone := sorted(set(known) - passed)):
        print(f"\nNoticed now, or gone; take them out of {REASONS.name}:")
        print("\n".join(f"  {change}" for change in gone))
    unknown = [one for one in found if one.status not in NOTICED | PASSED]
    if unknown:
        print(f"{len(unknown)} were not tried; RESUME=1 make mutants goes on.")
    noticed = sum(one.status in NOTICED for one in found)
    return 1 if unknown or noticed < WANTED * len(found) else 0


def _share(name: str, found: list[Mutant]) -> str:
    counted = Counter(one.status in NOTICED for one in found)
    share = 100 * counted[True] / (len(found) or 1)
    return f"{name:16} {counted[True]:5} of {len(found):5} noticed: {share:5.1f} %"


def main(modules: list[str]) -> int:
    os.nice(10)
    if not os.environ.get("RESUME"):
        shutil.rmtree(FOLDER, ignore_errors=True)
    wanted = [f"indexer.core.{module}." for module in modules] or ["indexer.core."]

    def chosen() -> list[Mutant]:
        return [one for one in mutants() if one.name.startswith(tuple(wanted))]

    try_out(ONE_RULE_EACH, [f"{prefix}*" for prefix in wanted] if modules else [])
    left = [one.name for one in chosen() if one.status in PASSED]
    if left:
        try_out(ALL, left)
    return report(chosen())


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
