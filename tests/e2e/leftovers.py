"""What is there and should not be: the question that every test of a crash or a fault ends with.

Asked of the engine, of HAProxy and of the disk themselves, because the product would not tell of what it has forgotten.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from reconciler.controller.loop.lease import is_held
from reconciler.core.desired.stack import Stack
from reconciler.store.base import BELL, STATUS_BELL
from tests.e2e.docker_cli import PROJECT, SERVICE, docker
from tests.e2e.stage import Stage

LOCK_SUFFIX = ".lock"


def left_overs(stage: Stage) -> list[str]:
    """One line for each container, network, volume, server, file or lease too many or too few; no controller may run."""
    preview = stage.preview()
    stack = preview.stack
    return [
        *(f"difference: {each}" for each in preview.differences),
        *(f"still to do: {each}" for each in preview.plan.operations),
        *_containers(stack),
        *_networks_and_volumes(stack),
        *_servers(stage, stack),
        *_files(stage),
        *_leases(stage),
    ]


def _containers(stack: Stack) -> Iterator[str]:
    wanted = Counter({workload.name: workload.replicas for workload in stack.workloads})
    labels = f'{{{{.Label "{SERVICE}"}}}}'
    listed = docker("ps", "--all", f"--filter=label={PROJECT}={stack.project}", f"--format={labels}")
    yield from _compare("container", wanted, Counter(listed.split()))


def _networks_and_volumes(stack: Stack) -> Iterator[str]:
    # Compose creates no network that no service is in, such as that of HAProxies where a gateway has them.
    used = {key for service in stack.document["services"].values() for key in service.get("networks") or ()}
    for kind in ("network", "volume"):
        keys = [key for key in stack.document.get(f"{kind}s") or () if kind == "volume" or key in used]
        wanted = Counter(f"{stack.project}_{key}" for key in keys)
        listed = docker(kind, "ls", f"--filter=label={PROJECT}={stack.project}", "--format={{.Name}}")
        yield from _compare(kind, wanted, Counter(listed.split()))


def _servers(stage: Stage, stack: Stack) -> Iterator[str]:
    for slot in stage.slots():
        servers = stage.servers(slot)
        if len(servers) != stack.serving or set(servers.values()) != {"UP"}:
            yield f"HAProxy in slot {slot} has the servers {servers} for {stack.serving} replicas"


def _files(stage: Stage) -> Iterator[str]:
    """Whatever is written whole or not at all is written under a hidden name first."""
    for path in sorted(stage.state.rglob(".*")):
        if path.name not in (BELL, STATUS_BELL) and not path.name.endswith(LOCK_SUFFIX):
            yield f"file: {path.relative_to(stage.state)}"


def _leases(stage: Stage) -> Iterator[str]:
    for path in (stage.state / "controller.lock", stage.state / "leases" / stage.name):
        if is_held(path):
            yield f"lease: {path.relative_to(stage.state)}"


def _compare(what: str, wanted: Counter[str], found: Counter[str]) -> Iterator[str]:
    for name in sorted(wanted | found):
        if wanted[name] != found[name]:
            yield f"{what}: {found[name]} of {name} instead of {wanted[name]}"
