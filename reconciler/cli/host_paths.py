"""`--host-path`: directories that the operator opens for containers, `:ro` for reading only, `none` for no others."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import click

__all__ = ["HOST_PATH", "closes_defaults", "read_only", "writable"]

READ_ONLY: Final = ":ro"
NONE: Final = "none"


class _HostPath(click.ParamType[str]):
    """A path with or without `:ro`."""

    name = "directory[:ro]"

    def split_envvar_value(self, rv: str) -> Sequence[str]:
        """`/a:ro:/b` is `/a:ro` and `/b`: an `ro` that follows a path belongs to it."""
        found: list[str] = []
        for part in rv.split(os.pathsep):
            if part == READ_ONLY[1:] and found:
                found[-1] += READ_ONLY
            elif part:
                found.append(part)
        return found


HOST_PATH: Final = _HostPath()


def writable(values: Sequence[str]) -> tuple[Path, ...]:
    """The directories that containers may write to."""
    return tuple(Path(value) for value in values if value != NONE and not value.endswith(READ_ONLY))


def read_only(values: Sequence[str]) -> tuple[Path, ...]:
    """The directories that containers may only read."""
    return tuple(Path(value.removesuffix(READ_ONLY)) for value in values if value.endswith(READ_ONLY))


def closes_defaults(values: Sequence[str]) -> bool:
    """Whether only the named directories are open."""
    return NONE in values
