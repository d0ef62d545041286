"""The Kubernetes API under fire: requests as calls, bytes on a connection, and WebSockets with broken frames.

Everything is written to a state directory to throw away, and there is no engine. What a handler raises is a find, and so is
each error in the log; forwarded ports lead to an echo in this process.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import socket
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random
from typing import Final
from unittest import mock
from urllib.parse import quote

from reconciler.store.base import refs
from reconciler.web.kube.streams import forwarding
from reconciler.web.kube.streams.commands import PROTOCOLS as COMMANDS
from reconciler.web.kube.streams.spdy import DICTIONARY
from reconciler.web.server import Server
from tests.fuzz import seeds
from tests.fuzz.mutate import NASTY, mutate_bytes, mutate_data, mutate_text
from tests.web.kube.in_process import NONE, ROLES, InProcess

__all__ = ["SHARES", "end", "raw_bytes", "request", "websocket"]

SHARES: Final = {"API, requests": 0.8, "API, bytes": 0.1, "API, WebSockets": 0.1}
"""Connections take longer than calls, mostly to wait."""
KEPT: Final = 200
"""Inputs before the objects that they have made are removed."""
PATIENCE: Final = 5.0
SILENCE: Final = 0.03
"""A server that says nothing for so long waits for more: then the connection is ended."""
NOWHERE: Final = "fe80::1"
"""Nothing can be connected to here, should the echo no longer be there."""

_VAULT: Final = "/apis/vault.internal/v1alpha1/namespaces/default"
_POD: Final = "/api/v1/namespaces/default/pods/vault-files-web-1"
_PATHS: Final = (
    f"{_VAULT}/vaultservices", f"{_VAULT}/vaultservices/files", f"{_VAULT}/vaultservices/files/scale",
    f"{_VAULT}/vaultservices/files/status", f"{_VAULT}/vaultgateways", f"{_VAULT}/vaultgateways/front",
    "/apis/vault.internal/v1alpha1/vaultservices", "/api/v1/namespaces/default/events", "/api/v1/namespaces/default",
    "/api/v1/nodes", "/api/v1/namespaces/default/pods", _POD, f"{_POD}/log", f"{_POD}/exec", f"{_POD}/portforward",
    "/apis/apiextensions.k8s.io/v1/customresourcedefinitions", "/apis/metrics.k8s.io/v1beta1/nodes",
    "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", "/apis/authentication.k8s.io/v1/selfsubjectreviews",
    "/openapi/v3", "/openapi/v3/api/v1", "/openapi/v2", "/version", "/api", "/apis", "/apis/vault.internal", "/healthz",
)  # fmt: skip
_METHODS: Final = (
    "GET",
    "GET",
    "POST",
    "PUT",
    "PATCH",
    "PATCH",
    "DELETE",
    "HEAD",
    "OPTIONS",
    "TRACE",
    "G\0T",
)
_OPTIONS: Final = (
    ("labelSelector", "team=a,x in (1,2),!y"), ("fieldSelector", "metadata.name=files,metadata.namespace!=x"),
    ("limit", "1"), ("continue", "eyJ2IjogMSwgImFmdGVyIjogImEifQ=="), ("resourceVersion", "1"),
    ("resourceVersionMatch", "NotOlderThan"), ("watch", "1"), ("allowWatchBookmarks", "true"), ("timeoutSeconds", "0"),
    ("sendInitialEvents", "true"), ("dryRun", "All"), ("fieldManager", "me"), ("fieldValidation", "Strict"),
    ("force", "true"), ("propagationPolicy", "Orphan"), ("includeObject", "Object"), ("tailLines", "1"),
    ("sinceTime", "2026-05-01T12:00:00Z"), ("sinceSeconds", "10"), ("limitBytes", "10"), ("follow", "1"),
    ("previous", "1"), ("command", "sh"), ("stdin", "1"),
    ("tty", "1"), ("container", "web"), ("ports", "80"),
)  # fmt: skip
_TYPES: Final = (
    "application/json", "application/json-patch+json", "application/merge-patch+json", "application/apply-patch+yaml",
    "application/strategic-merge-patch+json", "application/vnd.kubernetes.protobuf", "application/yaml", "",
)  # fmt: skip
_ACCEPTED: Final = (
    "*/*", "application/json", "application/json;as=Table;v=v1;g=meta.k8s.io,application/json",
    "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io", "application/vnd.kubernetes.protobuf",
    "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList",
)  # fmt: skip
_PATCHES: Final = (
    [{"op": "add", "path": "/spec/env/A~1B", "value": "x"}, {"op": "test", "path": "/metadata/name", "value": "files"}],
    [{"op": "move", "from": "/spec/env", "path": "/metadata/labels"}, {"op": "remove", "path": "/spec/replicas"}],
    # What these come to is larger than they are.
    [{"op": "copy", "from": "/spec", "path": f"/spec/env{number}"} for number in range(40)],
    [{"op": "add", "path": "/spec" + "/a" * number, "value": {}} for number in range(1, 70)],
    {"spec": {"replicas": 2, "env": {"A": None}}, "metadata": {"finalizers": ["a.io/b"], "resourceVersion": "1"}},
    {"metadata": {"managedFields": [{"manager": "m", "operation": "Apply", "fieldsV1": {"f:spec": {"f:env": {}}}}]}},
    {"spec": {"resourceAttributes": {"verb": "get", "resource": "pods"}}}, {"preconditions": {"uid": "x"}},
    {"spec": {"replicas": 3}, "kind": "Scale", "apiVersion": "autoscaling/v1", "metadata": {"name": "files"}},
    {"involvedObject": {"kind": "VaultService", "name": "files"}, "type": "Normal", "reason": "A", "message": "b"},
)  # fmt: skip
_KEYS: Final = (
    "metadata",
    "spec",
    "name",
    "op",
    "path",
    "value",
    "from",
    "uid",
    "kind",
    "env",
    "replicas",
    "annotations",
)


class _Errors(logging.Handler):
    """What was logged as an error."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.said: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.said.append(logging.Formatter().format(record))


