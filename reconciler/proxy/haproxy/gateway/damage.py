"""Pools whose files were changed or removed manually, while HAProxies have their replicas.

Such a file is written again by the next pass of the service that has the pool. A HAProxy that reads the files before that
has the pool without its replicas, or does not start.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator

from reconciler.core.assess.assessment import Assessment
from reconciler.core.plan.gateway_operations import ConfigureGateway, OnNode
from reconciler.core.plan.operations import CreateProxy, Operation, ReloadProxy, StartContainer
from reconciler.proxy.haproxy.containers import haproxy_of
from reconciler.proxy.haproxy.gateway.sight import Sight
from reconciler.proxy.haproxy.steps import gateways_of, lost_namespace

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
    gateways = gateways_of(assessment)
    reached = (each for each in proxies if each.joined is None or not lost_namespace(each, gateways))
    nodes = {each.node for each in reached if each.id in sight.damaged}
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
