"""Finds the metrics of a PromQL expression by removing everything else."""

from __future__ import annotations

import re

_MATCHERS = re.compile(r"\{[^}]*\}|\"[^\"]*\"|\[[^\]]*\]")
_GROUPING = re.compile(r"\b(?:by|without|on|ignoring|group_left|group_right)\s*\([^)]*\)")
_FUNCTION = re.compile(r"\b[a-z0-9_]+\s*(?=\()")
_NAME = re.compile(r"(?<![\w$.])[a-zA-Z_:][a-zA-Z0-9_:]*")
_WORDS = frozenset({"and", "or", "unless", "bool", "offset"})


def metric_names(expr: str) -> set[str]:
    """Names as the expression has them: of a histogram, with `_bucket`, `_sum` or `_count`."""
    for taken in (_MATCHERS, _GROUPING, _FUNCTION):
        expr = taken.sub(" ", expr)
    return set(_NAME.findall(expr)) - _WORDS
