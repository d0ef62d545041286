"""Writes YAML that means the same to every reader: quotes wherever any of them could take a text for something else.

PyYAML, which reads manifests, knows YAML 1.1; Compose knows YAML 1.2 with leftovers of 1.1. They differ about numbers
(`1e3`, `0o17`, `0089`, `25921e05`) and words (`yes`, `on`), so a text is written without quotes only if it looks like
neither to either of them.
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
"""Anything that begins like a number and has no character that no number has; wider than any reader's own rule."""
_WORDS: Final = frozenset({
    "", "~", "<<", "=", "null", "true", "false", "yes", "no", "on", "off", "y", "n", "t", "f", "nan", "inf", "infinity",
})  # fmt: skip
"""Texts that some reader takes for something else, in lower case."""
_UNFOLDED: Final = float("inf")


def document(value: Any, *, readable: bool = False) -> str:
    """A whole document in block style. With `readable`, letters outside of ASCII stand as themselves."""
    # A reader should see each part whole, so there are no anchors; and no line is folded.
    return yaml.dump(
        value,
        Dumper=_Dumper,
        sort_keys=False,
        default_flow_style=False,
        width=_UNFOLDED,
        allow_unicode=readable,
    )


def is_text_to_all(value: str) -> bool:
    """Whether this text, written without quotes, is a text to readers of YAML 1.1 and 1.2 alike."""
    return value.lower() not in _WORDS and _NUMBER_LIKE.fullmatch(value) is None


def flow(value: Any) -> str:
    """A value, or a mapping of values in braces, as one piece of a line."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{scalar(key, None)}: {flow(each)}" for key, each in value.items()) + "}"
    return scalar(value, None)


def scalar(value: Scalar, style: str | None) -> str:
    """A value as YAML that may stand anywhere; `style` is the quote that it had before, if any."""
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
    # JSON is YAML, if the few characters are escaped that only JSON allows.
    quoted = json.dumps(value, ensure_ascii=False)
    return "".join(each if each.isprintable() else _escaped(each) for each in quoted)


def _escaped(character: str) -> str:
    code = ord(character)
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"


def _is_plain(value: str) -> bool:
    """Whether a text may stand without quotes, wherever: only letters, digits and marks that mean nothing."""
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
