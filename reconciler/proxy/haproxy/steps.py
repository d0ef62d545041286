"""The front door's steps: the gateway that holds the published ports, and the HAProxy containers in its namespace.

HAProxy is replaced like any workload, one new before one old, but the new one takes the listening sockets over from the old
one, so that not even a connection in the kernel's queue is lost. A changed published port is opened on a new gateway first;
the old gateway is removed after the last HAProxy in its namespace. One that publishes a port that the new one needs as well
has to go first: no request is served from then on until a HAProxy runs in the new one.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import datetime
from functools import cached_property
from typing import Any, Final

from reconciler.core.assess.assessment import Assessment
from reconciler.core.assess.cause import Cause
from reconciler.core.assess.health import cause_of_end
from reconciler.core.assess.moved import kept_image
from reconciler.core.assess.observation import Container, Observation, ProxyInstance, State
from reconciler.core.desired.stack import Stack, Workload
from reconciler.core.plan.front import FrontStep
from reconciler.core.plan.operations import (
    END_LOOK,
    ConfigureProxy,
    ConnectNetwork,
    CreateProxy,
    CreateReplicas,
    Operation,
    ReloadProxy,
    RemoveContainer,
    StartContainer,
    Step,
    StopContainer,
    Wait,
)
from reconciler.proxy.haproxy.containers import haproxy_of, holder_of, slot_overlay

Overlay = Callable[[int, int | None], Mapping[str, Any]]
"""The fields of the HAProxy in a slot that takes over from another slot, or from none."""

ANSWER_SECONDS: Final = 10.0
"""How long a HAProxy may be silent on its socket, as it starts or on a busy machine, before it counts as broken."""

SLOW_LOOK: Final = 2.0
"""Seconds between two checks of a HAProxy that serves and does not answer."""

ANSWER_LOOK: Final = 0.05
"""Seconds between two checks of a HAProxy that does not answer: there is no event when its socket appears."""

PORT_LOOK: Final = 2.0
"""Seconds between two checks of a port that is taken: there is no event when a process closes it."""

GATEWAY_LOOK: Final = 0.5
"""Seconds between two looks at what a gateway has to do for a stack; its pass usually wakes that sooner."""

HOLDS_NAMESPACE: Final = (State.RUNNING, State.PAUSED)
"""A gateway only holds a network namespace, which it also does while it is paused."""


def plan_front(
    assessment: Assessment, servers: Mapping[str, str], weights: Mapping[str, int], *, can_hand_over: bool
) -> FrontStep:
    """The next step of gateway and HAProxy; `servers` is what the configuration has to name from now on, and `weights` are
    those that are not the default.
    """
    configuration = _configuration(assessment.observed, servers, weights)
    return plan_containers(
        assessment, slot_overlay, configuration, "spec.ports.http", can_hand_over=can_hand_over
    )


def plan_containers(
    assessment: Assessment,
    overlay: Overlay,
    configuration: Sequence[Operation],
    field: str,
    *,
    can_hand_over: bool = True,
    taken: Collection[int] = (),
) -> FrontStep:
    """The next step of the containers of a front door.

    `overlay` gives the fields that set one HAProxy apart, `configuration` writes what they read, `field` of the spec says
    the ports. Without a workload that holds a namespace, HAProxy lives in that of the host. `taken` are slots that others
    have.
    """
    stack, observed = assessment.stack, assessment.observed
    holder = holder_of(stack)
    # A stopped one remains to be removed after it has exited.
    gateways = [
        c
        for c in (observed.of(holder.name) if holder else ())
        if not (c.stopping and c.state in HOLDS_NAMESPACE)
    ]
    home = next(
        (c for c in gateways if holder and c.state in HOLDS_NAMESPACE and holder.accepts(c.revision)), None
    )
    proxies = _Proxies(assessment, home, overlay, taken, can_hand_over=can_hand_over)
    if holder:
        gateway_operations, blocked = _gateway(holder, assessment, gateways, home, proxies, field)
    else:
        gateway_operations, blocked = [], _taken(stack, observed, field)
    # Without a namespace there is no HAProxy to read it. On the host the next one is about to.
    is_read = holder is None or home is not None or proxies.exist
    operations = [*gateway_operations, *(configuration if is_read else ()), *proxies.operations(blocked)]
    port_looks = [Wait(PORT_LOOK)] if blocked else []
    return FrontStep(Step.of([*operations, *proxies.waits(), *port_looks]), blocked)


def _taken(stack: Stack, observed: Observation, field: str) -> str:
    """What a person has to do about a port that another process has; empty if there is none."""
    taken = observed.engine.taken_ports
    for port in stack.host_ports:
        if owner := taken.get(port):
            return f"port {port} is taken by {owner}; free it or set another {field}"
    return ""


def plan_pool(assessment: Assessment, servers: Mapping[str, str], weights: Mapping[str, int]) -> FrontStep:
    """The next step of a stack whose proxies belong to a gateway: only its servers are its own."""
    awaited = assessment.observed.proxy.awaited
    waits = [Wait(GATEWAY_LOOK, awaited)] if awaited else []
    return FrontStep(Step.of([*_configuration(assessment.observed, servers, weights), *waits]))


def _gateway(
    workload: Workload,
    assessment: Assessment,
    gateways: list[Container],
    home: Container | None,
    proxies: _Proxies,
    field: str,
) -> tuple[list[Operation], str]:
    stack, observed = assessment.stack, assessment.observed
    operations: list[Operation] = []
    ended = [c for c in gateways if c.state in (State.EXITED, State.DEAD)]
    usable = [c for c in gateways if c not in ended and workload.accepts(c.revision)]
    blocked = ""
    operations += [
        RemoveContainer.on(c, cause_of_end(c, current=workload.accepts(c.revision))) for c in ended
    ]
    operations += [_stop(c, proxies.workload, Cause.OUTDATED) for c in proxies.on_host if not c.stopping]
    if not usable and not proxies.on_host and (taken := _taken(stack, observed, field)):
        blocked = taken
    elif not usable:
        cause = Cause.OUTDATED if len(gateways) > len(ended) else Cause.MISSING
        existing = len(observed.of(workload.name)) - len(ended)
        operations.append(CreateReplicas(workload=workload.name, count=1, existing=existing, cause=cause))
    # Two of them cannot open the same port.
    startable = [c for c in usable if c.state is State.CREATED] if home is None else []
    in_the_way = [
        c
        for c in observed.of(workload.name)
        if c.state in HOLDS_NAMESPACE and not c.published.isdisjoint(stack.host_ports)
    ]
    if startable and in_the_way:
        operations += [_stop(c, workload, Cause.OUTDATED) for c in in_the_way if not c.stopping]
    elif not proxies.on_host:
        operations += [StartContainer.on(c, Cause.MISSING) for c in startable[:1]]
    operations += _connections(usable, workload, len(observed.of(workload.name)) - len(ended))
    for container in gateways:
        # An old gateway is kept as long as HAProxy serves from its namespace.
        if home and container not in (home, *ended) and not proxies.live_in(container):
            cause = Cause.SURPLUS if container in usable else Cause.OUTDATED
            operations.append(
                _stop(container, workload, cause)
                if container.state in HOLDS_NAMESPACE
                else RemoveContainer.on(container, cause)
            )
    return operations, blocked


def _connections(gateways: list[Container], workload: Workload, existing: int) -> Iterable[Operation]:
    """Reconnect gateways to networks that were disconnected manually; another gateway could not open the same port
    meanwhile.
    """
    for container in gateways:
        # Also one that is paused: it holds the namespace as before.
        if container.state in HOLDS_NAMESPACE:
            for network in sorted(workload.networks - set(container.addresses)):
                yield ConnectNetwork.on(container, Cause.DETACHED, network=network, existing=existing)


def _configuration(
    observed: Observation, servers: Mapping[str, str], weights: Mapping[str, int]
) -> list[Operation]:
    """The file is written before any runtime command, so that a worker that restarts reads the same servers."""
    proxy = observed.proxy
    if proxy.written != proxy.expected:
        cause = Cause.MISSING if proxy.written is None else Cause.OUTDATED
    elif (dict(proxy.configured), dict(proxy.weights)) != (dict(servers), dict(weights)):
        cause = Cause.STALE
    else:
        return []
    named, shares = tuple(sorted(servers.items())), tuple(sorted(weights.items()))
    return [ConfigureProxy(servers=named, weights=shares, file=proxy.file, cause=cause)]


def gateways_of(assessment: Assessment) -> Mapping[str, Container]:
    """The containers that hold a namespace for the HAProxies of a stack, by their IDs."""
    holder = holder_of(assessment.stack)
    known = assessment.observed.of(holder.name) if holder else ()
    return {container.id: container for container in known if container.state in HOLDS_NAMESPACE}


def lost_namespace(proxy: Container, gateways: Mapping[str, Container]) -> bool:
    """Whether the namespace of the gateway that it joined is probably gone.

    Times are only compared for being the same: clocks may have been set in between.
    """
    gateway = gateways.get(proxy.joined or "")
    if gateway is None:
        return True
    if gateway.started is None or proxy.namespace is None:
        return False
    return proxy.namespace != gateway.started


class _Proxies:
    """The HAProxy containers of a stack, grouped by state."""

    def __init__(
        self,
        assessment: Assessment,
        home: Container | None,
        overlay: Overlay,
        taken: Collection[int],
        *,
        can_hand_over: bool,
    ) -> None:
        self._overlay = overlay
        self._taken = taken
        self._can_hand_over = can_hand_over
        stack, observed = assessment.stack, assessment.observed
        self.workload = self._workload = haproxy_of(stack)
        self._holder = holder_of(stack)
        self._engine = observed.engine
        self._expected = observed.proxy.expected
        self._home = home
        self._all = observed.of(self._workload.name)
        self._gateways = gateways_of(assessment)
        self._instances: Mapping[str, ProxyInstance] = {i.container: i for i in observed.proxy.instances}
        self._running = [c for c in self._all if c.state is State.RUNNING and not self._leaves(c)]
        self._fit = [c for c in self._running if self._fits(c)]

    @property
    def exist(self) -> bool:
        """Whether there is any HAProxy, in any state."""
        return bool(self._all)

    @property
    def on_host(self) -> list[Container]:
        """Those that open the host's ports themselves, from before the stack got a namespace that holds them."""
        held = self._holder is not None
        return [c for c in self._all if held and c.joined is None and c.state in HOLDS_NAMESPACE]

    def live_in(self, gateway: Container) -> bool:
        """Whether any HAProxy lives in the namespace of this gateway, or is about to restart in it."""
        lives = (*HOLDS_NAMESPACE, State.RESTARTING)
        return any(c.joined == gateway.id and c.state in lives for c in self._all)

    def operations(self, blocked: str = "") -> Iterable[Operation]:
        """Remove dead ones, create one at a time unless their ports are `blocked`, start, reload, stop superseded ones."""
        for container in self._all:
            if cause := self._goes(container):
                yield RemoveContainer.on(container, cause)
            elif container.state is State.CREATED:
                yield StartContainer.on(container, Cause.MISSING)
            elif container.state is State.PAUSED and not container.stopping:
                # It still has the listening sockets: connections that the kernel assigns to it would hang.
                yield StopContainer.on(container, Cause.UNHEALTHY, grace=0.0)
        yield from self._replace_mute()
        if self._holder or not blocked:
            yield from self._create()
        for container in self._fit:
            instance = self._instances.get(container.id)
            if instance and instance.answering and instance.structure != self._expected:
                yield ReloadProxy(
                    container=container.id,
                    name=container.name,
                    workload=container.workload,
                    slot=container.slot or 0,
                    cause=Cause.OUTDATED,
                )
        yield from self._end_superseded()

    def waits(self) -> Iterable[Wait]:
        """Waits: one that does not answer is polled; an event reports the end of an old one."""
        for container in self._all:
            if container.state is State.RUNNING and self._leaves(container) and not container.stopping:
                yield Wait(END_LOOK, f"{container.name} ends its connections")
        for container in self._awaited:
            yield Wait(ANSWER_LOOK, f"{container.name} does not answer yet")
        for container in self._running:
            if self._serves(container):
                yield Wait(SLOW_LOOK, f"{container.name} serves, but does not answer the controller")

    def _goes(self, container: Container) -> Cause | None:
        """Why it is removed, if it is: it has ended, or was created for something else."""
        if container.state in (State.EXITED, State.DEAD):
            return cause_of_end(container, current=self._workload.accepts(container.revision))
        if container.state is State.CREATED and not self._belongs(container):
            return Cause.OUTDATED
        if container.state is State.CREATED and self._is_twin(container):
            return Cause.SURPLUS
        return None

    def _is_twin(self, container: Container) -> bool:
        """Whether another one has its slot, whose sockets only one can have. Compose creates two of a kind at once where
        one of another slot was removed in the same moment.
        """
        if container.slot is None:
            return False
        same = [
            c for c in self._all if c.slot == container.slot and c.state not in (State.EXITED, State.DEAD)
        ]
        return container is not max(same, key=_has_sockets)

    def _replace_mute(self) -> Iterable[Operation]:
        """One that does not answer the controller may still serve, so it is stopped only after another one had time to
        start.
        """
        mute = [c for c in self._fit if self._mute(c)]
        if not self._awaited:
            for container in mute[: max(0, len(self._fit) - self._workload.replicas)]:
                yield _stop(container, self._workload, Cause.UNHEALTHY)

    @cached_property
    def _awaited(self) -> list[Container]:
        silent = (c for c in self._fit if not self._answers(c) and not self._mute(c))
        return [c for c in silent if not self._serves(c)]

    def _create(self) -> Iterable[Operation]:
        coming = [c for c in self._all if c.state in (State.CREATED, State.RESTARTING) and self._belongs(c)]
        good = [c for c in self._fit if not self._mute(c)]
        is_homeless = self._holder is not None and self._home is None
        if is_homeless or coming or self._awaited or len(good) >= self._workload.replicas:
            return
        if len(self._fit) > self._workload.replicas:
            return
        slots = {*self._taken, *(c.slot for c in self._all if c.slot is not None)}
        # Never from one that may listen in a former namespace.
        heirs = [
            c.slot
            for c in self._running
            if c.joined == self._home_id
            and (self._answers(c) or self._serves(c))
            and not self._lost_namespace(c)
        ]
        gone = sum(self._goes(c) is not None for c in self._all)
        slot = next(slot for slot in range(1, len(slots) + 2) if slot not in slots)
        handover = heirs[0] if heirs and self._can_hand_over else None
        yield CreateProxy(
            workload=self._workload.name,
            existing=len(self._all) - gone,
            slot=slot,
            gateway=self._home_id or "",
            namespace=self._home.started if self._home else None,
            handover=handover,
            overlay=self._overlay(slot, handover),
            image=kept_image(self._engine, self._workload, self._running),
            cause=Cause.OUTDATED if len(self._running) > len(self._fit) else Cause.MISSING,
        )

    def _end_superseded(self) -> Iterable[Operation]:
        ready = [
            c for c in self._fit if self._answers(c) and self._instances[c.id].structure == self._expected
        ]
        if len(ready) < self._workload.replicas:
            return
        for container in self._running:
            if container not in self._fit:
                yield _stop(container, self._workload, self._why_unfit(container))
        for container in ready[self._workload.replicas :]:
            yield _stop(container, self._workload, Cause.SURPLUS)

    def _belongs(self, container: Container) -> bool:
        at_home = self._holder is None or self._home is not None
        return at_home and container.joined == self._home_id and self._workload.accepts(container.revision)

    def _why_unfit(self, container: Container) -> Cause:
        if not self._belongs(container):
            return Cause.OUTDATED
        return Cause.SURPLUS if self._is_twin(container) else Cause.DETACHED

    @property
    def _home_id(self) -> str | None:
        """The container whose namespace they live in; None for that of the host."""
        return self._home.id if self._home else None

    def _fits(self, container: Container) -> bool:
        return self._belongs(container) and not (self._lost_namespace(container) or self._is_twin(container))

    def _lost_namespace(self, container: Container) -> bool:
        """Whether its namespace is probably no longer the one with the published port. One that was restarted since may be
        in the new one, so it is replaced but not stopped first.
        """
        if self._holder is None:
            return container.joined is not None
        return lost_namespace(container, self._gateways)

    def _leaves(self, container: Container) -> bool:
        """Whether it was asked to stop; also by a controller that died since: HAProxy reports it."""
        instance = self._instances.get(container.id)
        takes_nothing = instance is not None and not any(worker.current for worker in instance.workers)
        return container.stopping or (takes_nothing and self._answers(container))

    def _answers(self, container: Container) -> bool:
        instance = self._instances.get(container.id)
        return instance is not None and instance.answering

    def _serves(self, container: Container) -> bool:
        """Whether it takes connections although it does not answer: it is not broken, however long that lasts."""
        instance = self._instances.get(container.id)
        return instance is not None and not instance.answering and instance.serves

    def _mute(self, container: Container) -> bool:
        """Whether it has been silent for so long that it counts as broken."""
        instance = self._instances.get(container.id)
        if instance is None:
            return True
        return not (instance.answering or instance.serves) and instance.silent > ANSWER_SECONDS


def _has_sockets(container: Container) -> tuple[bool, datetime, str]:
    """Orders those of one slot: the one that was started last has its sockets, or may be started if none was."""
    is_up = container.state not in (State.CREATED, State.REMOVING)
    return is_up, container.started or container.created, container.id


def _stop(container: Container, workload: Workload, cause: Cause) -> StopContainer:
    return StopContainer.on(container, cause, grace=workload.stop_grace)
