"""The demo's web server: it says who answered, so that load balancing and rollouts can be watched with curl.

It runs inside its image on Debian's python3-aiohttp and is never imported by the controller. Every way in
which a real service can trouble a rollout can be asked for by environment: slow boot, no graceful stop, bad
releases.

PORT (8000), VERSION (1), PROBE_PATH (/healthz)
BOOT_SECONDS (0): not healthy before that, counted from the start of the process
GRACEFUL (1): finish running requests on SIGTERM; 0 exits at once
FAIL: `exit` ends with status 1 at start, `unhealthy` never becomes healthy
LEDGER: a file that gets a line for each request that was run, `<request id> <method> <path> <hostname>`
"""

import asyncio
import os
import signal
import socket
import sys
import time
import uuid
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from aiohttp import WSCloseCode, WSMsgType, web

GRACE_SECONDS = 60.0
"""How long running requests may still take after SIGTERM; the container's own grace is usually shorter."""
LONGEST_SECONDS = 600.0
"""Upper bound of what /slow and /stream accept: a typing error must not hold a connection for days."""
TICK_SECONDS = 0.1
REQUEST_ID = "X-Request-ID"

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass(frozen=True)
class Options:
    """What the environment asked for. Times are in seconds."""

    port: int
    version: str
    probe_path: str
    boot_seconds: float
    graceful: bool
    fail: str
    ledger: Path | None

    @classmethod
    def from_environment(cls, env: Mapping[str, str]) -> "Options":
        """Raises ValueError for a PORT or BOOT_SECONDS that is no number and for an unknown FAIL."""
        fail = env.get("FAIL", "")
        if fail not in ("", "exit", "unhealthy"):
            raise ValueError(f"FAIL is {fail!r}: use 'exit' or 'unhealthy', or leave it out")
        return cls(
            port=int(env.get("PORT") or "8000"),
            version=env.get("VERSION") or "1",
            probe_path=env.get("PROBE_PATH") or "/healthz",
            boot_seconds=float(env.get("BOOT_SECONDS") or "0"),
            graceful=env.get("GRACEFUL", "1") != "0",
            fail=fail,
            ledger=Path(env["LEDGER"]) if env.get("LEDGER") else None,
        )


