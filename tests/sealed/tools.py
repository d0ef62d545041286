"""The real `age` and `age-keygen`, and keys and files that they made: a second implementation of the format."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]

__all__ = ["AgeKey", "age", "keygen", "programs"]

SECONDS: Final = 60
PROVIDING_SECONDS: Final = 400


@dataclass(frozen=True)
class AgeKey:
    """A file of one key, and its public half."""

    path: Path
    recipient: str


@cache
def programs() -> Path:
    """The directory of both programs."""
    done = subprocess.run(
        [ROOT / "scripts" / "age"], capture_output=True, text=True, timeout=PROVIDING_SECONDS, check=False
    )
    assert done.returncode == 0, done.stderr
    return Path(done.stdout.splitlines()[-1])


def keygen(path: Path) -> AgeKey:
    """A new key in a file of mode 0600."""
    subprocess.run([programs() / "age-keygen", "-o", path], capture_output=True, timeout=SECONDS, check=True)
    shown = subprocess.run(
        [programs() / "age-keygen", "-y", path], capture_output=True, text=True, timeout=SECONDS, check=True
    )
    return AgeKey(path, shown.stdout.strip())


def age(*words: str | Path, content: bytes) -> bytes:
    """What `age` prints."""
    done = subprocess.run(
        [programs() / "age", *words], input=content, capture_output=True, timeout=SECONDS, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout
