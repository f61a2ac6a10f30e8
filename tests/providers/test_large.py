"""A hundred thousand tags, in a process of its own, whose clock and memory tell."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.providers.large import many_tags

PROGRAM = """
import json, re, sys, time
from pathlib import Path
from indexer.providers.base import Known, Remote
from indexer.providers.git.reader import GitProvider
started = time.process_time()
remote = Remote(sys.argv[1], mirror=Path(sys.argv[2]), allow_local=True)
provider = GitProvider(remote)
snapshot = provider.fetch_snapshot(provider.fetch_listing(), Known())
read = time.process_time() - started
tags = {tag.object_id: tag for tag in snapshot.tags}
known = Known(tags, snapshot.commits, snapshot.documents)
started = time.process_time()
again = provider.fetch_snapshot(provider.fetch_listing(), known)
memory = re.findall(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read())
print(json.dumps({
    "tags": len(snapshot.tags),
    "annotated": sum(1 for tag in snapshot.tags if tag.tag and tag.commit_id),
    "same": again == snapshot,
    "seconds": read,
    "again": time.process_time() - started,
    "kilobytes": int(memory[0]),
}))
"""


@pytest.mark.slow
def test_D4_a_hundred_thousand_tags_are_read_in_bounds(tmp_path: Path) -> None:
    path = many_tags(tmp_path / "repo", 100_000).path
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(path), str(tmp_path / "mirrors" / "1")],
        cwd=Path(__file__).parents[2], capture_output=True, text=True, check=True,
    )  # fmt: skip
    found = json.loads(done.stdout)
    assert (found["tags"], found["annotated"], found["same"]) == (
        100_000,
        100_000,
        True,
    )
    # Processor time of ours, so that a busy machine does not decide.
    assert found["seconds"] < 15
    assert found["again"] < 5
    assert found["kilobytes"] < 400 * 1024
