"""The labels of what the controller makes in a Swarm, beside those of `core.labels`."""

from __future__ import annotations

import re
from typing import Final

PROJECT: Final = "com.docker.stack.namespace"
"""The label of `docker stack`, so that `docker stack ps`, `services` and `rm` know what belongs together."""

WORKLOAD: Final = "internal.vault.workload"
NUMBER: Final = "internal.vault.number"
IMAGE: Final = "internal.vault.image"
"""The ID, on the controller's node, of the image that an instance was created from."""
CHECKED: Final = "internal.vault.checked"
"""Its definition or its image has a health check, so Swarm calls a task running when that agrees."""
STOPPED: Final = "internal.vault.stopped"
"""When a stop was requested, as an ISO time."""
RAN_ON: Final = "internal.vault.ran-on"
"""The ID of the node where an instance was stopped: Swarm forgets a task that it has stopped."""
PINNED: Final = "internal.vault.pinned"
"""The ID of the only node that an instance can run on, because a local volume of it is there."""
VOLUME: Final = "internal.vault.volume"
"""On the record of where a volume is: the volume's name."""
NODE: Final = "internal.vault.node"
"""On the same: the ID of the node."""
DRAINED: Final = "internal.vault.drain"
"""On a node: since when its instances are to leave it, as an ISO time."""
DRAINED_PINNED: Final = "internal.vault.drain-pinned"
"""On the same: those that can run nowhere else are to stop."""
ANONYMOUS: Final = "internal.vault.anonymous"
"""On a volume that the definition gives no name."""
TERM: Final = "internal.vault.term"
"""On the lease: how many holders there were. On what is kept: the term of the controller that wrote it."""

_INSTANCE: Final = re.compile(r"[0-9a-z]{25}")


def is_instance(identifier: str) -> bool:
    """Whether this is the ID of a Swarm service; that of a container has 64 hexadecimal digits."""
    return _INSTANCE.fullmatch(identifier) is not None
