"""Writes through the API as events of their objects: who did what, from where. The audit log has all, also what failed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from reconciler.api.kinds import KINDS, VAULT_GATEWAY, Ref
from reconciler.api.reasons import Reason
from reconciler.app.cluster.events import Posted

__all__ = ["told"]

PODS: Final = "pods"
CERTIFICATES: Final = "certificates"
DONE: Final = range(101, 300)
FORBIDDEN: Final = 403


def told(record: Mapping[str, Any], owner: Callable[[str], Ref | None]) -> Posted | None:
    """The event of a record of the audit log; None for one that is no event. `owner` is the object of a Pod."""
    code = record.get("code")
    is_over = record.get("stage") in ("done", "refused")
    if not is_over or record.get("dryRun") or not (code in DONE or code == FORBIDDEN):
        return None
    ref = _about(record, owner)
    if ref is None:
        return None
    resource, way = record["resource"], record["way"]
    named = resource.partition("/")[0].partition(".")[0] in (PODS, CERTIFICATES)
    what = f"{resource} {record['name']}" if named else resource
    who = f"{record['user']} ({way} {record[way]}, role {record['role'] or 'none'})"
    message = f"{record['verb']} of {what} by {who} from {record['client']}"
    if code == FORBIDDEN:
        return Posted(ref, "Warning", Reason.WRITE_REFUSED, message)
    return Posted(ref, "Normal", Reason.WRITTEN, message)


def _about(record: Mapping[str, Any], owner: Callable[[str], Ref | None]) -> Ref | None:
    # A login to the page is about no object.
    plural, name = record.get("resource", "").partition("/")[0].partition(".")[0], record.get("name", "")
    if not name:
        return None
    if plural == PODS:
        return owner(name)
    if plural == CERTIFICATES:
        # A certificate belongs to the gateway with which its name begins.
        return Ref(VAULT_GATEWAY, name.rpartition(".")[0])
    return next((Ref(kind, name) for kind in KINDS.values() if kind.plural == plural), None)