class _Site:
    """An API for all inputs of one directory, until `end`."""

    _open: dict[Path, _Site] = {}  # noqa: RUF012 - one for each directory

    def __init__(self, directory: Path) -> None:
        home = directory / "kubernetes"
        home.mkdir()
        self.api = InProcess(home, address=NOWHERE)
        self._inputs = 0
        self._server: Server | None = None

    @classmethod
    def of(cls, directory: Path) -> _Site:
        if directory not in cls._open:
            cls._open[directory] = cls(directory)
        site = cls._open[directory]
        site._inputs += 1
        if site._inputs % KEPT == 0:
            for ref in refs(site.api.application.objects):
                site.api.application.objects.of(ref.kind).remove(ref.name)
            site.api.begin()
            site.api.instances.forget()
        return site

    @property
    def address(self) -> tuple[str, int]:
        """Where it is served, without TLS."""
        if self._server is None:
            self._server = Server(self.api.app, port=0, websockets=True)
            self._server.start()
        return self._server.host, self._server.port

    def close(self) -> None:
        """End it; what is still being answered may be cut."""
        if self._server is not None:
            self._server.stop()
        self.api.__exit__(None, None, None)


def end(directory: Path) -> None:
    """End what was served from a directory."""
    if (site := _Site._open.pop(directory, None)) is not None:
        site.close()


def request(random: Random, directory: Path) -> None:
    """A request as a call: it has passed the parser of HTTP."""
    site = _Site.of(directory)
    query = "&".join(f"{quote(name)}={quote(value, errors='replace')}" for name, value in _query(random))
    headers = [
        (b"accept", _text(random, _ACCEPTED)),
        (b"content-type", _text(random, _TYPES)),
        *_login(site, random),
    ]
    if random.randrange(8) == 0:
        names = [b"authorization", b"user-agent", b"warning", b"impersonate-user"]
        headers.append((random.choice(names), _text(random, NASTY)))
    answer = site.api.call(
        random.choice(_METHODS[:-1]), _path(random), query.encode(), headers, _body(random)
    )
    assert answer.code < 500, answer
    assert seeds.CANARY.encode() not in answer.content
    if answer.code >= 400 and answer.content:
        status = json.loads(answer.content)
        assert (status["kind"], status["code"]) == ("Status", answer.code)
        assert status["reason"]
        assert status["message"]


def raw_bytes(random: Random, directory: Path) -> None:
    """Bytes on a connection: broken lines, lengths, chunks, and two requests in one."""
    site = _Site.of(directory)
    sent = b"".join(_http(site, random) for _ in range(random.randint(1, 2)))
    if random.randrange(2):
        at = random.randrange(len(sent) + 1)
        sent = sent[:at] + _text(random, NASTY) + sent[min(len(sent), at + random.randrange(12)) :]
    with _no_errors():
        answer = _talk(site.address, sent)
        assert not answer or answer.startswith(b"HTTP/1.1 ")
        # The next client is served.
        assert _talk(site.address, _HEALTH).endswith(b"ok")


