"""A process that died leaves no core dump, also where the limits of its parent allow one."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
from pathlib import Path

import pytest

DIES = "import os, signal, sys\n{}\nos.kill(os.getpid(), signal.SIGSEGV)\n"
FORBIDS = "from reconciler.cli.memory import forbid_core_dumps; forbid_core_dumps()"
FORBIDS_A_CHILD = f"{FORBIDS}; os.execlp('sh', 'sh', '-c', 'kill -SEGV $$')"


def dumps_core(directory: Path, code: str) -> bool:
    """Whether a process that runs the code and then faults leaves a core dump, as the kernel tells its parent."""

    def unlimited() -> None:
        resource.setrlimit(resource.RLIMIT_CORE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))

    process = subprocess.Popen(
        [sys.executable, "-c", DIES.format(code)],
        cwd=directory,
        preexec_fn=unlimited,
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])},
    )
    _, status = os.waitpid(process.pid, 0)
    process.returncode = -os.WTERMSIG(status)
    assert os.WTERMSIG(status) == signal.SIGSEGV
    return os.WCOREDUMP(status)


@pytest.mark.parametrize("code", [FORBIDS, FORBIDS_A_CHILD])
def test_nothing_is_left(tmp_path: Path, code: str) -> None:
    assert not dumps_core(tmp_path, code)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(
    Path("/proc/sys/kernel/core_pattern").read_text().strip() != "core"
    or resource.getrlimit(resource.RLIMIT_CORE)[1] != resource.RLIM_INFINITY,
    reason="this machine writes core dumps elsewhere, or none",
)
def test_otherwise_one_would_be_left(tmp_path: Path) -> None:
    assert dumps_core(tmp_path, "")
    (core,) = tmp_path.iterdir()
    assert core.name == "core"
    # It has the environment, with the secret that no test may leave in a file.
    core.unlink()


def test_the_limit_holds_for_children_and_cannot_be_raised() -> None:
    code = f"{FORBIDS}; import resource, subprocess; print(resource.getrlimit(resource.RLIMIT_CORE)); " + (
        "subprocess.run(['sh', '-c', 'ulimit -Hc'])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.splitlines()[0] in ("(1, 1)", "(0, 0)")
