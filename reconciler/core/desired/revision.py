"""Revisions: one short name for a workload's definition, stable across runs, key order and our own upgrades.

A revision is `v<formula>-<12 hex digits>` over the canonical JSON of the Compose service. Formula 1 is SHA-256. A service
holds secrets and revisions are public, so a plain hash allows a dictionary attack. Formula 2 is therefore HMAC-SHA256 with
a key of the state directory; it is used when there is a key. The revisions of both are read, so that a newer controller
recognises what an older one started and recreates nothing.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Mapping
from typing import Any, Final

Definition = Mapping[str, Any]

LENGTH: Final = 12
"""Hexadecimal digits of a revision."""

# What may change without any container having to change: counts, order of start, and what only a build would read.
_NOT_IN_A_CONTAINER: Final = frozenset({"deploy", "scale", "depends_on", "profiles", "pull_policy", "build"})


def _content(definition: Definition) -> Definition:
    content = {key: value for key, value in definition.items() if key not in _NOT_IN_A_CONTAINER}
    content["resources"] = (definition.get("deploy") or {}).get("resources")
    return content


def _first_formula(text: str) -> str:
    return f"v1-{hashlib.sha256(text.encode()).hexdigest()[:LENGTH]}"


def _second_formula(text: str, key: bytes) -> str:
    return f"v2-{hmac.digest(key, text.encode(), 'sha256').hex()[:LENGTH]}"


def revisions_of(definition: Definition, key: bytes = b"") -> tuple[str, ...]:
    """The revisions of this Compose service under every formula that is still read, that of new containers first."""
    text = _canonical(_content(definition))
    first = _first_formula(text)
    return (_second_formula(text, key), first) if key else (first,)


def revision_of(definition: Definition, key: bytes = b"") -> str:
    """The revision that new containers of this Compose service get."""
    return revisions_of(definition, key)[0]


def formula_of(revision: str) -> str:
    """The formula that made a revision, such as `v1`."""
    return revision.partition("-")[0]


def digest(value: object) -> str:
    """12 hex digits of SHA-256 over the canonical JSON of a value."""
    return hashlib.sha256(_canonical(value).encode()).hexdigest()[:LENGTH]


def _canonical(value: object) -> str:
    """JSON with sorted keys and no spaces; UTF-8 when it is encoded."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
