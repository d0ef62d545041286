"""Executes the operations of a plan, in order and without decision logic.

Neighbouring creations become one Compose call, neighbouring starts and removals are made side by side; otherwise an
operation is a call. The first failure ends the pass: the next one observes and plans again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import groupby

from reconciler.api.errors import VaultError
from reconciler.controller.report.executed import Executed
from reconciler.core.desired.stack import Stack
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
from reconciler.engines.base import Engine
from reconciler.proxy.base import Proxy


def execute(
    stack: Stack, operations: tuple[Operation, ...], engine: Engine, proxy: Proxy, clock: Callable[[], float]
) -> Iterator[Executed]:
    """Carry out operations call by call; yields each as it ends and stops after the first that failed."""
    for _, group in groupby(operations, key=_call):
        batch = tuple(group)
        started = clock()
        try:
            _carry_out(stack, batch, engine, proxy)
        except VaultError as error:
            yield Executed(batch, clock() - started, error)
            return
        yield Executed(batch, clock() - started)


def _call(operation: Operation) -> object:
    """Operations with equal answers share a call."""
    if isinstance(operation, CreateReplicas | CreateProxy):
        return CreateReplicas
    if isinstance(operation, RemoveContainer):
        return type(operation), operation.anonymous
    if isinstance(operation, StartContainer):
        return type(operation)
    return operation


def _carry_out(stack: Stack, batch: tuple[Operation, ...], engine: Engine, proxy: Proxy) -> None:
    match batch[0]:
        case CreateReplicas() | CreateProxy():
            engine.create(stack, tuple(o for o in batch if isinstance(o, CreateReplicas | CreateProxy)))
        case StartContainer():
            engine.start(tuple(o.container for o in batch if isinstance(o, StartContainer)))
        case PullImage(image=image):
            engine.pull(image)
        case RecreateContainer(workload=workload, image=image):
            engine.recreate(stack, workload, image)
        case StopContainer(container=container, grace=grace):
            engine.stop(container, grace)
        case RemoveContainer(anonymous=anonymous):
            containers = tuple(o.container for o in batch if isinstance(o, RemoveContainer))
            engine.remove(containers, anonymous_volumes=anonymous)
        case ConnectNetwork() as connection:
            engine.connect(stack, connection)
        case ConfigureProxy(servers=servers, weights=weights):
            proxy.configure(stack, servers, weights)
        case ReloadProxy(slot=slot):
            proxy.reload(stack, slot)
        case AddServer(server=server, slots=slots, address=address, trusted=trusted, weight=weight):
            proxy.add_server(stack, slots, server, address, trusted=trusted, weight=weight)
        case SetWeight(server=server, slots=slots, weight=weight):
            proxy.set_weight(stack, slots, server, weight)
        case DrainServer(server=server, slots=slots):
            proxy.drain_server(stack, slots, server)
        case DeleteServer(server=server, slots=slots, force=force):
            proxy.delete_server(stack, slots, server, force=force)
        case operation:
            raise AssertionError(f"no call for {operation.kind}")
