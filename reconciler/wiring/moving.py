"""What would differ of a stack on a Docker Swarm, judged by the engine that it runs on now."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from reconciler.engines.compose.api import DockerApi
from reconciler.engines.compose.cli import ComposeCli
from reconciler.engines.swarm.fit import Finding, judge
from reconciler.engines.swarm.front import FRONT_ROLES
from reconciler.engines.swarm.images import BY_ID, find_image

if TYPE_CHECKING:
    from reconciler.core.desired.stack import Stack

__all__ = ["findings_on_a_swarm"]


def findings_on_a_swarm(docker_host: str | None, stack: Stack) -> Sequence[Finding]:
    """What a Swarm would refuse of a stack, or do in another way than one host; see fit.py. Raises VaultError."""
    docker = DockerApi(docker_host)
    document = ComposeCli(docker.host).config(stack)
    instances = [each for each in stack.workloads if each.role not in FRONT_ROLES]
    images = {each.image: find_image(docker, each.image) for each in instances}
    # Of one that is not here yet, nothing is known; the node that needs it pulls it.
    exact = {name: found is None or not found.reference.startswith(BY_ID) for name, found in images.items()}
    found = judge(document, [each.name for each in instances], exact, stack.secret_files)
    if stack.former:
        text = (
            "it was adopted from a Compose project, whose data is on one host; release it, or leave it there"
        )
        return (Finding(stack.name, text, True), *found)
    return found
