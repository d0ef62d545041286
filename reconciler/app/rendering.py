"""The generated files of a stack, to be read, compared and checked by other tools."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol

from reconciler.api.errors import PermanentError
from reconciler.files import PRIVATE, replace

if TYPE_CHECKING:
    from reconciler.core.desired.stack import Stack

__all__ = ["Renderer", "render"]

COMPOSE_FILE: Final = "compose.yaml"
READABLE: Final = 0o644
"""The proxy's files hold no secret, and the user that it runs as has to read them."""


class Renderer(Protocol):
    """Makes the files of a stack."""

    def render_compose(self, stack: Stack) -> str:
        """Its compose.yaml; it may hold secrets."""

    def render_proxy(self, stack: Stack) -> Mapping[str, str]:
        """The proxy's files by their path, without servers. Raises PermanentError for settings that it cannot have."""


@dataclass(frozen=True)
class _File:
    text: str
    mode: int


def render(renderer: Renderer, stack: Stack, target: Path) -> list[Path]:
    """Write all files of a stack below `target`, and return their paths. Raises PermanentError naming the one that could
    not be written.
    """
    files = {COMPOSE_FILE: _File(renderer.render_compose(stack), PRIVATE)}
    files |= {name: _File(text, READABLE) for name, text in sorted(renderer.render_proxy(stack).items())}
    return [_write(target / name, file) for name, file in files.items()]


def _write(path: Path, file: _File) -> Path:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        replace(path, file.text.encode(), mode=file.mode, alone=True)
    except OSError as error:
        raise PermanentError(f"cannot write {path}: {error.strerror}") from error
    return path
