"""Writes YAML with the same meaning in YAML 1.1 and 1.2: text is quoted wherever one of them reads another type.

PyYAML, which reads manifests, implements YAML 1.1; Compose implements YAML 1.2 with parts of 1.1. They differ in numbers
(`1e3`, `0o17`, `0089`, `25921e05`) and words (`yes`, `on`), so a text is written without quotes only if both read it as
text.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, Final

import yaml

from reconciler.api.yaml_loader import YamlReader
from reconciler.api.yaml_nodes import Scalar, ScalarNode

__all__ = ["document", "flow", "is_text_to_all", "scalar"]

_NUMBER_LIKE: Final = re.compile(r"[-+.~]?[0-9._][0-9a-fA-FoOxX._:,eEpP+-]*|[-+.].*")
"""Text that starts like a number and has only characters of numbers; wider than the rule of any YAML reader."""
_WORDS: Final = frozenset({
    "", "~", "<<", "=", "null", "true", "false", "yes", "no", "on", "off", "y", "n", "t", "f", "nan", "inf", "infinity",
})  # fmt: skip
"""Words in lower case that some YAML reader does not read as text."""
_UNFOLDED: Final = float("inf")


def document(value: Any, *, readable: bool = False) -> str:
    """A whole document in block style. With `readable`, non-ASCII letters are not escaped."""
    # No anchors and no folded lines, so that each part can be read alone.
    return yaml.dump(
        value,
        Dumper=_Dumper,
        sort_keys=False,
        default_flow_style=False,
        width=_UNFOLDED,
        allow_unicode=readable,
    )


def is_text_to_all(value: str) -> bool:
    """Whether readers of YAML 1.1 and of YAML 1.2 both read this text, written without quotes, as text."""
    return value.lower() not in _WORDS and _NUMBER_LIKE.fullmatch(value) is None


def flow(value: Any) -> str:
    """A value or a mapping of values in flow style, on one line."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{scalar(key, None)}: {flow(each)}" for key, each in value.items()) + "}"
    return scalar(value, None)


def scalar(value: Scalar, style: str | None) -> str:
    """A value as YAML for any context; `style` is the quote that it had before, if any."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if not isinstance(value, str):
        return str(value)
    if style == "'" and value.isprintable():
        return "'" + value.replace("'", "''") + "'"
    if style != '"' and _is_plain(value):
        return value
    # JSON is YAML if the characters that only JSON allows are escaped.
    quoted = json.dumps(value, ensure_ascii=False)
    return "".join(each if each.isprintable() else _escaped(each) for each in quoted)


def _escaped(character: str) -> str:
    code = ord(character)
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"


def _is_plain(value: str) -> bool:
    """Whether a text needs no quotes in any context: only letters, digits and marks without meaning in YAML."""
    if not is_text_to_all(value) or not value.isascii() or not (value[0].isalnum() or value[0] in "/._"):
        return False
    if not all(each.isalnum() or each in "/._-+%@:" for each in value) or ":" in (value[-1], value[0]):
        return False
    reader = YamlReader(value, Path())
    roots = list(reader.documents())
    return not reader.problems and [each.value for each in roots if isinstance(each, ScalarNode)] == [value]


class _Dumper(yaml.SafeDumper):
    def ignore_aliases(self, data: Any) -> bool:
        return True


def _represent_text(dumper: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
    if is_text_to_all(value):
        return dumper.represent_scalar("tag:yaml.org,2002:str", value)
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style="'")


_Dumper.add_representer(str, _represent_text)
