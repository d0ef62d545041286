"""Which engine the services of a state directory run on, so that each command looks where the controller put them."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Final

from reconciler.api import PermanentError
from reconciler.store import files

__all__ = ["COMPOSE", "choose_engine", "engine_of"]

COMPOSE: Final = "compose"
NAME: Final = "engine"


def engine_of(state_dir: Path, engines: Collection[str]) -> str:
    """The one of these engines that was chosen; that of one host if none was. Raises PermanentError for another text in the
    file.
    """
    path = state_dir / NAME
    chosen = (files.read(path) or COMPOSE.encode()).decode(errors="replace").strip()
    if chosen not in engines:
        raise PermanentError(f"{path} names no engine: write {' or '.join(engines)} into it")
    return chosen


def choose_engine(state_dir: Path, name: str, engines: Collection[str], *, is_in_use: bool) -> None:
    """Have all commands use this one of the `engines` from now on. Raises PermanentError if objects run on another one."""
    before = engine_of(state_dir, engines)
    if before == name:
        return
    if is_in_use:
        raise PermanentError(
            f"the services of {state_dir} run on engine {before!r}, and {name!r} would run them a second time: delete them "
            "first, or choose another --state-dir"
        )
    files.make_traversable(state_dir)
    files.write(state_dir / NAME, f"{name}\n".encode(), durable=True)
