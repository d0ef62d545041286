"""A secret that every end-to-end test runs with, and that may turn up nowhere else.

It is in the environment of the tests, from which every program inherits it, and in a settings file of every service. What
those programs print and write, what is left on disk and what Docker shows is then searched for it.
"""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

CANARY: Final = "canary-8d0f6b52e1c94a37-must-not-be-seen"
VARIABLE: Final = "SUITE_CANARY"
SETTINGS: Final = "canary.env"
COMPOSE_FILES: Final = ("compose.yaml", ".compose.yaml.new")
"""The one file of the product that has to hold secrets, since `docker compose` reads them there; and the half of it that a
controller leaves that is killed while it writes.
"""
PRIVATE: Final = 0o600
CHUNK: Final = 1 << 20
"""Bytes of a file that are read at a time."""


@contextmanager
def released() -> Iterator[None]:
    """Have the canary in this process's environment."""
    os.environ[VARIABLE] = CANARY
    try:
        yield
    finally:
        del os.environ[VARIABLE]


def is_out() -> bool:
    """Whether it is there, and services shall have it as a secret too."""
    return os.environ.get(VARIABLE) == CANARY


def settings_file(directory: Path) -> Path:
    """Write a settings file for `envFrom` that holds it."""
    directory.mkdir(exist_ok=True)
    path = directory / SETTINGS
    path.touch(PRIVATE)
    path.write_text(f"{VARIABLE}={CANARY}\n")
    return path


def seen_in(text: str | bytes) -> bool:
    """Whether it was printed or served."""
    return CANARY.encode() in (text.encode(errors="replace") if isinstance(text, str) else text)


def held_by(path: Path) -> bool:
    """Whether a file holds it. Holes are skipped: tests leave files of a TiB that are nothing else."""
    overlap = len(CANARY) - 1
    with path.open("rb", buffering=0) as file:
        end, position, before = path.stat().st_size, 0, b""
        while position < end:
            try:
                data = os.lseek(file.fileno(), position, os.SEEK_DATA)
            except OSError:  # ENXIO: nothing but a hole is left
                return False
            before = before if data == position else b""
            os.lseek(file.fileno(), data, os.SEEK_SET)
            chunk = file.read(CHUNK)
            if seen_in(before + chunk):
                return True
            position, before = data + max(1, len(chunk)), chunk[-overlap:]
    return False


def left_in(root: Path) -> list[str]:
    """The files below `root` that should not hold it, in their content or their name, and those that others may read."""
    leaks = []
    for path in root.rglob("*"):
        if CANARY in path.name:
            leaks.append(f"{path}: in its name")
        if path.name == SETTINGS or not path.is_file() or not held_by(path):
            continue  # a socket cannot be read, and a settings file is where it comes from
        mode = stat.S_IMODE(path.stat().st_mode)
        if path.name not in COMPOSE_FILES:
            leaks.append(f"{path}: in its content")
        elif mode != PRIVATE:
            leaks.append(f"{path}: mode {mode:04o}, others may read it")
    return leaks


def shown_of(container: Mapping[str, Any], *, may_have_it: bool) -> bool:
    """Whether `docker inspect` shows it elsewhere than in the environment of a container that was given it."""
    config = dict(container["Config"])
    if may_have_it:
        config.pop("Env")
    return seen_in(json.dumps({**container, "Config": config}))
