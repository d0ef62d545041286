"""The differences between the desired and the observed state, as messages for people and kinds for metrics.

A plan says which operations are safe now; a diff says what remains until the desired state is reached.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from reconciler.core.assess.assessment import Assessment
from reconciler.core.assess.counts import Counts
from reconciler.core.assess.instance import FAILED
from reconciler.core.desired.stack import Role, Workload


class Kind(StrEnum):
    """What sort of difference; a closed set, because it is also a label of metrics."""

    MISSING = "missing"
    SURPLUS = "surplus"
    OUTDATED = "outdated"
    UNHEALTHY = "unhealthy"
    NOT_SERVING = "not-serving"
    ORPHAN = "orphan"
    PROXY = "proxy"
    IMAGE = "image"


@dataclass(frozen=True, slots=True)
class Difference:
    """One difference; `subject` is a workload, a container or the proxy's configuration."""

    kind: Kind
    subject: str
    text: str

    @property
    def path(self) -> str:
        """Its name in `spec.driftIgnore`."""
        return f"{self.kind.value}/{self.subject}"

    def __str__(self) -> str:
        return f"{self.subject}: {self.text}"


def diff(assessment: Assessment) -> tuple[Difference, ...]:
    """All differences, workload by workload in the order of the stack."""
    found: list[Difference] = []
    for workload in assessment.stack.workloads:
        found += (
            _of_web(workload, assessment) if workload.role is Role.WEB else _of_others(workload, assessment)
        )
    found += _of_proxy(assessment)
    found += [Difference(Kind.IMAGE, name, text) for name, text in assessment.moved]
    found += [
        Difference(Kind.ORPHAN, container.name, f"service {container.workload!r} is not in the stack")
        for container in assessment.orphans
    ]
    return tuple(found)


def _of_web(workload: Workload, assessment: Assessment) -> Iterable[Difference]:
    counts = assessment.counts[workload.name]
    # Once enough replicas serve, the others are on standby.
    enough = assessment.pool.serving >= assessment.stack.serving
    yield from _counts(workload, counts, counts.desired)
    yield from _asked(workload, assessment)
    for replica in (r for r in assessment.replicas if r.workload is workload):
        if replica.phase in FAILED:
            yield Difference(Kind.UNHEALTHY, replica.container.name, replica.reason)
        elif replica.current and not replica.serving and not enough:
            yield Difference(
                Kind.NOT_SERVING, replica.container.name, f"{replica.phase.value}, not in service"
            )


def _of_others(workload: Workload, assessment: Assessment) -> Iterable[Difference]:
    counts = assessment.counts[workload.name]
    # A completed job is not missing.
    yield from _counts(workload, counts, counts.usable if workload.done else counts.desired)
    yield from _asked(workload, assessment)
    for instance in assessment.of(workload):
        if instance.current and not instance.is_well:
            yield Difference(
                Kind.UNHEALTHY, instance.container.name, instance.reason or f"is {instance.phase.value}"
            )


def _asked(workload: Workload, assessment: Assessment) -> Iterable[Difference]:
    """Those of the current definition that are to be replaced all the same."""
    if asked := assessment.counts[workload.name].asked:
        nodes = sorted({i.container.node for i in assessment.of(workload) if i.is_moving})
        way = f"moved from {', '.join(nodes)}" if nodes else "rotated"
        yield Difference(Kind.OUTDATED, workload.name, f"{_containers(asked)} to be {way}")


def _counts(workload: Workload, counts: Counts, wanted: int) -> Iterable[Difference]:
    current = counts.usable
    if counts.outdated:
        yield Difference(
            Kind.OUTDATED, workload.name, f"{counts.outdated} of another revision than {workload.revision}"
        )
    if current < wanted:
        yield Difference(
            Kind.MISSING, workload.name, f"{_containers(current)} of {workload.revision}, {wanted} wanted"
        )
    if current > wanted:
        yield Difference(
            Kind.SURPLUS, workload.name, f"{_containers(current)} of {workload.revision}, {wanted} wanted"
        )


def _containers(count: int) -> str:
    return f"{count} container" if count == 1 else f"{count} containers"


def _of_proxy(assessment: Assessment) -> Iterable[Difference]:
    proxy = assessment.observed.proxy
    name = proxy.file
    if proxy.written is None:
        yield Difference(Kind.PROXY, name, "is not written yet")
        return
    if proxy.written != proxy.expected:
        yield Difference(Kind.PROXY, name, "its structure differs from the spec")
    if behind := len(proxy.behind):
        yield Difference(Kind.PROXY, proxy.name, f"{behind} still serve an older configuration")
    known: Mapping[str, str | None] = {r.name: r.address for r in assessment.replicas}
    for server, address in sorted(proxy.configured.items()):
        if known.get(server) != address:
            yield Difference(Kind.PROXY, name, f"names server {server} at {address}, where no replica is")
    for replica in assessment.replicas:
        if replica.serving and replica.name not in proxy.configured:
            yield Difference(Kind.PROXY, name, f"does not name server {replica.name}, which serves")
    for server in sorted(set(assessment.members) - set(known)):
        yield Difference(Kind.PROXY, proxy.name, f"has server {server}, which is no container")


def count_by_kind(differences: Iterable[Difference]) -> Mapping[str, int]:
    """How many differences there are of each kind, none left out."""
    return dict.fromkeys((kind.value for kind in Kind), 0) | Counter(d.kind.value for d in differences)
