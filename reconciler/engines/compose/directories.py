"""The engine's own directories: volumes of all stacks, image layers, and container state.

A container with read access to these directories can read the data of all others, and with write access it can change what
they run. So admission has to know their location, also when an operator has moved them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

DEFAULTS: Final = ("/var/lib/docker", "/var/lib/containerd")
"""The defaults of Docker and containerd; also assumed for an engine that does not answer."""

CONTAINERD_CONFIG: Final = Path("/etc/containerd/config.toml")

_REMAPPED: Final = re.compile(r"/\d+\.\d+$")


def directories_of(facts: Mapping[str, Any], containerd: Path = CONTAINERD_CONFIG) -> tuple[str, ...]:
    """The engine's directories as it reports them (`GET /info`), with those of containerd."""
    # With userns-remap the engine uses a subdirectory of its root; its former data is beside that.
    root = _REMAPPED.sub("", str(facts.get("DockerRootDir") or ""))
    return tuple(dict.fromkeys(path for path in (root, _containerd_root(containerd), *DEFAULTS) if path))


def _containerd_root(config: Path) -> str:
    """The root that containerd is configured with; empty when that is its default or cannot be read."""
    # Late: only a stack with host paths needs to know.
    import tomllib

    try:
        root = tomllib.loads(config.read_text(encoding="utf-8")).get("root", "")
    except (OSError, ValueError):
        return ""
    return root if isinstance(root, str) and root.startswith("/") else ""
