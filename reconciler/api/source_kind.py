"""The kinds of sources that a controller follows. The origin of an object names one of them, or is "apply"."""

from __future__ import annotations

from typing import Literal

__all__ = ["SourceKind"]

SourceKind = Literal["directory", "git"]
