"""`kubectl exec` and `kubectl cp`: a command in a container, its streams as channels of one WebSocket.

The first byte of each message is the channel: 0 standard input, 1 output, 2 errors, 3 how it ended, 4 the size of the
terminal, and 255 the end of another channel (version 5 of the protocol).
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from starlette.websockets import WebSocket, WebSocketDisconnect

from reconciler.api.errors import VaultError
from reconciler.web.kube.asked import is_true
from reconciler.web.kube.errors import INTERNAL_ERROR, bad_request, status
from reconciler.web.kube.streams.messages import received

if TYPE_CHECKING:
    from reconciler.engines.instances import Execution, Instance, Instances

__all__ = ["PROTOCOLS", "run_command"]

PROTOCOLS: Final = ("v5.channel.k8s.io", "v4.channel.k8s.io")
MAX_WORDS: Final = 1000
STDIN, ERROR, RESIZE, CLOSE = 0, 3, 4, 255
LARGEST: Final = 10_000
"""Columns or lines of a terminal."""


async def run_command(websocket: WebSocket, protocol: str, instances: Instances, instance: Instance) -> None:
    """Run the command that the request asks for, until it ends or the client leaves. Raises ApiError at first."""
    query = websocket.query_params
    words = query.getlist("command")
    if not words or len(words) > MAX_WORDS or any("\0" in each for each in words):
        raise bad_request("you must specify at least 1 command for the container")
    if query.get("container", instance.workload) != instance.workload:
        raise bad_request(f"container {query['container'][:80]} is not valid for pod {instance.name}")
    stdin = is_true(query.get("stdin", ""))
    command = await instances.execute(instance, words, stdin=stdin, tty=is_true(query.get("tty", "")))
    try:
        await websocket.accept(protocol)
        talking = [asyncio.create_task(_output(websocket, command, words))]
        talking.append(asyncio.create_task(_input(websocket, command, stdin=stdin)))
        try:
            await asyncio.wait(talking, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in talking:
                task.cancel()
            await asyncio.gather(*talking, return_exceptions=True)
    finally:
        command.close()


async def _output(websocket: WebSocket, command: Execution, words: Sequence[str]) -> None:
    try:
        async for stream, data in command.output():
            await websocket.send_bytes(bytes([stream]) + data)
        ended = _ended(await command.exit_code(), words)
    except VaultError as error:
        ended = status("Failure", str(error), INTERNAL_ERROR, 500)
    await websocket.send_bytes(bytes([ERROR]) + json.dumps(ended).encode())
    await websocket.close()


def _ended(code: int | None, words: Sequence[str]) -> dict[str, Any]:
    if code == 0:
        return status("Success")
    if code is None:
        return status("Failure", "it is not known how the command ended", INTERNAL_ERROR, 500)
    message = f"command terminated with non-zero exit code: exit code {code}"
    causes = {"causes": [{"reason": "ExitCode", "message": str(code)}]}
    return {**status("Failure", message, "NonZeroExitCode", 500, causes)}


async def _input(websocket: WebSocket, command: Execution, *, stdin: bool) -> None:
    try:
        while True:
            message = await received(websocket)
            channel, data = message[:1], message[1:]
            if channel == bytes([STDIN]) and stdin:
                if data:
                    await command.write(data)
            elif channel == bytes([RESIZE]):
                await _resize(command, data)
            elif channel == bytes([CLOSE]) and data == bytes([STDIN]):
                await command.end_input()
    except WebSocketDisconnect:
        return


async def _resize(command: Execution, data: bytes) -> None:
    try:
        size = json.loads(data)
        width, height = int(size["Width"]), int(size["Height"])
    except (ValueError, TypeError, LookupError, RecursionError, OverflowError):
        return
    if 0 < width <= LARGEST and 0 < height <= LARGEST:
        try:
            await command.resize(width, height)
        except VaultError:
            # It may have ended.
            return
