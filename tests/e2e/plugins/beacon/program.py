"""The demo's server with a UDP port; it runs in that one's image and is never imported."""

import asyncio
import os
import sys

from aiohttp import web

sys.path.insert(0, "/usr/local/lib/whoami")
import server  # type: ignore[import-not-found]

PORT = 5353


class Echo(asyncio.DatagramProtocol):
    def connection_made(self, transport: asyncio.DatagramTransport) -> None:  # type: ignore[override]
        self.transport = transport

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self.transport.sendto(os.environ["VERSION"].encode() + b" " + data, addr)


class Beacon(server.Whoami):  # type: ignore[misc]
    def application(self) -> web.Application:
        app: web.Application = super().application()
        app.on_startup.append(self.listen)
        return app

    async def listen(self, app: web.Application) -> None:
        loop = asyncio.get_running_loop()
        await loop.create_datagram_endpoint(Echo, local_addr=("0.0.0.0", PORT))


server.Whoami = Beacon
server.main()
