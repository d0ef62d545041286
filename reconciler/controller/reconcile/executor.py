"""Executes the operations of a plan, in order and without decision logic.

Neighbours of one kind become one call: creations one of Compose, changes of servers one of the proxy, and starts, stops
and removals are made side by side. So is what a plan has for several nodes, where each has its own operations in order. A
failure ends the pass, when the other nodes have done theirs: the next one observes and plans again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from itertools import chain, groupby
from typing import TypeVar

from reconciler.api.errors import VaultError
from reconciler.controller.reconcile.permission import always
from reconciler.controller.report.executed import Executed
from reconciler.core.desired.stack import Stack
from reconciler.core.plan.gateway_operations import (
    ChangeCertificates,
    ChangeReadiness,
    ChangeRoutes,
    ConfigureGateway,
    DeployAgent,
    DisconnectNetwork,
    DrainPool,
    EmptyPool,
    NameSlots,
    OnNode,
    WriteCertificates,
    WriteRoutes,
)
from reconciler.core.plan.operations import (
    AddServer,
    ConfigureProxy,
    ConnectNetwork,
    CreateProxy,
    CreateReplicas,
    DeleteServer,
    DrainServer,
    Operation,
    PullImage,
    RecreateContainer,
    ReloadProxy,
    RemoveContainer,
    SetWeight,
    StartContainer,
    StopContainer,
)
from reconciler.engines.base import Engine, Fronts
from reconciler.proxy.base import GatewayProxy, NewServer, Proxy
from reconciler.threads import Abreast, side_by_side

Kind = TypeVar("Kind", bound=Operation)


def execute(
    stack: Stack,
    operations: tuple[Operation, ...],
    engine: Engine,
    proxy: Proxy,
    clock: Callable[[], float],
    require: Callable[[], object] = always,
) -> Iterator[Executed]:
    """Carry out operations call by call; yields each as it ends and stops after the first that failed. `require` raises
    VaultError before a call that must not be made.
    """
    return _execute(operations, lambda batch: _carry_out(stack, batch, engine, proxy), clock, require)


def execute_gateway(
    stack: Stack,
    operations: tuple[Operation, ...],
    engine: Engine,
    gateways: GatewayProxy,
    clock: Callable[[], float],
    fronts: Fronts | None = None,
    require: Callable[[], object] = always,
    abreast: Abreast = side_by_side,
) -> Iterator[Executed]:
    """The same for the stack of a VaultGateway; `fronts` are the nodes of one that runs on several. Several of the calls
    that are made side by side may fail.
    """

    def carry_out(batch: tuple[Operation, ...]) -> None:
        match batch[0]:
            case OnNode(node=node, operation=operation) if fronts:
                with _on(node):
                    _carry_out_gateway(stack, (operation,), fronts.at(node), gateways)
            case DeployAgent(node=node) if fronts:
                fronts.deploy(node)
            case _:
                _carry_out_gateway(stack, batch, engine, gateways)

    def run(lane: tuple[Operation, ...]) -> Iterator[Executed]:
        return _execute(lane, carry_out, clock, require)

    for _, neighbours in groupby(operations, key=_shared):
        lanes = _lanes(neighbours)
        several = len(lanes) > 1
        calls = (
            chain.from_iterable(abreast(lambda lane: tuple(run(lane)), lanes)) if several else run(lanes[0])
        )
        failed = False
        for call in calls:
            failed = failed or call.error is not None
            yield call
        if failed:
            return


def _shared(operation: Operation) -> object:
    """Neighbours with equal answers may be for several proxies, of which none waits for another."""
    return type(operation) if isinstance(operation, OnNode | ChangeRoutes | ChangeCertificates) else None


def _lanes(operations: Iterable[Operation]) -> tuple[tuple[Operation, ...], ...]:
    """The operations for each node, or for each proxy, in their order."""
    lanes: dict[str, list[Operation]] = {}
    for operation in operations:
        match operation:
            case OnNode(node=where) | ChangeRoutes(container=where) | ChangeCertificates(container=where):
                lanes.setdefault(where, []).append(operation)
            case _:
                lanes.setdefault("", []).append(operation)
    return tuple(map(tuple, lanes.values()))


@contextmanager
def _on(node: str) -> Iterator[None]:
    """What goes wrong in the block says where."""
    try:
        yield
    except VaultError as error:
        if not error.message.startswith(f"node {node}: "):
            error.message = f"node {node}: {error.message}"
            error.args = (error.message,)
        raise


def _execute(
    operations: tuple[Operation, ...],
    carry_out: Callable[[tuple[Operation, ...]], None],
    clock: Callable[[], float],
    require: Callable[[], object],
) -> Iterator[Executed]:
    for _, group in groupby(operations, key=_call):
        batch = tuple(group)
        started = clock()
        try:
            require()
            carry_out(batch)
        except VaultError as error:
            yield Executed(batch, clock() - started, error)
            return
        yield Executed(batch, clock() - started)


def _call(operation: Operation) -> object:
    """Operations with equal answers share a call."""
    match operation:
        case CreateReplicas() | CreateProxy():
            return CreateReplicas
        case StartContainer():
            return StartContainer
        case StopContainer(grace=grace):
            return StopContainer, grace
        case RemoveContainer(anonymous=anonymous):
            return RemoveContainer, anonymous
        case AddServer(slots=slots) | SetWeight(slots=slots) | DrainServer(slots=slots):
            return type(operation), slots
        case DeleteServer(slots=slots, force=force):
            return DeleteServer, slots, force
    return operation


def _carry_out(stack: Stack, batch: tuple[Operation, ...], engine: Engine, proxy: Proxy) -> None:
    match batch[0]:
        case ConfigureProxy(servers=servers, weights=weights):
            proxy.configure(stack, servers, weights)
        case ReloadProxy(slot=slot):
            proxy.reload(stack, slot)
        case AddServer(slots=slots):
            new = [NewServer(o.server, o.address, o.trusted, o.weight) for o in _all(AddServer, batch)]
            proxy.add_servers(stack, slots, new)
        case SetWeight(slots=slots):
            proxy.set_weights(stack, slots, [(o.server, o.weight) for o in _all(SetWeight, batch)])
        case DrainServer(slots=slots):
            proxy.drain_servers(stack, slots, [o.server for o in _all(DrainServer, batch)])
        case DeleteServer(slots=slots, force=force):
            proxy.delete_servers(stack, slots, [o.server for o in _all(DeleteServer, batch)], force=force)
        case _:
            _carry_out_by_engine(stack, batch, engine)


def _carry_out_gateway(
    stack: Stack, batch: tuple[Operation, ...], engine: Engine, gateways: GatewayProxy
) -> None:
    match batch[0]:
        case WriteRoutes() as request:
            gateways.write_routes(stack, request)
        case WriteCertificates() as request:
            gateways.write_certificates(stack, request)
        case ChangeCertificates() as request:
            gateways.change_certificates(stack, request)
        case ConfigureGateway() as request:
            gateways.configure(stack, request)
        case NameSlots() as request:
            gateways.name_slots(stack, request)
        case ChangeRoutes() as request:
            gateways.change_routes(stack, request)
        case ChangeReadiness() as request:
            gateways.change_readiness(stack, request)
        case ReloadProxy(slot=slot):
            gateways.reload(stack, slot)
        case DrainPool() as request:
            gateways.drain_pool(stack, request)
        case EmptyPool() as request:
            gateways.empty_pool(stack, request)
        case DisconnectNetwork() as request:
            engine.disconnect(stack, request)
        case _:
            _carry_out_by_engine(stack, batch, engine)


def _carry_out_by_engine(stack: Stack, batch: tuple[Operation, ...], engine: Engine) -> None:
    match batch[0]:
        case CreateReplicas() | CreateProxy():
            engine.create(stack, tuple(o for o in batch if isinstance(o, CreateReplicas | CreateProxy)))
        case StartContainer():
            engine.start(tuple(o.container for o in _all(StartContainer, batch)))
        case PullImage(image=image):
            engine.pull(image)
        case RecreateContainer(workload=workload, image=image):
            engine.recreate(stack, workload, image)
        case StopContainer(grace=grace):
            engine.stop(tuple(o.container for o in _all(StopContainer, batch)), grace)
        case RemoveContainer(anonymous=anonymous):
            containers = tuple(o.container for o in _all(RemoveContainer, batch))
            engine.remove(containers, anonymous_volumes=anonymous)
        case ConnectNetwork() as connection:
            engine.connect(stack, connection)
        case operation:
            raise AssertionError(f"no call for {operation.kind}")


def _all(kind: type[Kind], batch: tuple[Operation, ...]) -> Iterator[Kind]:
    return (operation for operation in batch if isinstance(operation, kind))
