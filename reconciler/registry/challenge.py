"""The header with which a registry says which credentials it wants (RFC 9110, WWW-Authenticate)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

__all__ = ["BASIC", "BEARER", "Challenge", "read_challenges"]

BEARER: Final = "bearer"
BASIC: Final = "basic"
LONGEST: Final = 8192

_SCHEME: Final = re.compile(r"\s*,?\s*([A-Za-z][A-Za-z0-9_-]*)(?=[\s,]|$)")
_PARAMETER: Final = re.compile(r'\s*,?\s*([A-Za-z][A-Za-z0-9_-]*)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]+))')


@dataclass(frozen=True, slots=True)
class Challenge:
    """One way to say who asks: `scheme` and the names of `parameters` are in lower case."""

    scheme: str
    parameters: Mapping[str, str]


def read_challenges(header: str) -> tuple[Challenge, ...]:
    """The challenges of a header; what cannot be read ends them."""
    found: list[Challenge] = []
    text, at = header[:LONGEST], 0
    while scheme := _SCHEME.match(text, at):
        at = scheme.end()
        parameters: dict[str, str] = {}
        while parameter := _PARAMETER.match(text, at):
            at = parameter.end()
            name, quoted, plain = parameter.groups()
            value = plain if quoted is None else re.sub(r"\\(.)", r"\1", quoted)
            parameters.setdefault(name.lower(), value)
        found.append(Challenge(scheme[1].lower(), parameters))
    return tuple(found)
