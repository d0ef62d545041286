"""Where the engine keeps what is its own: volumes of all stacks, layers of images, and what runs.

A container that sees these directories reads the data of every other one, and one that writes to them decides what the
others run. So admission has to know where they are, wherever an operator has moved them.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

DEFAULTS: Final = ("/var/lib/docker", "/var/lib/containerd")
"""What Docker and containerd use when nothing else is configured; also what is assumed of an engine that is away."""

CONTAINERD_CONFIG: Final = Path("/etc/containerd/config.toml")

_REMAPPED: Final = re.compile(r"/\d+\.\d+$")


def directories_of(facts: Mapping[str, Any], containerd: Path = CONTAINERD_CONFIG) -> tuple[str, ...]:
    """The engine's directories by what it says of itself (`GET /info`), with those of containerd."""
    # With userns-remap the engine uses a part of its root, and what it had before is beside that.
    root = _REMAPPED.sub("", str(facts.get("DockerRootDir") or ""))
    return tuple(dict.fromkeys(path for path in (root, _containerd_root(containerd), *DEFAULTS) if path))


def _containerd_root(config: Path) -> str:
    """The root that containerd is configured with; empty when that is its default or cannot be read."""
    try:
        root = tomllib.loads(config.read_text(encoding="utf-8")).get("root", "")
    except (OSError, ValueError):
        return ""
    return root if isinstance(root, str) and root.startswith("/") else ""
