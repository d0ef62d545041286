"""An API in a process of its own, which a test can kill: `python -m tests.web.kube.apart STATE HOME LISTEN`.

It prints its URL, and ends with its input.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.web.kube.cluster import ROOT, served

__all__ = ["apart"]


@contextmanager
def apart(state: Path, home: Path, listen: str) -> Iterator[subprocess.Popen[str]]:
    """One that answers, killed at the end of the block."""
    process = subprocess.Popen(
        [sys.executable, "-m", __name__, str(state), str(home), listen],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        assert process.stdout.readline() == f"https://{listen}\n"
        yield process
    finally:
        process.kill()
        process.wait()
        process.stdin.close()
        process.stdout.close()


if __name__ == "__main__":
    with served(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]) as cluster:
        print(cluster.url, flush=True)
        sys.stdin.read()
