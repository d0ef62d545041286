"""A command in a container, line by line, for admins: what is typed goes to its input, what it writes comes as text.

The rules that keep other sites from a page do not hold for a WebSocket: so its origin has to be that of the page, and its
first message has to have a token of the session, as a form has.
"""

from __future__ import annotations

import asyncio
import codecs
import json
import logging
import shlex
from collections.abc import Awaitable, Mapping
from typing import TYPE_CHECKING, Any, Final

from anyio import to_thread
from starlette.requests import HTTPConnection
from starlette.responses import PlainTextResponse, Response
from starlette.websockets import WebSocket, WebSocketDisconnect
from uvicorn.protocols.utils import ClientDisconnected

from reconciler.api.errors import VaultError
from reconciler.app.finding import NotFoundError
from reconciler.core.assess.observation import State
from reconciler.web.kube.streams.messages import received
from reconciler.web.ui.service import stored_object
from reconciler.web.ui.site import Asked, Site, audited, is_allowed

if TYPE_CHECKING:
    from reconciler.engines.instances import Execution, Instance
    from reconciler.web.ui.visitors import Visitor

__all__ = ["talk", "terminal"]

DEFAULT: Final = "sh"
FIRST_SECONDS: Final = 10.0
"""How soon a connection has to say what it is for."""
LOOK_SECONDS: Final = 5.0
"""How soon it ends with its session."""
LONGEST: Final = 4096
"""Characters of a line, and of a command."""
POLICY: Final = 1008
NAMES: Final = {1: "out", 2: "err"}

_log = logging.getLogger(__name__)


def terminal(asked: Asked) -> Response:
    """The page, with the containers of the service that run."""
    stored = stored_object(asked.site, asked.kind, asked.name)
    return asked.page(
        "terminal.html",
        name=stored.name,
        home=asked.home,
        containers=[each.name for each in _containers(asked.site, stored.name)],
        chosen=asked.request.query_params.get("container", ""),
        default=DEFAULT,
        live=f"/live/terminal/{stored.name}",
    )


async def talk(site: Site, websocket: WebSocket) -> None:
    """One connection, from its request to its end."""
    await websocket.receive()
    visitor = await to_thread.run_sync(lambda: site.visitors.who(websocket))
    refusal = _refusal(site, websocket, visitor)
    if refusal is not None or visitor is None:
        await _answer(websocket, refusal or PlainTextResponse("log in first", 401))
        return
    try:
        with site.streams.one_of(visitor.client.user):
            await websocket.accept()
            await _as_long_as_valid(site, websocket, visitor, _run(site, websocket, visitor))
    except (ClientDisconnected, WebSocketDisconnect):
        # It has left.
        return
    except Exception:
        _log.exception("a terminal of the page")
        await _close(websocket)


def _refusal(site: Site, websocket: WebSocket, visitor: Visitor | None) -> Response | None:
    if not is_own(websocket):
        return PlainTextResponse("this is the terminal of another site", 403)
    if visitor is None:
        return PlainTextResponse("log in first", 401)
    if not is_allowed(Asked(site, websocket, visitor), "create", "exec"):
        return PlainTextResponse(f"your role is {visitor.client.role}, which does not include this", 403)
    if not site.streams.has_room(visitor.client.user):
        return PlainTextResponse("too many pages are open", 429)
    return None


def is_own(connection: HTTPConnection) -> bool:
    """Whether a page of this site has asked: browsers say whose page it is, and no page can lie about that."""
    host = connection.headers.get("host", "")
    return bool(host) and connection.headers.getlist("origin") == [f"https://{host}"]


async def _run(site: Site, websocket: WebSocket, visitor: Visitor) -> None:
    try:
        async with asyncio.timeout(FIRST_SECONDS):
            first = _object(await received(websocket))
    except TimeoutError:
        await websocket.close(POLICY)
        return
    if not site.visitors.has_token(visitor, str(first.get("token", ""))):
        await websocket.close(POLICY)
        return
    name, container = str(websocket.path_params["name"]), str(first.get("container", ""))
    record = {"verb": "create", "resource": "pods/exec", "name": container}
    who = visitor.client.record
    await to_thread.run_sync(lambda: audited(site, websocket, who, record, stage="asked"))
    code, reason = 500, "InternalError"
    try:
        words = words_of(str(first.get("command", "")))
        found = await to_thread.run_sync(lambda: _containers(site, name))
        instance = next((each for each in found if each.name == container), None)
        if instance is None:
            raise NotFoundError(f"{name} has no such container that runs")
        command = await site.running.instances.execute(instance, words, stdin=True, tty=False)
        try:
            await _exchange(websocket, command)
        finally:
            command.close()
        code, reason = 101, ""
    except VaultError as error:
        code, reason = 409, str(error.reason)
        await _send(websocket, {"problem": site.application.secrets.hide(str(error), name)})
    finally:
        audited(site, websocket, who, {**record, "code": code, "reason": reason}, stage="done")
    await websocket.close()


def words_of(text: str) -> list[str]:
    """The words of a command line. Raises VaultError."""
    try:
        words = shlex.split(text)
    except ValueError as error:
        raise VaultError(f"the command cannot be read: {error}") from None
    if not words or len(text) > LONGEST or "\0" in text:
        raise VaultError(f"name a command of at most {LONGEST} characters, such as {DEFAULT}")
    return words


async def _exchange(websocket: WebSocket, command: Execution) -> None:
    talking = [asyncio.create_task(each(websocket, command)) for each in (_output, _input)]
    try:
        await asyncio.wait(talking, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in talking:
            task.cancel()
        results = await asyncio.gather(*talking, return_exceptions=True)
    for result in results:
        if isinstance(result, VaultError):
            raise result


async def _output(websocket: WebSocket, command: Execution) -> None:
    # A character may come in two pieces.
    decoders = {stream: codecs.getincrementaldecoder("utf-8")("replace") for stream in NAMES}
    async for stream, data in command.output():
        if text := decoders[stream].decode(data):
            await _send(websocket, {NAMES[stream]: text})
    await _send(websocket, {"ended": await command.exit_code()})


async def _input(websocket: WebSocket, command: Execution) -> None:
    while True:
        message = _object(await received(websocket))
        line = message.get("line")
        if isinstance(line, str):
            await command.write(line[:LONGEST].replace("\0", "").encode(errors="replace") + b"\n")
        elif message.get("end") is True:
            await command.end_input()


async def _as_long_as_valid(site: Site, websocket: WebSocket, visitor: Visitor, run: Awaitable[None]) -> None:
    running = asyncio.ensure_future(run)
    try:
        while not (await asyncio.wait({running}, timeout=LOOK_SECONDS))[0]:
            if site.bells.closed or not await to_thread.run_sync(site.visitors.is_there, visitor):
                running.cancel()
                await websocket.close(POLICY)
                break
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
    if not running.cancelled():
        running.result()


def _containers(site: Site, name: str) -> list[Instance]:
    return sorted(
        (each for ref, each in site.running.owned() if ref.label == name and each.state is State.RUNNING),
        key=lambda each: each.name,
    )


def _object(message: bytes) -> Mapping[str, Any]:
    try:
        found = json.loads(message)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


async def _send(websocket: WebSocket, message: Mapping[str, Any]) -> None:
    await websocket.send_text(json.dumps(message))


async def _answer(websocket: WebSocket, response: Response) -> None:
    try:
        await websocket.send_denial_response(response)
    except (RuntimeError, ClientDisconnected):
        return


async def _close(websocket: WebSocket) -> None:
    try:
        await websocket.close(1011)
    except (RuntimeError, ClientDisconnected):
        return
