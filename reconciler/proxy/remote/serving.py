"""What an agent does with a request: look whether it is to be carried out, do so, and say how that ended.

The sites are directories below the agent's own. Which user their files belong to is the agent's to say, and which directory
is for which object follows from the object's name: a request can name nothing else on this machine.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Protocol

from pydantic import TypeAdapter, ValidationError
from pydantic_core import to_json

from reconciler.api.errors import VaultError
from reconciler.core.desired.stack import Site
from reconciler.proxy.errors import MAX_LOG, ProxyAwayError, ProxyError, quoted
from reconciler.proxy.haproxy.front import HAPROXY_USER
from reconciler.proxy.haproxy.reaching import Reach, reach
from reconciler.proxy.remote.calls import (
    HAProxyCall,
    InstallCertificate,
    ListFiles,
    NextEvents,
    PutFiles,
    RequestCertificate,
)
from reconciler.proxy.remote.ears import SiteEvents
from reconciler.proxy.remote.fence import Fence, StaleError
from reconciler.proxy.remote.files import Digests, put
from reconciler.proxy.remote.messages import VERSIONS, Failure, Hello, Request
from reconciler.proxy.remote.values import SiteKey, faults_of

__all__ = ["AgentService", "Identity"]

_REQUEST: Final = TypeAdapter(Request)
_log = logging.getLogger(__name__)


class Identity(Protocol):
    """The certificate that an agent shows."""

    @property
    def node(self) -> str:
        """The node that it is for."""

    def request(self) -> str:
        """Make a new key, and give the signing request for it (PEM)."""

    def install(self, certificate: str) -> None:
        """Show this certificate (PEM) from now on. Raises VaultError for one that is not for the key that was made last."""


@dataclass
class AgentService:
    """Serves the HAProxies whose files are below `directory`. Any thread may ask it. `clock` gives monotonic seconds, those
    that `at` counts in.
    """

    directory: Path
    identity: Identity
    events: SiteEvents
    at: Reach = reach
    clock: Callable[[], float] = time.monotonic
    _fence: Fence = field(default_factory=Fence)
    _files: Digests = field(default_factory=Digests)

    def hello(self) -> bytes:
        """What it says before it is asked anything."""
        return to_json(Hello(versions=VERSIONS, node=self.identity.node, now=self.clock()))

    def answer(self, body: bytes) -> bytes:
        """The answer to a request, as it is sent; raises nothing that the request is to blame for."""
        try:
            request = _REQUEST.validate_json(body)
        except ValidationError as error:
            return self._failed("", "understood", f"the request is not understood: {faults_of(error)}")
        try:
            self._fence.admit(request.id, request.until, self.clock())
            value = self._carried_out(request)
        except StaleError as error:
            return self._failed(request.id, "late", f"the request is not carried out: {error}")
        except _OtherFilesError:
            return self._failed(request.id, "files", "the files of the site are others")
        except ProxyAwayError as error:
            return self._failed(request.id, "away", error.message)
        except VaultError as error:
            return self._failed(request.id, "failed", error.message)
        except (OSError, ValueError) as error:
            return self._failed(request.id, "failed", f"it cannot be carried out: {error}")
        return to_json({"id": request.id, "now": self.clock(), "value": value})

    def _carried_out(self, request: Request) -> Any:
        match request.call:
            case RequestCertificate():
                return self.identity.request()
            case InstallCertificate(certificate=certificate):
                return self.identity.install(certificate)
            case NextEvents(seconds=seconds):
                return self.events.next(min(seconds, request.until - self.clock()))
        if request.site is None:
            raise ProxyError("the request names no site")
        site = self.site_of(request.site)
        match request.call:
            case ListFiles():
                return self._files.of(site)
            case PutFiles(files=texts, gone=gone):
                put(site, texts, gone)
                self.events.listen(request.site, site)
                return None
            case HAProxyCall() as call:
                if request.files and request.files != self._files.whole(site):
                    raise _OtherFilesError
                self.events.listen(request.site, site)
                return call.ask(self.at(site, request.slot, request.until - self.clock()))

    def site_of(self, key: SiteKey) -> Site:
        """Where the files of a site are on this machine, and whose they are."""
        directory, starter = self.directory / key.kind / key.name, 0 if key.by_root else None
        if os.geteuid() == 0:
            return Site(directory, HAPROXY_USER, HAPROXY_USER, starter)
        return Site(directory, os.geteuid(), os.getegid(), starter)

    def _failed(self, id: str, kind: Any, message: str) -> bytes:
        _log.debug("a request was not answered: %s", message)
        failure = Failure(kind=kind, message=quoted(message, MAX_LOG))
        return to_json({"id": id, "now": self.clock(), "failure": failure})


class _OtherFilesError(Exception):
    """The site has other files than the loop expects."""
