"""Moved tags, which mean another image than the running one: containers of one revision run one image, and a move is
reported.

A moved tag is not followed automatically: the definition is the same, and no change was requested.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Final

from reconciler.core.assess.observation import Container, EngineObservation
from reconciler.core.desired.stack import Role, Workload
from reconciler.core.images.reference import shortened

if TYPE_CHECKING:
    from reconciler.core.assess.assessment import Assessment

_WAY: Final = {
    Role.WEB: "; vaultctl rollout restart {name} takes it",
    Role.DEPENDENCY: "; rollout restart replaces web replicas only: name another version in the fragment to take one",
    Role.PROXY: "; name another version in spec.proxy.image to take one",
}


def kept_image(engine: EngineObservation, workload: Workload, containers: Iterable[Container]) -> str:
    """The image ID that new containers get because these, of their revision, have it; "" when the tag means it too."""
    contents = [c.image for c in containers if workload.accepts(c.revision) and c.image]
    if not contents or workload.image not in engine.images:
        return ""
    # In a tie, the image of the oldest container: Counter keeps the order.
    (image, _), *_ = Counter(contents).most_common(1)
    return "" if image == engine.images[workload.image] else image


def find_moved(assessment: Assessment) -> Iterator[tuple[str, str]]:
    """Each workload whose containers do not run the image that its tag means now, with a message.

    The gateway only holds ports, and a complete job is never run again.
    """
    images = assessment.observed.engine.images
    for workload in assessment.stack.of(Role.WEB, Role.DEPENDENCY, Role.PROXY):
        present = images.get(workload.image)
        if present is None or all(i.container.image in (present, "") for i in assessment.of(workload)):
            continue
        runs = [
            i.container.image
            for i in assessment.of(workload)
            if workload.accepts(i.container.revision) and i.container.image
        ]
        others = set(runs) - {present}
        if not others:
            continue
        ids = ", ".join(map(shortened, sorted(others)))
        text = f"image {workload.image} has moved from {ids} to {shortened(present)}"
        if len(set(runs)) > 1:
            text += f"; {sum(image == present for image in runs)} of {len(runs)} containers run the new one"
        yield workload.name, text + _WAY[workload.role].format(name=assessment.stack.name)
