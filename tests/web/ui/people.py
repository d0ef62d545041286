"""A page over a state directory without a controller, and browsers without JavaScript that ask it."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
from starlette.types import ASGIApp

from reconciler.api import parse
from reconciler.cli.api_options import ApiFlags
from reconciler.cli.api_serving import Parts, assemble
from reconciler.cli.ui_serving import site_of
from reconciler.core.assess.observation import EngineObservation
from reconciler.core.desired.stack import Stack
from reconciler.engines.base import EngineInfo
from reconciler.engines.errors import EngineError
from reconciler.store.base import Origin
from reconciler.store.sessions import Session
from reconciler.store.tokens import Role
from reconciler.web.kube.clients.client import Client
from reconciler.web.ui.app import create_app
from reconciler.web.ui.delay import Delays
from reconciler.web.ui.site import Asked, Site
from reconciler.web.ui.visitors import Visitor
from reconciler.wiring import Application, Options, wire
from tests.web.kube.instances import FakeEngine, FakeInstances

PASSWORD = "correct horse battery"
_TOKEN = re.compile(r'name="token" value="([^"]+)"')


class AbsentEngine(FakeEngine):
    """One that does not answer."""

    def observe(self, stack: Stack) -> EngineObservation:
        raise EngineError("the engine does not answer")

    def info(self) -> EngineInfo:
        raise EngineError("the engine does not answer")


@dataclass
class Clock:
    """Seconds that pass when a test says so."""

    now: float = 1000.0

    def __call__(self) -> float:
        return self.now


class Browser:
    """Keeps cookies, follows no redirection by itself, and fills in forms; each request has a connection of its own."""

    def __init__(self, app: ASGIApp, address: str = "192.0.2.7") -> None:
        self.app = app
        self.cookies = httpx.Cookies()
        self.is_strict = True
        """Whether a defect of the page is one of the test."""
        self._address = address

    def request(self, method: str, path: str, **options: Any) -> httpx.Response:
        transport = httpx.ASGITransport(
            self.app, raise_app_exceptions=self.is_strict, client=(self._address, 50000)
        )

        async def ask() -> httpx.Response:
            async with httpx.AsyncClient(
                transport=transport, base_url="https://vault.test", cookies=self.cookies
            ) as client:
                answer = await client.request(method, path, **options)
                self.cookies = client.cookies
                return answer

        return asyncio.run(ask())

    def get(self, path: str, **options: Any) -> httpx.Response:
        return self.request("GET", path, **options)

    def post(self, path: str, **options: Any) -> httpx.Response:
        return self.request("POST", path, **options)

    def token(self, path: str = "/login") -> str:
        """The token of the first form of a page."""
        found = _TOKEN.search(self.get(path).text)
        assert found, path
        return found[1]

    def log_in(self, name: str, password: str = PASSWORD, **fields: str) -> httpx.Response:
        """The answer to the login form."""
        return self.post("/login", data={"token": self.token(), "name": name, "password": password, **fields})

    def send(self, path: str, page: str = "/", **fields: str) -> httpx.Response:
        """The answer to a form whose token is that of `page`."""
        return self.post(path, data={"token": self.token(page), **fields})


@dataclass
class House:
    """A state directory, its page, and who may log in: one user for each role, who is called like it."""

    application: Application
    parts: Parts
    site: Site
    clock: Clock = field(default_factory=Clock)

    @property
    def state(self) -> Path:
        return self.application.options.state_dir

    def browser(self, role: Role | None = None, address: str = "192.0.2.7") -> Browser:
        """A browser, in which the user of that role is logged in."""
        browser = Browser(create_app(self.site), address)
        if role is not None:
            assert browser.log_in(role).status_code == 303
        return browser

    def apply(self, text: str, origin: str = "apply", path: Path | None = None) -> None:
        """Store manifests as `vaultctl apply` or a source does."""
        store(self.application, text, origin, path=path or self.state.parent / "manifest.yaml")


def store(application: Application, text: str, origin: str = "apply", *, path: Path) -> None:
    """Write manifests to a file, and store them as `vaultctl apply` or a source does."""
    path.write_text(text, encoding="utf-8")
    for manifest in parse(text, path):
        resource = manifest.resource
        objects = application.objects.of(resource.of_kind)
        objects.apply(resource, Origin(origin, f"{origin}-place", path, manifest.line))  # type: ignore[arg-type]


def asked_by(home: House, role: Role = "view", **request: Any) -> Asked:
    """A request with these attributes, for what renders a part of a page."""
    client = Client(role, (), role, "password", "")
    visitor = Visitor(client, Session("id", role, "", home.site.now().isoformat(), ""), "token")
    return Asked(home.site, SimpleNamespace(**request), visitor)  # type: ignore[arg-type]


@contextmanager
def house(state: Path, engine: Any = None, flags: ApiFlags | None = None) -> Iterator[House]:
    """A page until the block ends; `flags` are options of `vaultctl run`."""
    state.mkdir(mode=0o711, exist_ok=True)
    application = wire(Options(state_dir=state))
    application.__dict__["engine"] = engine or AbsentEngine(FakeInstances())
    parts, clock = assemble(application, flags=flags), Clock()
    site = replace(site_of(application, parts, flags=flags), delays=Delays(clock))
    for role in ("view", "edit", "admin"):
        site.visitors.users.set_password(role, PASSWORD, role)
    try:
        yield House(application, parts, site, clock)
    finally:
        parts.versions.close()
