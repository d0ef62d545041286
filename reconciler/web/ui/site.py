"""What the page is made of, and what each of its handlers gets and answers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

from starlette.requests import HTTPConnection
from starlette.responses import HTMLResponse, RedirectResponse, Response

from reconciler.api.kinds import VAULT_GATEWAY, VAULT_SERVICE, Kind
from reconciler.web.kube.access import may
from reconciler.web.ui.rendering import render

if TYPE_CHECKING:
    from metrics.snapshots import QueueSnapshot
    from reconciler.app.acting import Editor
    from reconciler.app.cluster.running import Running
    from reconciler.app.cluster.traffic import Meter
    from reconciler.store.tokens import Tokens
    from reconciler.web.kube.watching import Bells
    from reconciler.web.ui.delay import Delays
    from reconciler.web.ui.issuer import Issuer
    from reconciler.web.ui.live import Streams
    from reconciler.web.ui.pulse import Pulse
    from reconciler.web.ui.scene import Stage
    from reconciler.web.ui.visitors import Visitor, Visitors
    from reconciler.wiring import Application, GitFollow

__all__ = ["PLACES", "Asked", "Site", "audited", "is_allowed"]

SERVICES: Final = "vaultservices"
PLACES: Final[Mapping[str, Kind]] = {"service": VAULT_SERVICE, "gateway": VAULT_GATEWAY}
"""The first word of the path of pages about objects, and their kind."""


@dataclass(frozen=True)
class Site:
    """The parts of the page. `pulse` counts changes, of which `bells` tell open pages; `stage` has what passes have seen,
    `meter` what services are asked, and `host` is the machine's name; `followed` are the branches of the controller
    and `queues` its queues, `tokens` are those of the Kubernetes API, and `issuer` is where users without a password log
    in.
    """

    application: Application
    visitors: Visitors
    delays: Delays
    pulse: Pulse
    stage: Stage
    meter: Meter
    bells: Bells
    streams: Streams
    editor: Editor
    running: Running
    followed: Sequence[GitFollow]
    queues: Callable[[], Sequence[QueueSnapshot]]
    tokens: Tokens
    audit: Callable[[Mapping[str, Any]], None]
    now: Callable[[], datetime]
    version: str
    host: str
    issuer: Issuer | None = None


@dataclass(frozen=True)
class Asked:
    """A request of a user who is logged in; `form` are the fields of a form whose token was checked."""

    site: Site
    request: HTTPConnection
    visitor: Visitor
    form: Mapping[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The name in the path."""
        return str(self.request.path_params["name"])

    @property
    def kind(self) -> Kind:
        """The kind of what the path is about."""
        return PLACES[self.request.url.path.split("/")[1]]

    @property
    def home(self) -> str:
        """The path of the page of what this is about."""
        return f"/{self.request.url.path.split('/')[1]}/{self.name}"

    def page(self, template: str, code: int = HTTPStatus.OK, **values: Any) -> Response:
        """The page of a template."""
        return HTMLResponse(render(template, **self.common, **values), code)

    @property
    def common(self) -> dict[str, Any]:
        """What each template knows."""
        client = self.visitor.client
        return {
            "user": client.user,
            "role": client.role,
            "token": self.visitor.token,
            "host": self.site.host,
            "version": self.site.version,
            "now": self.site.now(),
            "path": self.request.url.path,
        }

    def go(self, path: str) -> Response:
        """Lead the browser to another page."""
        return RedirectResponse(path, HTTPStatus.SEE_OTHER)


def is_allowed(asked: Asked, verb: str, part: str = "") -> bool:
    """Whether the role of the user includes this, by the rules of the Kubernetes API."""
    return may(asked.visitor.client.role, verb, "pods" if part else SERVICES, part)


def audited(
    site: Site, request: HTTPConnection, who: Mapping[str, str], what: Mapping[str, Any], *, stage: str
) -> None:
    """Write a line of the audit log; it has the fields of those of the Kubernetes API."""
    client = request.client.host if request.client else ""
    site.audit({"time": site.now().isoformat(), **who, "client": client, **what, "stage": stage})


Handler = Callable[[Asked], Response]
Handlers = Sequence[tuple[str, Handler]]
