"""`make bench`: measure everything, print it as ratios, end with 1 if something is
short of what is required. QUICK=1 takes smaller sizes; naming parts takes only them:

    python -m bench crawl pages big
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

from bench import actions, big, connections, crawl, pages, web
from bench.measure import Table

PARTS = {
    "crawl": crawl.measure,
    "connections": connections.measure,
    "pages": pages.measure,
    "big": big.measure,
    "actions": actions.measure,
    "web": web.measure,
}


def main(names: list[str]) -> int:
    """Measure the named parts, or all."""
    unknown = set(names) - set(PARTS)
    if unknown:
        sys.exit(f"No such part: {', '.join(sorted(unknown))}. There are: {[*PARTS]}.")
    # Nothing of this machine's own Muster may be measured, or changed.
    for name in ("DATABASE_URL", "CELERY_BROKER_URL", "DEBUG", "MUSTER_DATA"):
        os.environ.pop(name, None)
    quick = os.environ.get("QUICK", "") not in {"", "0"}
    table = Table()
    cores = os.cpu_count()
    print(f"Measured on {cores} cores with Python {sys.version.split()[0]}:")
    print(f"  {'what':<58} {'measured':>9}  {'required':>9}")
    for name in names or PARTS:
        with tempfile.TemporaryDirectory(prefix=f"muster-bench-{name}-") as folder:
            PARTS[name](Path(folder), table, quick=quick)
    print(
        f"\n{table.short} of the lines above fall short."
        if table.short
        else "\nEverything is as fast and as small as required."
    )
    return int(table.short > 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
