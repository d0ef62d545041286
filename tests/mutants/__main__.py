"""`python -m tests.mutants FILE...`: lists small mistakes in these modules that no test detects.

Each mutant lives in a copy of the checkout and is given to the tests of its module (by name, and those of TESTS). One that
survives is a question: a test that cannot fail, a test that is missing, or code that makes no difference. Not in CI: it
takes minutes for each module, and some mutants mean the same as the original.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from tests.mutants.mutate import mutants

ROOT: Final = Path(__file__).parents[2]
SECONDS: Final = 120
"""Seconds after which a mutant counts as detected: a suite that hangs has failed."""
LOWEST_PRIORITY: Final = 19

CONTROLLER: Final = ("tests/controller",)
TESTS: Final[dict[str, tuple[str, ...]]] = {
    "reconciler/controller/loop/lease.py": (
        "tests/controller/loop/test_lease.py",
        "tests/controller/loop/test_manager.py",
    ),
    "reconciler/controller/loop/triggers.py": (
        "tests/controller/loop/test_triggers.py",
        "tests/controller/loop/test_manager.py",
    ),
    "reconciler/controller/reconcile/service.py": (
        "tests/controller/reconcile/test_service.py",
        "tests/controller/reconcile/test_drift.py",
        "tests/controller/loop/test_manager.py",
    ),
    "reconciler/store/database.py": ("tests/store",),
}
"""Tests of a module beside, or instead of, those that bear its name."""


def judges(module: str) -> tuple[str, ...]:
    """The files with the tests that a mutant of this module is given to."""
    path = Path(module)
    own = str(Path("tests", *path.parts[1:-1], f"test_{path.name}"))
    return TESTS.get(module) or ((own,) if (ROOT / own).exists() else (str(Path(own).parent),))


def survivors(module: str, copy: Path) -> list[str]:
    """The mistakes in a module that its tests pass with."""
    file, tests = copy / module, judges(module)
    source = file.read_text(encoding="utf-8")
    if not _passes(copy, tests):
        raise SystemExit(f"{module}: its tests {', '.join(tests)} fail as they are")
    found, tried = [], 0
    for mutant in mutants(source):
        tried += 1
        file.write_text(mutant.code, encoding="utf-8")
        if _passes(copy, tests):
            found.append(str(mutant))
            print(f"  survives: {mutant}", flush=True)
    file.write_text(source, encoding="utf-8")
    print(f"{module}: {len(found)} of {tried} survive", flush=True)
    return found


def _passes(copy: Path, tests: Sequence[str]) -> bool:
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-x",
        "-q",
        "-p",
        "no:cacheprovider",
        "-m",
        "not docker",
        *tests,
    ]
    environment = os.environ | {"PYTHONPATH": str(copy), "PYTHONDONTWRITEBYTECODE": "1"}
    try:
        done = subprocess.run(command, cwd=copy, env=environment, capture_output=True, timeout=SECONDS)
    except subprocess.TimeoutExpired:
        return False
    return done.returncode == 0


def main(modules: Sequence[str]) -> int:
    os.nice(LOWEST_PRIORITY)
    files = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True)
    with tempfile.TemporaryDirectory(prefix="mutants-") as directory:
        copy = Path(directory)
        for name in files.stdout.split("\0"):
            if name and (ROOT / name).is_file():
                (copy / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(ROOT / name, copy / name)
        found = [mutant for module in modules for mutant in survivors(module, copy)]
        return int(bool(found))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
