"""The API as a call in this process: no socket, no engine, a state directory to throw away, and a client of each role."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from reconciler.api import parse
from reconciler.cli.api_serving import assemble
from reconciler.store.base import Origin
from reconciler.store.tokens import Role
from reconciler.web.kube.app import create_app
from reconciler.web.kube.clients.client import AUTHENTICATED, Client
from reconciler.web.kube.clients.clients import Clients
from reconciler.wiring import Options, wire
from tests.web.kube.instances import FakeEngine, FakeInstances, FakeRegistries, instance

MANIFESTS: Final = """
{apiVersion: vault.internal/v1alpha1, kind: VaultService, metadata: {name: files}, spec: {plugin: whoami}}
---
apiVersion: vault.internal/v1alpha1
kind: VaultGateway
metadata: {name: front}
spec: {listeners: [{name: http, port: 8090, protocol: HTTP}]}
"""
ROLES: Final[tuple[Role, ...]] = ("view", "edit", "admin")
NONE: Final = "none"
"""A client that is known and has no role."""
FIRST_SECONDS: Final = 30.0
SILENT_SECONDS: Final = 0.05

Headers = Sequence[tuple[bytes, bytes]]


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back. A watch or a log is left after its first text that is not empty."""

    code: int
    headers: Mapping[str, str]
    content: bytes


class _Known(Clients):
    """Lets in one more client, who was granted no role."""

    async def identify(self, authorization: Sequence[str], certificate: bytes | None) -> Client:
        if list(authorization) == [f"Bearer {NONE}"]:
            return Client(NONE, (AUTHENTICATED,), None, "oidc", "https://issuer")
        return await super().identify(authorization, certificate)


class InProcess:
    """An API; containers are those of a list, and have that address. Use it as a context manager."""

    def __init__(self, home: Path, address: str = "127.0.0.1") -> None:
        self.state = home / "state"
        self.state.mkdir(mode=0o711)
        self.application = wire(Options(state_dir=self.state))
        self.instances = FakeInstances(
            [
                instance(addresses=(address,)),
                instance("vault-files-db-1", workload="db", addresses=(address,)),
            ]
        )
        self.application.__dict__["engine"] = FakeEngine(self.instances)
        self.application.__dict__["registries"] = self.registries = FakeRegistries()
        self.parts = assemble(self.application)
        tokens = self.parts.api.clients.tokens
        self.tokens: dict[str, str] = {NONE: NONE}
        self.begin()
        self.api = replace(self.parts.api, clients=_Known(tokens, self.parts.api.now))
        self.app = create_app(self.api)
        self._runner = asyncio.Runner()

    def begin(self) -> None:
        """Have a service and a gateway, an event of the service, and a valid token of each role."""
        path = Path("in-process.yaml")
        for manifest in parse(MANIFESTS, path):
            resource = manifest.resource
            self.application.objects.of(resource.of_kind).apply(resource, Origin("apply", "", path, 1))
        self.application.history.record_event(
            "files", "Normal", "Begun", "it has begun", self.parts.api.now()
        )
        self.parts.observer.look_everywhere()
        self.parts.look_at_events()
        tokens = self.parts.api.clients.tokens
        for role in ROLES:
            if tokens.find(self.tokens.get(role, "")) is None:
                self.tokens[role] = tokens.create(role, role, None)[1]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.api.running.end()
        self.api.bells.close()
        self._runner.close()
        self.parts.versions.close()

    def login(self, role: str | None) -> Headers:
        """The credential of a role; nothing for None."""
        return [] if role is None else [(b"authorization", f"Bearer {self.tokens[role]}".encode())]

    def call(
        self, method: str, path: str, query: bytes = b"", headers: Headers = (), body: bytes = b""
    ) -> Answer:
        """The answer to a request; `path` is decoded. Raises what the application raises."""
        return self._runner.run(self._call(method, path, query, headers, body))

    async def _call(self, method: str, path: str, query: bytes, headers: Headers, body: bytes) -> Answer:
        scope = {
            "type": "http", "http_version": "1.1", "scheme": "https", "method": method, "path": path,
            "raw_path": path.encode("utf-8", "surrogatepass"), "root_path": "", "query_string": query,
            "headers": [(b"host", b"vault"), *headers], "client": ("127.0.0.1", 1), "server": ("vault", 443),
            "state": {},
        }  # fmt: skip
        begun: dict[str, Any] = {}
        content = bytearray()
        left = asyncio.Event()
        sent = False

        async def receive() -> dict[str, Any]:
            nonlocal sent
            if not sent:
                sent = True
                return {"type": "http.request", "body": body, "more_body": False}
            await left.wait()
            return {"type": "http.disconnect"}

        async def send(message: Any) -> None:
            if message["type"] == "http.response.start":
                begun.update(message)
                return
            content.extend(message.get("body", b""))
            if content or not message.get("more_body"):
                left.set()

        asking = asyncio.ensure_future(self.app(scope, receive, send))
        try:
            async with asyncio.timeout(FIRST_SECONDS):
                # A watch that has nothing to tell never ends by itself.
                while not (await asyncio.wait({asking}, timeout=SILENT_SECONDS))[0]:
                    left.set()
        finally:
            asking.cancel()
        asking.result()
        found = {name.decode("latin-1"): value.decode("latin-1") for name, value in begun["headers"]}
        return Answer(begun["status"], found, bytes(content))
