"""The status of a VaultGateway from the results of a pass."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from types import MappingProxyType
from typing import TYPE_CHECKING

from reconciler.api.reasons import Reason
from reconciler.api.vaultgateway import GatewayNode
from reconciler.controller.report.summary import SHOWN, Outcomes, doing_of, with_outcomes
from reconciler.core.desired.stack import Role

if TYPE_CHECKING:
    from reconciler.api.vaultgateway import GatewayStatus, VaultGateway
    from reconciler.certificates.troubles import Trouble
    from reconciler.core.plan.preview import Preview
    from reconciler.core.routes.guards import Closure
    from reconciler.core.routes.table import Refusal, Table
    from reconciler.store.base import StoredObject

__all__ = ["after_pass", "is_converged", "still_routed"]


def is_converged(preview: Preview) -> bool:
    """Whether nothing is left to do or to wait for, and nothing differs."""
    plan = preview.plan
    return not (plan.operations or plan.waiting or plan.blocked or preview.unsettled)


def after_pass(
    before: GatewayStatus,
    stored: StoredObject[VaultGateway],
    preview: Preview,
    table: Table,
    refused: Sequence[Refusal],
    troubles: Sequence[Trouble] = (),
    closed: Sequence[Closure] = (),
    unread: Mapping[str, str] = MappingProxyType({}),
) -> GatewayStatus:
    """The status after a pass that could observe everything. `unread` are services whose object cannot be read, and why."""
    plan = preview.plan
    facts = {
        "observed_generation": stored.generation,
        "routes": len(table.services),
        "refused": len(refused),
        "nodes": _nodes(preview),
        "last_applied_revision": stored.origin.commit or None,
    }
    if any(getattr(before, name) != value for name, value in facts.items()):
        before = before.model_copy(update=facts)
    doing = doing_of(plan)
    if not doing and not plan.blocked:
        doing = "; ".join(map(str, preview.unsettled[:SHOWN]))
    serves = _serves(table, refused)
    outcomes: Outcomes
    if is_converged(preview):
        told = "; ".join([serves, *(text for _, text in preview.assessment.moved)])
        outcomes = {
            "Ready": ("True", Reason.SERVING, told),
            "Reconciling": ("False", Reason.CONVERGED, ""),
            "Stalled": ("False", Reason.WORKING, ""),
        }
    elif plan.blocked:
        outcomes = {
            "Ready": ("False", Reason.BLOCKED, plan.blocked),
            "Reconciling": ("True", Reason.PROGRESSING, doing) if doing else ("False", Reason.BLOCKED, ""),
            "Stalled": ("True", Reason.BLOCKED, plan.blocked),
        }
    else:
        outcomes = {
            "Ready": ("False", Reason.PROGRESSING, doing or serves),
            "Reconciling": ("True", Reason.PROGRESSING, doing or serves),
            "Stalled": ("False", Reason.WORKING, ""),
        }
    return with_outcomes(
        before, stored.generation, preview.now, outcomes | _degraded(preview, troubles, closed, unread)
    )


def still_routed(
    before: GatewayStatus, generation: int, services: Collection[str], now: datetime
) -> GatewayStatus:
    """The status of a gateway that is to be deleted while services have routes on it."""
    names = ", ".join(sorted(services))
    message = (
        f"is not deleted while services have routes on it: {names}; change or delete these first, or apply the gateway "
        "again to keep it"
    )
    outcomes: Outcomes = {
        "Ready": ("False", Reason.STILL_ROUTED, message),
        "Stalled": ("True", Reason.STILL_ROUTED, message),
    }
    return with_outcomes(before, generation, now, outcomes)


def _nodes(preview: Preview) -> tuple[GatewayNode, ...]:
    """The nodes that it runs on, or has to leave."""
    observed = preview.assessment.observed
    answering = {each.container for each in observed.proxy.instances if each.answering}
    return tuple(
        GatewayNode(
            name=node.name,
            answering=sum(each.id in answering for each in (node.seen.containers if node.seen else ())),
            message=node.problem,
        )
        for node in observed.engine.nodes
    )


def _serves(table: Table, refused: Sequence[Refusal]) -> str:
    routes, services = len(table.services), len(set(table.services.values()))
    text = f"{_count(routes, 'route')} of {_count(services, 'service')}"
    if not refused:
        return text
    first = refused[0]
    more = f" and {len(refused) - 1} more" if len(refused) > 1 else ""
    return f"{text}; refused: {first.claim.service}: {first.message}{more}"


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def _degraded(
    preview: Preview, troubles: Sequence[Trouble], closed: Sequence[Closure], unread: Mapping[str, str]
) -> Outcomes:
    wanted = sum(workload.replicas for workload in preview.stack.of(Role.PROXY))
    problems = [node for node in preview.assessment.observed.engine.nodes if node.problem]
    if problems:
        message = "; ".join(f"node {node.name}: {node.problem}" for node in problems)
        return {"Degraded": ("True", Reason.NODE_AWAY, message)}
    short = wanted - sum(instance.answering for instance in preview.assessment.observed.proxy.instances)
    if short > 0:
        message = f"of {wanted} HAProxies, {short} {'does' if short == 1 else 'do'} not answer"
        return {"Degraded": ("True", Reason.NOT_ALL_SERVING, message)}
    if unread:
        message = "; ".join(f"the routes of {name} stay as they are: {text}" for name, text in unread.items())
        return {"Degraded": ("True", Reason.OBJECT_UNREADABLE, message)}
    if troubles:
        names = len({name for each in troubles for name in each.names})
        more = f" ({names - 1} more {'host' if names == 2 else 'hosts'})" if names > 1 else ""
        message = f"{troubles[0].names[0]}{more}: {troubles[0].message}"
        return {"Degraded": ("True", Reason.CERTIFICATE_MISSING, message)}
    if closed:
        more = f" and {len(closed) - 1} more" if len(closed) > 1 else ""
        return {"Degraded": ("True", closed[0].why, f"{closed[0].service}: {closed[0].message}{more}")}
    return {"Degraded": ("False", Reason.ALL_SERVING, "")}
