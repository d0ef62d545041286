"""Pools whose files were changed or removed manually, while HAProxies have their replicas.

Such a file is written again by the next pass of the service that has the pool. A HAProxy that reads the files before that
has the pool without its replicas, or does not start.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator

from reconciler.core.assess.assessment import Assessment
from reconciler.core.assess.observation import Container
from reconciler.core.plan.gateway_operations import ConfigureGateway, OnNode
from reconciler.core.plan.operations import CreateProxy, Operation, ReloadProxy, StartContainer
from reconciler.proxy.haproxy.containers import haproxy_of, holder_of
from reconciler.proxy.haproxy.gateway.sight import Sight
from reconciler.proxy.haproxy.steps import HOLDS_NAMESPACE

__all__ = ["read_too_early"]


def read_too_early(
    operations: Collection[Operation], assessment: Assessment, sight: Sight
) -> Iterator[Operation]:
    """Those of the operations that let a HAProxy read damaged files, or replace a removed one by one without servers, and
    reloads that need what is not written yet.

    One more HAProxy is too early only where another one of that node serves with the replicas: without it, all other
    services would wait as well, and nothing is lost.
    """
    if not sight.damaged:
        return
    proxies = assessment.observed.of(haproxy_of(assessment.stack).name)
    names = {each.id for each in proxies}
    nodes = {each.node for each in proxies if each.id in sight.damaged and _is_reached(each, assessment)}
    is_written = not any(isinstance(each, ConfigureGateway) for each in operations)
    for each in operations:
        node, operation = (each.node, each.operation) if isinstance(each, OnNode) else ("", each)
        match operation:
            case ConfigureGateway():
                is_early = True
            case ReloadProxy():
                is_early = not is_written or operation.container in sight.damaged
            case CreateProxy():
                is_early = node in nodes
            case StartContainer():
                is_early = operation.container in names and node in nodes
            case _:
                is_early = False
        if is_early:
            yield each


def _is_reached(proxy: Container, assessment: Assessment) -> bool:
    """Whether requests come to it: a namespace is gone when the container that held it has ended, or was started again."""
    holder = holder_of(assessment.stack)
    if proxy.joined is None or holder is None:
        return proxy.joined is None
    holders = (each for each in assessment.observed.of(holder.name) if each.id == proxy.joined)
    return any(
        each.state in HOLDS_NAMESPACE
        and (None in (each.started, proxy.namespace) or each.started == proxy.namespace)
        for each in holders
    )
