"""It runs in the demo's image and is never imported."""

import asyncio
import os
import socket
import ssl
import tempfile

NAME = f"{socket.gethostname()} {os.environ['VERSION']}\n".encode()


async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while await reader.readline():
            writer.write(NAME)
    except OSError:
        pass
    finally:
        writer.close()


async def main() -> None:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    with tempfile.NamedTemporaryFile("w") as file:
        file.write(os.environ["PEM"])
        file.flush()
        context.load_cert_chain(file.name)
    server = await asyncio.start_server(serve, "", 8000, ssl=context)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