class Whoami:
    """The handlers, and the two facts that change: when the process started and whether it is stopping."""

    def __init__(self, options: Options, hostname: str, started: float) -> None:
        self.options = options
        self.hostname = hostname
        self.started = started
        self.stopping = False
        self.sockets: set[web.WebSocketResponse] = set()

    def application(self) -> web.Application:
        """The routes, with the identification of every answer around them."""
        app = web.Application(middlewares=[self.identify])
        app.router.add_get(self.options.probe_path, self.health)
        app.router.add_get("/slow", self.slow)
        app.router.add_get("/stream", self.stream)
        app.router.add_get("/ws", self.websocket)
        app.router.add_post("/echo", self.echo)
        app.router.add_get("/", self.index)
        app.on_shutdown.append(self.close_sockets)
        app.on_response_prepare.append(self.sign)
        return app

    async def sign(self, request: web.Request, response: web.StreamResponse) -> None:
        """Not in the middleware: streams and WebSockets have sent their headers by the time that returns."""
        response.headers["X-Replica"] = self.hostname
        if "id" in request:
            response.headers[REQUEST_ID] = request["id"]

    @web.middleware
    async def identify(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Gives the request an id and enters it into the ledger before it runs: one that dies counts."""
        if request.path != self.options.probe_path:
            request["id"] = request.headers.get(REQUEST_ID) or uuid.uuid4().hex
            if self.options.ledger is not None:
                line = f"{request['id']} {request.method} {request.path} {self.hostname}\n"
                # One write in append mode: replicas may share the file.
                with self.options.ledger.open("a", buffering=1) as ledger:
                    ledger.write(line)
        return await handler(request)

    async def index(self, request: web.Request) -> web.Response:
        """Who answered, and what reached it after the proxy."""
        return web.json_response(
            {
                "hostname": self.hostname,
                "version": self.options.version,
                "env": {"VERSION": self.options.version},
                "request_id": request["id"],
                "headers": dict(request.headers),
            }
        )

    async def health(self, request: web.Request) -> web.Response:
        """200 between the end of the boot time and SIGTERM, 503 outside."""
        booted = time.monotonic() - self.started >= self.options.boot_seconds
        healthy = booted and not self.stopping and self.options.fail != "unhealthy"
        return web.Response(text="ok\n" if healthy else "not ready\n", status=200 if healthy else 503)

    async def slow(self, request: web.Request) -> web.Response:
        """Answers after `ms` milliseconds."""
        seconds = duration(request, "ms", default=1000, unit=0.001)
        await asyncio.sleep(seconds)
        return web.json_response({"hostname": self.hostname, "slept_seconds": seconds})

    async def stream(self, request: web.Request) -> web.StreamResponse:
        """Sends a line every 0.1 s for `seconds`, and `end` last: a client can tell a cut from an end."""
        seconds = duration(request, "seconds", default=1, unit=1)
        response = web.StreamResponse(headers={"Content-Type": "text/plain"})
        await response.prepare(request)
        for tick in range(round(seconds / TICK_SECONDS)):
            await response.write(f"{self.hostname} {tick}\n".encode())
            await asyncio.sleep(TICK_SECONDS)
        await response.write(b"end\n")
        await response.write_eof()
        return response

    async def websocket(self, request: web.Request) -> web.WebSocketResponse:
        """Echoes messages until the client closes the connection or the server stops."""
        ws = web.WebSocketResponse()
        await ws.prepare(request)
        self.sockets.add(ws)
        try:
            async for message in ws:
                if message.type is WSMsgType.TEXT:
                    await ws.send_str(message.data)
                elif message.type is WSMsgType.BINARY:
                    await ws.send_bytes(message.data)
        finally:
            self.sockets.discard(ws)
        return ws

    async def echo(self, request: web.Request) -> web.Response:
        """Returns the body with its content type."""
        content_type = request.headers.get("Content-Type", "application/octet-stream")
        return web.Response(body=await request.read(), headers={"Content-Type": content_type})

    async def close_sockets(self, app: web.Application) -> None:
        """A WebSocket has no end of its own to wait for: tell its client to come back elsewhere."""
        for ws in list(self.sockets):
            await ws.close(code=WSCloseCode.GOING_AWAY, message=b"stopping")


def duration(request: web.Request, name: str, *, default: float, unit: float) -> float:
    """The parameter `name`, a number of `unit` seconds, as seconds. Raises HTTPBadRequest out of bounds."""
    text = request.query.get(name, str(default))
    try:
        seconds = float(text) * unit
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds <= LONGEST_SECONDS:
        longest = f"{LONGEST_SECONDS / unit:.0f}"
        raise web.HTTPBadRequest(text=f"{name}={text}: give a number from 0 to {longest}\n")
    return seconds


async def serve(whoami: Whoami) -> None:
    """Serves until SIGTERM or SIGINT, then stops the way GRACEFUL says."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        # The first process of a container has no default handlers: without these the signal would be ignored.
        if whoami.options.graceful:
            loop.add_signal_handler(number, stop.set)
        else:
            loop.add_signal_handler(number, os._exit, 0)
    runner = web.AppRunner(whoami.application(), access_log=None, shutdown_timeout=GRACE_SECONDS)
    await runner.setup()
    await web.TCPSite(runner, port=whoami.options.port).start()
    await stop.wait()
    whoami.stopping = True
    await runner.cleanup()


def process_started() -> float:
    """When this process began, on the monotonic clock (proc_pid_stat(5)): Python's own start is a part of the boot."""
    ticks = int(Path("/proc/self/stat").read_text().rpartition(")")[2].split()[19])
    age = time.clock_gettime(time.CLOCK_BOOTTIME) - ticks / os.sysconf("SC_CLK_TCK")
    return time.monotonic() - age


def main() -> None:
    """Entry point of the image. Exits with status 1 for an option that makes no sense."""
    try:
        options = Options.from_environment(os.environ)
    except ValueError as error:
        sys.exit(f"whoami: {error}")
    if options.fail == "exit":
        sys.exit("whoami: FAIL=exit: this release does not start")
    asyncio.run(serve(Whoami(options, hostname=socket.gethostname(), started=process_started())))


if __name__ == "__main__":
    main()
