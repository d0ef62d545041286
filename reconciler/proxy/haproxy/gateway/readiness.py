"""What tells keepalived or an outer balancer whether a HAProxy takes requests: a path that answers 200, then 503.

A HAProxy that has to leave its node closes its ports at once. What leads clients to it has to know that before, so the path
answers 503 for `graceSeconds` while everything is served as before. A server that gets no requests stands for the answer:
HAProxy knows for how long it has been in maintenance, also after a reload, and a controller that starts finds it there.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from reconciler.api.vaultgateway import GatewaySpec
from reconciler.core.assess.observation import Server
from reconciler.proxy.haproxy.stats import Process
from reconciler.proxy.haproxy.template import repeated

__all__ = ["READINESS", "READY_SERVER", "ready_answers", "ready_section", "ready_server"]

READINESS: Final = "readiness"
"""The backend of the server."""
READY_SERVER: Final = "self"

_ANSWERS: Final = f"""
    # For what leads clients here; no request of a route.
    http-request set-log-level silent if {{ path @path }}
    http-request return status 200 content-type text/plain string ready hdr Cache-Control no-store \
if {{ path @path }} {{ nbsrv({READINESS}) gt 0 }}
    http-request return status 503 content-type text/plain string leaving hdr Cache-Control no-store if {{ path @path }}
    # Clients and balancers that keep connections have to open others, elsewhere. Of HTTP/2 HAProxy 3.0 drops the header.
    http-after-response set-header Connection close if {{ nbsrv({READINESS}) eq 0 }} !{{ status 101 }}"""
_SECTION: Final = f"""

backend {READINESS} from http
    # In maintenance while this HAProxy is about to leave its node. It gets no requests.
    load-server-state-from-file global
    server {READY_SERVER} 127.0.0.1:1"""


def ready_answers(spec: GatewaySpec) -> str:
    """The rules of the frontend; empty without `spec.readiness`."""
    return repeated(_ANSWERS, [{"path": spec.readiness.path}]) if spec.readiness else ""


def ready_section(spec: GatewaySpec) -> str:
    """The backend; empty without `spec.readiness`."""
    return _SECTION if spec.readiness else ""


def ready_server(processes: Iterable[Process]) -> Server | None:
    """The server of the worker that takes requests; None if its configuration has none."""
    return next((s for process in processes if process.serving for s in process.servers), None)
