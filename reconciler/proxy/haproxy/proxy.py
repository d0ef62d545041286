"""Implements the Proxy of a stack with HAProxy.

The configuration on disk and the running workers are kept equal: a worker that starts reads the servers from the file, a
running one is changed over its socket. A HAProxy whose socket accepts no connection has no traffic, so changes skip it; one
that listens and does not answer is an error.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final, ParamSpec, TypeVar

from reconciler.api.errors import PermanentError
from reconciler.core.assess.observation import Container, ProxyInstance, ProxyObservation, State
from reconciler.core.desired.stack import Stack
from reconciler.core.plan.front import FrontDoor
from reconciler.proxy.base import NewServer
from reconciler.proxy.errors import ProxyAwayError, ProxyError
from reconciler.proxy.haproxy.config import Written, read_back, render, structure
from reconciler.proxy.haproxy.containers import haproxy_of
from reconciler.proxy.haproxy.events import ServerEvents
from reconciler.proxy.haproxy.files import (
    Stamps,
    Validate,
    prepare,
    read_files,
    stamp_files,
    validate_files,
    write_files,
)
from reconciler.proxy.haproxy.front import FRONT
from reconciler.proxy.haproxy.reaching import Pool, Reach, reach
from reconciler.proxy.haproxy.runtime import RELOAD_TIMEOUT
from reconciler.proxy.haproxy.stats import Process, as_worker, last_successor
from reconciler.proxy.haproxy.values import check_options
from reconciler.proxy.silence import Silence

__all__ = ["HAProxy"]

SERVES_SECONDS: Final = 2.0
"""Timeout of the question whether a HAProxy that is silent serves."""
LOOK_SECONDS: Final = 4.0
"""Timeout of one observation of one HAProxy with all its workers; twice the timeout of one answer."""
CHANGE_SECONDS: Final = 10.0
"""Timeout of one change in one HAProxy: an observation, and a few commands for each server."""

P = ParamSpec("P")
T = TypeVar("T")


class HAProxy:
    """Implements reconciler.proxy.base.Proxy; any thread may use it for any stack.

    It remembers since when a HAProxy has been silent, what the files of a service come to, and the structures that an image
    has accepted: services whose configurations differ only in servers are validated by one container. `clock` gives
    monotonic seconds, `at` is how it reaches HAProxies.
    """

    front: Final[FrontDoor] = FRONT

    def __init__(
        self,
        validate: Validate,
        clock: Callable[[], float],
        events: ServerEvents | None = None,
        at: Reach = reach,
    ) -> None:
        self._validate = validate
        self._at = at
        self._accepted: set[tuple[str, str]] = set()
        self._silence = Silence(clock)
        self._events = events or ServerEvents()
        self._read: dict[Path, tuple[Stamps, Written | None]] = {}

    def closed(self, stack: Stack) -> str:
        """See Proxy.closed; its proxies are its own."""
        return ""

    def withdraw(self, name: str, *, force: bool) -> int:
        """See Proxy.withdraw; its proxies leave with it."""
        return 0

    def observe(self, stack: Stack, containers: Sequence[Container]) -> ProxyObservation:
        """See Proxy.observe."""
        expected = _checked(structure, stack.proxy)
        with suppress(OSError):
            # Without events, a change is seen by the next pass.
            self._events.listen(stack.label, stack.site)
        written = self._written(stack)
        found = {
            container.id: self._processes(stack, container.slot)
            for container in containers
            if container.state is State.RUNNING and container.slot is not None
        }
        successor = last_successor(process for processes in found.values() for process in processes or ())
        silent = self._silence.of(stack.project, [id for id, workers in found.items() if workers is None])
        serves = {
            container.id: self._runtime(stack, container.slot or 0, SERVES_SECONDS).serves()
            for container in containers
            if container.id in silent
        }
        return ProxyObservation(
            expected=expected,
            # A file that this image's HAProxy has not validated yet counts as missing, although it may be valid.
            written=written.structure if written and written.image == haproxy_of(stack).image else None,
            configured=written.servers if written else {},
            weights=written.weights if written else {},
            instances=tuple(
                _instance(id, workers, successor)
                if workers is not None
                else ProxyInstance(id, answering=False, silent=silent[id], serves=serves[id])
                for id, workers in found.items()
            ),
        )

    def events(self) -> Iterator[str]:
        """See Proxy.events."""
        return self._events.follow()

    def configure(
        self, stack: Stack, servers: Sequence[tuple[str, str]], weights: Sequence[tuple[str, int]] = ()
    ) -> None:
        """See Proxy.configure."""
        image = haproxy_of(stack).image
        files = _checked(render, stack.proxy, servers, image, weights)
        before = self._written(stack)
        if before is not None:
            self._accepted.add((before.structure, before.image))
        # Server lines only hold typed values in a form that was validated before; HAProxy validates all else.
        wanted = (structure(stack.proxy), image)
        try:
            prepare(stack.site)
            if wanted not in self._accepted:
                validate_files(stack.site, image, files, self._validate)
                self._accepted.add(wanted)
            write_files(stack.site.config, files, stack.site)
        except OSError as error:
            raise ProxyError(f"cannot write HAProxy's configuration: {error}") from error

    def reload(self, stack: Stack, slot: int) -> None:
        """See Proxy.reload."""
        written = self._written(stack)
        if written is None:
            raise ProxyError("there is no haproxy.cfg to reload; it has to be configured first")
        try:
            self._runtime(stack, slot, CHANGE_SECONDS + RELOAD_TIMEOUT).reload(written.structure)
        except OSError as error:
            raise ProxyError(f"cannot hand the servers' states to HAProxy's next worker: {error}") from error

    def add_servers(self, stack: Stack, slots: Sequence[int], servers: Sequence[NewServer]) -> None:
        """See Proxy.add_servers."""
        checks = check_options(stack.proxy.health)
        self._tell(stack, slots, lambda runtime: runtime.add_servers(servers, lambda name: checks))

    def set_weights(self, stack: Stack, slots: Sequence[int], weights: Sequence[tuple[str, int]]) -> None:
        """See Proxy.set_weights."""
        self._tell(stack, slots, lambda runtime: runtime.set_weights(weights))

    def drain_servers(self, stack: Stack, slots: Sequence[int], servers: Sequence[str]) -> None:
        """See Proxy.drain_servers."""
        self._tell(stack, slots, lambda runtime: runtime.drain_servers(servers))

    def delete_servers(
        self, stack: Stack, slots: Sequence[int], servers: Sequence[str], *, force: bool
    ) -> None:
        """See Proxy.delete_servers."""
        self._tell(stack, slots, lambda runtime: runtime.delete_servers(servers, force=force))

    def _tell(self, stack: Stack, slots: Sequence[int], change: Callable[[Pool], None]) -> None:
        """Make a change in each HAProxy that has one of these slots and listens."""
        for slot in slots:
            with suppress(ProxyAwayError):
                change(self._runtime(stack, slot, CHANGE_SECONDS))

    def _written(self, stack: Stack) -> Written | None:
        """What is in the configuration directory; read again when a file has changed."""
        try:
            stamps = stamp_files(stack.site.config)
            known = self._read.get(stack.site.config)
            if known is not None and known[0] == stamps:
                return known[1]
            written = read_back(read_files(stack.site.config))
        except OSError as error:
            raise ProxyError(f"cannot read HAProxy's configuration: {error}") from error
        if stamps is not None:
            self._read[stack.site.config] = (stamps, written)
        return written

    def _processes(self, stack: Stack, slot: int) -> tuple[Process, ...] | None:
        try:
            return self._runtime(stack, slot, LOOK_SECONDS).processes()
        except ProxyError:
            return None

    def _runtime(self, stack: Stack, slot: int, seconds: float) -> Pool:
        return self._at(stack.site, slot, seconds).pool(stack.proxy.pool)


def _checked(make: Callable[P, T], *arguments: P.args, **named: P.kwargs) -> T:
    try:
        return make(*arguments, **named)
    except ValueError as error:
        raise PermanentError(f"HAProxy cannot be configured for this: {error}") from error


def _instance(container: str, workers: tuple[Process, ...], successor: float) -> ProxyInstance:
    return ProxyInstance(
        container=container,
        answering=True,
        structure=workers[0].info.structure,
        workers=tuple(as_worker(worker, successor) for worker in workers),
    )
