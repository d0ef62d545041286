"""The demo's server with two more paths; it runs in that one's image and is never imported."""

import asyncio
import sys

from aiohttp import web

sys.path.insert(0, "/usr/local/lib/whoami")
import server  # type: ignore[import-not-found]

BLOCK = 1 << 20


class Streamer(server.Whoami):  # type: ignore[misc]
    def application(self) -> web.Application:
        app: web.Application = super().application()
        app.router.add_get("/events", self.events)
        app.router.add_get("/download", self.download)
        return app

    async def events(self, request: web.Request) -> web.StreamResponse:
        """Server-sent events with numbers, until the client has enough."""
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        number = 0
        while True:
            await response.write(b"id: %d\ndata: tick\n\n" % number)
            number += 1
            await asyncio.sleep(0.1)

    async def download(self, request: web.Request) -> web.StreamResponse:
        """So many blocks of a MiB, each of which begins with its number."""
        blocks = int(request.query["blocks"])
        response = web.StreamResponse(headers={"Content-Length": str(blocks * BLOCK)})
        await response.prepare(request)
        for number in range(blocks):
            await response.write(number.to_bytes(8, "big") + bytes(BLOCK - 8))
        await response.write_eof()
        return response


server.Whoami = Streamer
server.main()
