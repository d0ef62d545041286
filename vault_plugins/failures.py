"""Describes an error inside a plugin in one line, with its position.

Plugins are third-party code and may raise any exception, on import and in every method. The user needs the last line of
the traceback and the position in the plugin's own files, not the whole traceback.
"""

import traceback
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from vault_plugins.contract import PluginError

MAX_ERROR_LENGTH: Final = 300


@dataclass(frozen=True)
class BrokenPlugin:
    """A plugin that cannot be used. `error` is the last line of the traceback, `line` counts from 1."""

    name: str
    path: Path
    error: str
    line: int | None = None

    def __str__(self) -> str:
        place = f"{self.path}:{self.line}" if self.line else f"{self.path}"
        return f"plugin {self.name!r} is broken: {place}: {self.error}"


class BrokenPluginError(PluginError):
    """A requested plugin cannot be used; `broken` has the position and the reason."""

    def __init__(self, broken: BrokenPlugin) -> None:
        super().__init__(str(broken))
        self.broken = broken


def broken_by(error: BaseException, name: str, path: Path) -> BrokenPlugin:
    """Describe an error that was raised by the plugin whose `plugin.py` is `path`."""
    file, line = _place(error, path)
    return BrokenPlugin(name, file, _last_line(error), line)


def _last_line(error: BaseException) -> str:
    is_sentence = isinstance(error, PluginError)
    text = " ".join((str(error) if is_sentence else traceback.format_exception_only(error)[-1]).split())
    return text if len(text) <= MAX_ERROR_LENGTH else f"{text[: MAX_ERROR_LENGTH - 1]}…"


def _place(error: BaseException, path: Path) -> tuple[Path, int | None]:
    if isinstance(error, SyntaxError) and error.filename and Path(error.filename).is_relative_to(path.parent):
        return Path(error.filename), error.lineno
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if Path(frame.filename).is_relative_to(path.parent)]
    return (Path(own[-1].filename), own[-1].lineno) if own else (path, None)
