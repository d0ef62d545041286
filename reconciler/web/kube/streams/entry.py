"""WebSockets of the API: finds out who asks for what, as for other requests, and hands over to what talks then."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from anyio import to_thread
from starlette.responses import JSONResponse
from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocket, WebSocketDisconnect
from uvicorn.protocols.utils import ClientDisconnected

from reconciler.api.errors import TemporaryError, VaultError
from reconciler.api.kinds import NAMESPACE
from reconciler.core.assess.observation import State
from reconciler.web.kube import access
from reconciler.web.kube.asked import place_of
from reconciler.web.kube.errors import (
    INTERNAL_ERROR,
    ApiError,
    bad_request,
    forbidden,
    not_found,
    unknown_path,
)
from reconciler.web.kube.served import PODS, served_at
from reconciler.web.kube.streams import commands, forwarding
from reconciler.web.server import CLIENT_CERTIFICATE

if TYPE_CHECKING:
    from reconciler.api.kinds import Ref
    from reconciler.app.cluster.running import Running
    from reconciler.engines.instances import Instance
    from reconciler.web.kube.clients.clients import Clients
    from reconciler.web.kube.fairness import Streaming

__all__ = ["Streams", "destination"]

EXEC, FORWARD = "exec", "portforward"
POLICY: Final = 1008

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Streams:
    """Answers the WebSockets of the API."""

    running: Running
    clients: Clients
    counted: Streaming
    now: Callable[[], datetime]
    audit: Callable[[Mapping[str, Any]], None]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Talk until one side ends it."""
        websocket = WebSocket(scope, receive, send)
        await websocket.receive()
        try:
            await self._talk(websocket)
        except (ClientDisconnected, WebSocketDisconnect):
            # It has gone before its stream was open.
            return
        except ApiError as error:
            await _deny(websocket, error)
        except TemporaryError as error:
            await _deny(websocket, ApiError(503, "ServiceUnavailable", str(error), {"retryAfterSeconds": 1}))
        except VaultError as error:
            await _deny(websocket, ApiError(500, INTERNAL_ERROR, str(error)))
        except Exception:
            _log.exception("a stream of the Kubernetes API")
            message = "this is a defect of the controller; its log has the details"
            await _deny(websocket, ApiError(500, INTERNAL_ERROR, message))

    async def _talk(self, websocket: WebSocket) -> None:
        client = await self.clients.identify(
            websocket.headers.getlist("authorization"), websocket.scope["state"].get(CLIENT_CERTIFICATE)
        )
        place = place_of(tuple(websocket.url.path.strip("/").split("/")))
        served = served_at(place.group, place.version, place.resource) if place else None
        part = place.subresource if place else None
        if place is None or served != PODS or not place.name or part not in (EXEC, FORWARD):
            raise unknown_path()
        record = {
            "time": self.now().isoformat(),
            **client.record,
            "client": websocket.client.host if websocket.client else "",
            "verb": "create",
            "resource": f"{served.plural}/{part}",
            "name": place.name,
        }
        try:
            access.refuse_impersonation(client, websocket.headers)
            access.authorize(client, "create", served, place.namespace, place.name, part)
        except ApiError as error:
            refused = {"stage": "refused", "code": error.code, "reason": error.reason}
            await to_thread.run_sync(self.audit, {**record, **refused})
            raise
        code, reason = 500, INTERNAL_ERROR
        await to_thread.run_sync(self.audit, {**record, "stage": "asked"})
        try:
            if place.namespace != NAMESPACE:
                raise not_found("", "namespaces", place.namespace or "")
            with self.counted.one_of(client.user):
                talk = self._found(websocket, place.name, part)
                if not await self.clients.while_valid(client, talk):
                    await websocket.close(POLICY)
            code, reason = 101, ""
        except ApiError as error:
            code, reason = error.code, error.reason
            raise
        finally:
            self.audit({**record, "stage": "done", "code": code, "reason": reason})

    async def _found(self, websocket: WebSocket, name: str, part: str) -> None:
        instance, host = await destination(self.running, name, part)
        protocols = commands.PROTOCOLS if part == EXEC else forwarding.PROTOCOLS
        offered = websocket.scope["subprotocols"]
        protocol = next((each for each in protocols if each in offered), None)
        if protocol is None:
            raise bad_request(f"no protocol of the request is served; there are: {', '.join(protocols)}")
        if part == EXEC:
            await commands.run_command(websocket, protocol, self.running.instances, instance)
            return
        if protocol == forwarding.SPDY:
            await forwarding.forward_spdy(websocket, host, name)
        else:
            await forwarding.forward_channels(websocket, protocol, host, name)


async def destination(running: Running, name: str, part: str) -> tuple[Instance, str]:
    """The container of that name, and its address where ports are forwarded. Raises ApiError if it takes no streams."""
    owned = await to_thread.run_sync(running.owned)
    instance = next((each for _, each in owned if each.name == name), None)
    if instance is None:
        raise not_found("", PODS.plural, name)
    if instance.state is not State.RUNNING:
        raise bad_request(f"{name} does not run: it is {instance.state.value}")
    return instance, _address(instance, owned) if part == FORWARD else ""


def _address(instance: Instance, owned: list[tuple[Ref, Instance]]) -> str:
    """Where the ports of a container are. Raises ApiError for one that has none of its own."""
    if instance.on_host:
        # Its ports are those of the machine, and so are those of every other program on it.
        why = "it is on the network of the host, whose ports are not forwarded"
        raise forbidden("", "pods/portforward", instance.name, why)
    if instance.joined:
        instance = next((each for _, each in owned if each.id == instance.joined), instance)
    if not instance.addresses:
        raise bad_request(f"unable to forward ports: {instance.name} has no network")
    return instance.addresses[0]


async def _deny(websocket: WebSocket, error: ApiError) -> None:
    """Answer with a Status, or, once the request was accepted, by closing."""
    try:
        await websocket.send_denial_response(JSONResponse(error.document(), error.code, dict(error.headers)))
    except (RuntimeError, ClientDisconnected):
        return