def websocket(random: Random, directory: Path) -> None:
    """A WebSocket of a command or a port: odd handshakes, odd frames, odd SPDY in them."""
    site = _Site.of(directory)
    part, protocols = random.choice((("exec", COMMANDS), ("portforward", forwarding.PROTOCOLS)))
    path = f"{_POD}/{part}" if random.randrange(8) else _path(random)
    query = "&".join(
        f"{name}={quote(value, errors='replace')}"
        for name, value in (*_query(random), ("command", "sh"), ("stdin", "1"), ("ports", "80"))
    )
    protocol = random.choice(protocols)
    if random.randrange(8) == 0:
        protocol = mutate_text(protocol, random, protocols)
    lines = [
        f"GET {quote(path, errors='replace')}?{query} HTTP/1.1",
        "Host: vault",
        "Connection: Upgrade",
        "Upgrade: websocket",
        "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
        f"Sec-WebSocket-Protocol: {' '.join(protocol.split())}",
        *(f"{name.decode()}: {value.decode('latin-1')}" for name, value in _login(site, random)),
    ]
    if random.randrange(6) == 0:
        at = random.randrange(1, len(lines))
        lines[at] = " ".join(mutate_text(lines[at], random, lines).split("\r\n"))
    head = "\r\n".join(lines).encode("utf-8", "replace") + b"\r\n\r\n"
    frames = [_frame(random, _message(random, part)) for _ in range(random.randint(0, 5))]
    with _no_errors(), mock.patch.object(forwarding, "connect", _echo):
        _talk(site.address, head, b"".join(frames))
        assert _talk(site.address, _HEALTH).endswith(b"ok")


_HEALTH: Final = b"GET /healthz HTTP/1.1\r\nHost: vault\r\nConnection: close\r\n\r\n"


@contextmanager
def _no_errors() -> Iterator[None]:
    handler = _Errors()
    root = logging.getLogger()
    root.addHandler(handler)
    try:
        yield
    finally:
        root.removeHandler(handler)
    assert not handler.said, "\n".join(handler.said)


def _talk(address: tuple[str, int], *texts: bytes) -> bytes:
    """Send texts, each after the answer to the one before; all that came back until the server has closed."""
    found = bytearray()
    with socket.create_connection(address, PATIENCE) as connection:
        try:
            for text in texts:
                connection.sendall(text)
                connection.settimeout(SILENCE)
                try:
                    while piece := connection.recv(65536):
                        found += piece
                except TimeoutError:
                    pass
                connection.settimeout(PATIENCE)
            connection.shutdown(socket.SHUT_WR)
            while piece := connection.recv(65536):
                found += piece
        except OSError as error:
            # The server may end a connection in the middle of what is sent.
            if isinstance(error, TimeoutError):
                raise
    return bytes(found)


