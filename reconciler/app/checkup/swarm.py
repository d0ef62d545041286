"""Checks a Swarm, as far as one of its managers can see: quorum, ports, the size of packets, clocks, images."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Final

from reconciler.app.checkup.finding import Finding, fail, ok, warn
from reconciler.threads import side_by_side

if TYPE_CHECKING:
    from reconciler.core.plan.draining import Placed
    from reconciler.engines.nodes import Node, SwarmFacts

__all__ = ["check_swarm", "connects", "interface_mtu"]

OF_MANAGERS: Final = 2377
OF_ALL: Final = 7946
"""Where nodes gossip, by TCP and UDP."""
OF_OVERLAYS: Final = 4789
"""VXLAN by UDP, which answers nothing that could be tried."""
CONNECT_SECONDS: Final = 2.0
SKEW_SECONDS: Final = 5.0
"""More than what passes between the word of a node and its record by the leader."""

Connects = Callable[[str, int], bool]
"""Whether something listens at an address and a port."""


def connects(address: str, port: int) -> bool:
    """Whether a connection by TCP can be opened in time."""
    try:
        with socket.create_connection((address, port), CONNECT_SECONDS):
            return True
    except OSError:
        return False


def interface_mtu(address: str) -> int | None:
    """The largest packet of this machine's interface with an address; None if it has none."""
    import psutil

    names = [
        name
        for name, addresses in psutil.net_if_addrs().items()
        if any(each.address.partition("%")[0] == address for each in addresses)
    ]
    sizes = psutil.net_if_stats()
    return next((sizes[name].mtu for name in names if name in sizes), None)


def check_swarm(
    nodes: Sequence[Node],
    placed: Sequence[Placed],
    facts: SwarmFacts,
    connects: Connects = connects,
    mtu_of: Callable[[str], int | None] = interface_mtu,
) -> Iterator[Finding]:
    """All checks of a Swarm that answers."""
    yield from _quorum([node for node in nodes if node.is_manager])
    yield from _states(nodes)
    yield from _ports([node for node in nodes if node.is_up and not node.is_own], connects)
    own = next((node for node in nodes if node.is_own), None)
    yield from _sizes(facts.overlays, mtu_of(own.address) if own else None)
    yield from _clocks(nodes, facts.skews)
    yield from _images(facts, placed)


def _quorum(managers: Sequence[Node]) -> Iterator[Finding]:
    check, count = "swarm: quorum", len(managers)
    away = [node.name for node in managers if not node.is_reachable]
    spare = (count - 1) // 2
    if away:
        left = count - len(away)
        message = f"{left} of {count} managers reach each other; away: {', '.join(away)}"
        fix = "bring them back, or `docker node demote` them; see docs/runbooks/VaultQuorumAtRisk.md"
        yield (fail if left <= count // 2 + 1 else warn)(check, message, fix)
    elif count == 1:
        message = "there is one manager: if it fails, nothing is started, moved or changed"
        yield warn(check, message, "`docker node promote` two more nodes")
    elif count % 2 == 0:
        message = f"{count} managers bear the loss of {spare}, as {count - 1} would"
        yield warn(check, message, "promote one more node, or demote one: their number should be odd")
    else:
        yield ok(check, f"{count} managers, of which {spare} may fail")


def _states(nodes: Sequence[Node]) -> Iterator[Finding]:
    check = "swarm: nodes"
    for node in nodes:
        if not node.is_up:
            yield fail(check, f"{node.name} {node.problem}", "see docs/runbooks/VaultNodeDown.md")
        elif not node.takes_tasks and node.drain is None:
            message = f"{node.name} takes no instance: its availability is {node.availability.value}"
            yield warn(check, message, f"`vaultctl uncordon {node.name}` when the work on it is done")
    if all(node.is_up for node in nodes):
        yield ok(check, f"{len(nodes)} are up")


def _ports(others: Sequence[Node], connects: Connects) -> Iterator[Finding]:
    check = "swarm: ports"
    wanted = [
        (node, port)
        for node in others
        if node.address
        for port in ((OF_MANAGERS, OF_ALL) if node.is_manager else (OF_ALL,))
    ]
    answers = side_by_side(lambda each: connects(each[0].address, each[1]), wanted)
    closed = [
        f"{node.name} ({node.address}:{port})"
        for (node, port), opened in zip(wanted, answers, strict=True)
        if not opened
    ]
    if closed:
        fix = f"open {OF_MANAGERS}/tcp between managers, {OF_ALL}/tcp+udp and {OF_OVERLAYS}/udp between all nodes"
        yield fail(check, f"closed from this node: {', '.join(closed)}", fix)
    elif wanted:
        message = f"all others answer at {OF_ALL}/tcp, managers at {OF_MANAGERS}/tcp; UDP cannot be tried"
        yield ok(check, message)


def _sizes(overlays: Mapping[str, int], interface: int | None) -> Iterator[Finding]:
    check = "swarm: MTU"
    if interface is None:
        return
    large = [f"{name} ({size})" for name, size in sorted(overlays.items()) if size > interface]
    if large:
        message = (
            f"the interface of this node has {interface}, and overlays are made for more: {', '.join(large)}"
        )
        fix = (
            f'set "com.docker.network.driver.mtu": "{interface}" in driver_opts of these networks, and create them '
            "again: large packets between nodes are lost"
        )
        yield warn(check, message, fix)
    else:
        yield ok(check, f"packets of {len(overlays)} overlays fit into {interface} of this node's interface")


def _clocks(nodes: Sequence[Node], skews: Mapping[str, float]) -> Iterator[Finding]:
    check = "swarm: clocks"
    wrong = {name: skew for name, skew in sorted(skews.items()) if abs(skew) > SKEW_SECONDS}
    for name, skew in wrong.items():
        way = "ahead of" if skew > 0 else "behind"
        message = f"the clock of {name} is {abs(skew):.0f} s {way} that of the leading manager"
        yield warn(check, message, "run a time service, such as chrony or systemd-timesyncd, on each node")
    if skews and not wrong:
        unknown = sorted({node.name for node in nodes} - skews.keys())
        more = f"; not known of {', '.join(unknown)}, where nothing has run" if unknown else ""
        yield ok(check, f"those of {len(skews)} nodes agree within {SKEW_SECONDS:g} s{more}")


def _images(facts: SwarmFacts, placed: Sequence[Placed]) -> Iterator[Finding]:
    check = "swarm: images"
    for image, problem in sorted(facts.unavailable.items()):
        message = f"this node cannot ask the registry for {image}: {problem}"
        fix = (
            "see that the registry answers each node, and that `docker login` was done: a node that has not got the image "
            "cannot start it"
        )
        yield warn(check, message, fix)
    for image in facts.unnamed:
        message = f"{image[:19]} is in no registry, so it has to be on each node"
        yield warn(check, message, "push it to a registry that all nodes reach, and name it by that")
    lacking: dict[str, list[str]] = {}
    for each in placed:
        if each.lacks_image:
            lacking.setdefault(each.node, []).append(each.name)
    for node, names in sorted(lacking.items()):
        message = f"{node} has not got the image of {', '.join(sorted(names))}, and cannot pull it"
        yield fail(check, message, "see docs/runbooks/VaultImageMissingOnNode.md")
    if not facts.unavailable and not facts.unnamed and not lacking:
        yield ok(check, f"{len(facts.images)} are named by digest, and their registries answer this node")
