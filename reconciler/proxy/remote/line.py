"""The loop's side of the protocol: calls to one agent, and no trust in what it answers.

Every call is safe to repeat. Whatever goes wrong is a ProxyError that names the node: the HAProxy behind an agent that
cannot be asked may be serving.
"""

from __future__ import annotations

import secrets
import time
from dataclasses import dataclass
from typing import Any, Final

from pydantic import TypeAdapter, ValidationError

from reconciler.api.reasons import Reason
from reconciler.proxy.errors import MAX_LOG, ProxyAwayError, ProxyError, quoted
from reconciler.proxy.remote.calls import Call
from reconciler.proxy.remote.messages import VERSIONS, Failure, Hello, Reply, Request, reply_to
from reconciler.proxy.remote.values import SiteKey, faults_of
from reconciler.proxy.remote.wire import MAX_BODY, Wire

__all__ = ["Line", "OtherFilesError"]

_HELLO: Final = TypeAdapter(Hello)


class OtherFilesError(ProxyError):
    """The agent has other files of a site than those that the loop wrote."""

    reason = Reason.AGENT_FILES


@dataclass(frozen=True, slots=True)
class _Clock:
    """The agent's clock: what it said, and when that was heard by ours. It shows that or more."""

    version: int
    said: float
    heard: float

    def at(self, moment: float) -> float:
        """What it shows at a moment of ours, at least."""
        return self.said + (moment - self.heard)


@dataclass
class Line:
    """Asks one agent; any thread may."""

    wire: Wire
    _clock: _Clock | None = None

    @property
    def node(self) -> str:
        """The node of the agent."""
        return self.wire.peer.node

    def ask(
        self, call: Call, until: float, site: SiteKey | None = None, slot: int = 0, files: str = ""
    ) -> Any:
        """The answer to a call, of the type that it has. All has to be done before `until` (monotonic seconds).

        Raises ProxyAwayError for a HAProxy that is not running, OtherFilesError, and ProxyError for everything else.
        """
        reply = self._reply(call, until, site, slot, files)
        if reply.failure is not None and reply.failure.kind == "late" and time.monotonic() < until:
            # Its machine was started again, and counts from another moment.
            self._clock = None
            reply = self._reply(call, until, site, slot, files)
        if reply.failure is not None:
            raise self._error(reply.failure)
        return reply.value

    def ping(self, until: float) -> None:
        """Look whether it answers, and is the agent of its node. Raises ProxyError."""
        self._hello(until)

    def _reply(self, call: Call, until: float, site: SiteKey | None, slot: int, files: str) -> Reply[Any]:
        clock = self._clock or self._hello(until)
        request = Request(
            id=secrets.token_hex(16),
            until=clock.at(until),
            site=site,
            slot=slot,
            files=files,
            call=call,
        )
        body = request.model_dump_json().encode()
        if len(body) > MAX_BODY:
            raise ProxyError(f"node {self.node}: a request of {len(body)} bytes is more than {MAX_BODY}")
        said = self.wire.exchange("POST", f"/v{clock.version}", body, until)
        try:
            reply = reply_to(type(call)).validate_json(said)
        except ValidationError as error:
            raise self._unclear(error) from None
        # An agent that does not understand a request does not know its id.
        if reply.id != request.id and not (reply.failure and reply.failure.kind == "understood"):
            raise ProxyError(f"node {self.node}: its agent answered another request")
        if reply.failure is None and (reply.value is None) != (call.answer is None):
            raise ProxyError(f"node {self.node}: its agent gave an empty answer")
        self._clock = _Clock(clock.version, reply.now, time.monotonic())
        return reply

    def _hello(self, until: float) -> _Clock:
        said = self.wire.exchange("GET", "/hello", b"", until)
        try:
            hello = _HELLO.validate_json(said)
        except ValidationError as error:
            raise self._unclear(error) from None
        if hello.node != self.node:
            raise ProxyError(f"node {self.node}: the agent there says that it is that of {hello.node}")
        shared = [each for each in VERSIONS if each in hello.versions]
        if not shared:
            raise ProxyError(
                f"node {self.node}: its agent speaks versions {_listed(hello.versions)} of the protocol, and this "
                f"controller {_listed(VERSIONS)}: upgrade the older one"
            )
        self._clock = _Clock(shared[-1], hello.now, time.monotonic())
        return self._clock

    def _unclear(self, error: ValidationError) -> ProxyError:
        return ProxyError(f"node {self.node}: the answer of its agent is not understood: {faults_of(error)}")

    def _error(self, failure: Failure) -> ProxyError:
        said = "".join(each if each.isprintable() or each == "\n" else "?" for each in failure.message)
        message = f"node {self.node}: {quoted(said, MAX_LOG)}"
        kinds: dict[str, type[ProxyError]] = {"away": ProxyAwayError, "files": OtherFilesError}
        return kinds.get(failure.kind, ProxyError)(message)


def _listed(versions: tuple[int, ...]) -> str:
    return ", ".join(map(str, versions))