async def _echo(host: str, port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A connection to oneself."""
    ours, theirs = socket.socketpair()
    theirs.close()
    return await asyncio.open_connection(sock=ours)


def _path(random: Random) -> str:
    path = random.choice(_PATHS)
    return path if random.randrange(4) else mutate_text(path, random, _PATHS)


def _query(random: Random) -> list[tuple[str, str]]:
    found = random.sample(_OPTIONS, random.choice((0, 0, 1, 2, 3, 5)))
    return [
        (
            name,
            mutate_text(value, random, [each for _, each in _OPTIONS]) if random.randrange(3) == 0 else value,
        )
        for name, value in found
    ]


def _login(site: _Site, random: Random) -> list[tuple[bytes, bytes]]:
    role = random.choice((*ROLES, "admin", "admin", "edit", NONE, None))
    if role is not None and random.randrange(16) == 0:
        return [
            (
                b"authorization",
                mutate_bytes(f"Bearer {site.api.tokens[role]}", random, NASTY).replace(b"\n", b""),
            )
        ]
    return list(site.api.login(role))


def _text(random: Random, texts: tuple[str, ...]) -> bytes:
    text = random.choice(texts)
    return (
        mutate_bytes(text, random, texts)
        if random.randrange(6) == 0
        else text.encode("utf-8", "surrogatepass")
    )


def _body(random: Random) -> bytes:
    match random.randrange(6):
        case 0:
            return b""
        case 1:
            return mutate_bytes(random.choice(seeds.MANIFESTS), random, seeds.MANIFESTS)
        case 2:
            return os.urandom(0) + random.randbytes(random.randrange(60))
        case 3:
            text = json.dumps(random.choice(_PATCHES))
            return mutate_bytes(text, random, [json.dumps(each) for each in _PATCHES])
        case _:
            changed = mutate_data(random.choice(_PATCHES), random, _KEYS)
            try:
                return json.dumps(changed).encode()
            except (TypeError, ValueError):
                return repr(changed)[:4000].encode("utf-8", "surrogatepass")


def _http(site: _Site, random: Random) -> bytes:
    body = _body(random)
    length = (
        str(len(body))
        if random.randrange(4)
        else random.choice(("-1", "0", "99999999999999999999", "1e3", " ", "7"))
    )
    headers = [
        b"Host: vault",
        b"Content-Length: " + length.encode(),
        b"Content-Type: " + _text(random, _TYPES),
        b"Accept: " + _text(random, _ACCEPTED),
        *(name + b": " + value for name, value in _login(site, random)),
    ]
    if random.randrange(4) == 0:
        headers[1] = b"Transfer-Encoding: chunked"
        body = b"%x\r\n%s\r\n%s\r\n\r\n" % (len(body), body, random.choice((b"0", b"-1", b"", b"0;x=y")))
    if random.randrange(4) == 0:
        headers.append(
            random.choice((b"Expect: 100-continue", b"Connection: close", b"X: " + b"a" * 20_000, b"X : y"))
        )
    random.shuffle(headers)
    target = quote(_path(random), errors="replace")
    query = "&".join(f"{name}={quote(value, errors='replace')}" for name, value in _query(random))
    version = random.choice(("1.1", "1.1", "1.1", "1.0", "2", "9.9"))
    line = f"{random.choice(_METHODS)} {target}?{query} HTTP/{version}".encode()
    return b"\r\n".join((line, *headers)) + b"\r\n\r\n" + body


def _frame(random: Random, content: bytes) -> bytes:
    """A frame as a client sends it; some have no mask, an unknown type, or a length that is a lie."""
    kind = random.choice((1, 2, 2, 2, 2, 0, 8, 9, 10, 3, 15))
    first = (0x80 if random.randrange(8) else 0) | (0x40 if random.randrange(16) == 0 else 0) | kind
    length = len(content) if random.randrange(8) else random.choice((0, 1, 125, 126, 2**16, 2**40, 2**63))
    masked = 0x80 if random.randrange(16) else 0
    if length < 126:
        head = struct.pack(">BB", first, masked | length)
    elif length < 2**16:
        head = struct.pack(">BBH", first, masked | 126, length)
    else:
        head = struct.pack(">BBQ", first, masked | 127, length)
    key = random.randbytes(4)
    hidden = bytes(byte ^ key[at % 4] for at, byte in enumerate(content))
    return head + (key + hidden if masked else content)


def _message(random: Random, part: str) -> bytes:
    if part == "exec":
        channel = random.choice((0, 0, 4, 255, 1, 9))
        size = json.dumps(mutate_data({"Width": 80, "Height": 24}, random, ["Width"]), default=str).encode()
        return bytes([channel]) + random.choice((size, b"\0", b"hello\n", random.randbytes(20), b""))
    names = {
        "streamtype": random.choice(("data", "error", "x")),
        "port": "80",
        "requestid": str(random.randrange(3)),
    }
    names = mutate_data(names, random, ["port"]) if random.randrange(4) == 0 else names
    pairs = b"".join(
        struct.pack(">L", len(each)) + each
        for name, value in (names.items() if isinstance(names, dict) else ())
        for each in (str(name).encode("utf-8", "replace"), str(value).encode("utf-8", "replace"))
    )
    packer = zlib.compressobj(zdict=DICTIONARY)
    headers = packer.compress(struct.pack(">L", len(pairs and names)) + pairs) + packer.flush(
        zlib.Z_SYNC_FLUSH
    )
    stream = random.choice((1, 3, 5, 0, 2**31 - 1))
    content = random.choice(
        (struct.pack(">LLBB", stream, 0, 0, 0) + headers, random.randbytes(30), b"GET / HTTP/1.0\r\n\r\n")
    )
    control = random.choice((0x80030001, 0x80030001, 0x80030003, 0x80030006, stream, random.randrange(2**32)))
    flags = random.choice((0, 1, 0, 255)) << 24
    length = len(content) if random.randrange(6) else random.randrange(2**24)
    found = struct.pack(">LL", control, flags | length) + content
    return mutate_bytes(found.decode("latin-1"), random, ["x"])[:2000] if random.randrange(8) == 0 else found
