"""Compose's `${NAME}` in a fragment, resolved from the settings of the VaultService and from nothing else.

Compose would take these values from its own environment, so that the same spec could give different results. Resolved here,
they are part of the revision; what is written for Compose is then literal. The forms are those of the Compose
specification: `$$`, `$NAME`, `${NAME}`, `${NAME:-default}`, `${NAME-default}`, `${NAME:?message}`, `${NAME?message}`,
`${NAME:+value}`, `${NAME+value}`; values do not nest.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

_REFERENCE: Final = re.compile(
    r"\$(?:(?P<escaped>\$)|(?P<name>[A-Za-z_][A-Za-z0-9_]*)"
    r"|\{(?P<braced>[A-Za-z_][A-Za-z0-9_]*)(?:(?P<operator>:?[-?+])(?P<operand>[^{}]*))?\}|(?P<invalid>))"
)


class InterpolationError(ValueError):
    """A reference that is malformed, or whose variable is required and not set."""


def interpolate(value: Any, settings: Mapping[str, str]) -> Any:
    """The same JSON-like value with every reference in its strings (not in its keys) resolved.

    A variable that is not set is the empty string, as in Compose. Raises InterpolationError.
    """
    if isinstance(value, str):
        return _REFERENCE.sub(lambda match: _resolve(match, settings), value)
    if isinstance(value, Mapping):
        return {key: interpolate(item, settings) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [interpolate(item, settings) for item in value]
    return value


def escape(value: Any) -> Any:
    """The same JSON-like value with every `$` of its strings doubled, so that Compose reads it as it is."""
    if isinstance(value, str):
        return value.replace("$", "$$")
    if isinstance(value, Mapping):
        return {key: escape(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [escape(item) for item in value]
    return value


def unescape(value: Any) -> Any:
    """What `escape` was given."""
    if isinstance(value, str):
        return value.replace("$$", "$")
    if isinstance(value, Mapping):
        return {key: unescape(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [unescape(item) for item in value]
    return value


def _resolve(match: re.Match[str], settings: Mapping[str, str]) -> str:
    if match["escaped"]:
        return "$"
    name = match["name"] or match["braced"]
    if name is None:
        raise InterpolationError("a '$' that starts no ${NAME}; write '$$' for the character itself")
    operator, operand = match["operator"] or "", match["operand"] or ""
    is_set = name in settings and (settings[name] != "" or not operator.startswith(":"))
    match operator[-1:]:
        case "-" if not is_set:
            return operand
        case "?" if not is_set:
            raise InterpolationError(f"{name} is required: {operand or 'set it in spec.env or spec.envFrom'}")
        case "+":
            return operand if is_set else ""
    return settings.get(name, "")
