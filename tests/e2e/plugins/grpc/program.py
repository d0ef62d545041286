"""Speaks HTTP/2 without TLS and nothing else, as gRPC servers do: it echoes each body and ends with a trailer.

It runs in the demo's image, which has no package for HTTP/2. What a request's head says is not
read, and bodies are smaller than the window that a connection begins with.
"""

import asyncio
import socket
import struct

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, SETTINGS, PING, WINDOW_UPDATE = 0, 1, 4, 6, 8
END_STREAM, ACK, END_HEADERS = 1, 1, 4
FRAME_BYTES = 1 << 14
STATUS_200 = b"\x88"


def header(name: str, value: str) -> bytes:
    return b"\0" + b"".join(bytes([len(text)]) + text.encode() for text in (name, value))


def frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    return struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + payload


def answer(stream: int, body: bytes) -> bytes:
    head = STATUS_200 + header("content-type", "application/grpc") + header("x-replica", socket.gethostname())
    parts = [body[start : start + FRAME_BYTES] for start in range(0, len(body), FRAME_BYTES)]
    return (
        frame(HEADERS, END_HEADERS, stream, head)
        + b"".join(frame(DATA, 0, stream, part) for part in parts)
        + frame(HEADERS, END_HEADERS | END_STREAM, stream, header("grpc-status", "0"))
    )


async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    bodies: dict[int, bytes] = {}
    try:
        if await reader.readexactly(len(PREFACE)) != PREFACE:
            return
        writer.write(frame(SETTINGS, 0, 0))
        while True:
            head = await reader.readexactly(9)
            kind, flags, stream = head[3], head[4], int.from_bytes(head[5:], "big")
            payload = await reader.readexactly(int.from_bytes(head[:3], "big"))
            if kind in (SETTINGS, PING) and not flags & ACK:
                writer.write(frame(kind, ACK, 0, payload if kind == PING else b""))
            elif kind == HEADERS:
                bodies[stream] = b""
            elif kind == DATA:
                bodies[stream] += payload
                if payload:
                    size = struct.pack(">I", len(payload))
                    writer.write(frame(WINDOW_UPDATE, 0, 0, size) + frame(WINDOW_UPDATE, 0, stream, size))
            if kind in (HEADERS, DATA) and flags & END_STREAM:
                writer.write(answer(stream, bodies.pop(stream)))
    except (asyncio.IncompleteReadError, ConnectionError):
        pass
    finally:
        writer.close()


async def main() -> None:
    server = await asyncio.start_server(serve, "", 8000)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
