"""Revisions: one short name for a workload's definition, stable across runs, key order and our own upgrades.

A revision is `v<formula>-<12 hex digits of SHA-256>` over the canonical JSON of the Compose service. When the formula has
to change, the old one stays in FORMULAS, so that a newer controller still recognises what an older one started and
recreates nothing.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from typing import Any, Final

Definition = Mapping[str, Any]

# What may change without any container having to change: counts, order of start, and what only a build would read.
_NOT_IN_A_CONTAINER: Final = frozenset({"deploy", "scale", "depends_on", "profiles", "pull_policy", "build"})


def _first_formula(definition: Definition) -> str:
    content = {key: value for key, value in definition.items() if key not in _NOT_IN_A_CONTAINER}
    content["resources"] = (definition.get("deploy") or {}).get("resources")
    return digest(content)


FORMULAS: Final[Mapping[str, Callable[[Definition], str]]] = {"v1": _first_formula}
CURRENT_FORMULA: Final = "v1"


def revision_of(definition: Definition) -> str:
    """The revision that new containers of this Compose service get."""
    return f"{CURRENT_FORMULA}-{FORMULAS[CURRENT_FORMULA](definition)}"


def revisions_of(definition: Definition) -> frozenset[str]:
    """The revisions of this Compose service under every formula that is still read."""
    return frozenset(f"{name}-{formula(definition)}" for name, formula in FORMULAS.items())


def digest(value: object) -> str:
    """12 hex digits of SHA-256 over the canonical JSON of a value: sorted keys, no spaces, UTF-8."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()[:12]
