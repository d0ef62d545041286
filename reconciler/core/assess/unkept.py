"""Data that would be lost: a VOLUME of an image that no mount covers.

The engine creates an anonymous volume there for each container. That of a web replica is removed with it, and that of a
dependency is not found by another container. Only the engine knows the volumes of an image, so this is reported by a pass
and not at validation.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from reconciler.core.admission.roots import normal
from reconciler.core.assess.assessment import Assessment
from reconciler.core.compose.mounts import read_mounts
from reconciler.core.desired.stack import Role

_LOST: Final = {
    Role.WEB: "each replica gets an empty volume there, which is removed with it",
    Role.DEPENDENCY: "it gets a volume without a name there, which no other container finds",
}


def unkept(assessment: Assessment) -> Iterator[str]:
    """A message for each workload whose image declares a volume at which the fragment mounts nothing.

    A mount around such a path covers nothing: the engine puts the volume into it.
    """
    if not assessment.observed.engine.volumes:
        return
    services = assessment.stack.document["services"]
    for workload in assessment.stack.of(Role.WEB, Role.DEPENDENCY):
        if not (declared := assessment.observed.engine.volumes.get(workload.image)):
            continue
        covered = _covered(services[workload.name])
        if bare := sorted(path for path in {normal(each) for each in declared} if path not in covered):
            yield (
                f"services.{workload.name}: image {workload.image} declares {' and '.join(bare)} as "
                f"{'volumes' if len(bare) > 1 else 'a volume'}, and no mount covers that: {_LOST[workload.role]}; "
                "mount a named volume there, or tmpfs if nothing is to be kept"
            )


def _covered(service: Mapping[str, Any]) -> frozenset[str]:
    tmpfs = service.get("tmpfs") or ()
    entries = [tmpfs] if isinstance(tmpfs, str) else list(tmpfs)
    targets = [mount.target for mount in read_mounts(service.get("volumes"))]
    return frozenset(
        normal(each) for each in (*targets, *(str(entry).partition(":")[0] for entry in entries))
    )
