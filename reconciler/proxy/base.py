"""The interface that the controller needs of the proxies in front of a stack.

The written configuration and the running workers are kept equal: `configure` first, then the runtime calls,
each to every worker of every HAProxy container given. Every call has a timeout, raises ProxyError with a sentence for
people, and is safe to repeat.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from reconciler.core.assess.observation import DEFAULT_WEIGHT, Container, ProxyObservation
from reconciler.core.desired.stack import Stack
from reconciler.core.plan.front import FrontDoor


@dataclass(frozen=True, slots=True)
class NewServer:
    """A server that is to take traffic at "address:port". `trusted`: it is UP before its first check."""

    name: str
    address: str
    trusted: bool
    weight: int = DEFAULT_WEIGHT


class Proxy(Protocol):
    """The load balancers of a stack."""

    @property
    def front(self) -> FrontDoor:
        """How they are defined and replaced, for the plan."""

    def observe(self, stack: Stack, containers: Sequence[Container]) -> ProxyObservation:
        """Observe the workers and servers of each running HAProxy container; one that does not answer is an observation and
        no error.
        """

    def events(self) -> Iterator[str]:
        """The name of a stack for each of its servers that goes UP or DOWN, without end; some may be missed."""

    def configure(
        self, stack: Stack, servers: Sequence[tuple[str, str]], weights: Sequence[tuple[str, int]] = ()
    ) -> None:
        """Render, validate and atomically write the configuration with these servers (name, "address:port").

        `weights` (name, weight) are those that are not the default.
        """

    def reload(self, stack: Stack, slot: int) -> None:
        """Start a new worker in this HAProxy; returns when it serves, else raises an error with its log."""

    def add_servers(self, stack: Stack, slots: Sequence[int], servers: Sequence[NewServer]) -> None:
        """Add each server at its address, and at no other, and enable it in the current workers.

        One that takes traffic already keeps its weight.
        """

    def set_weights(self, stack: Stack, slots: Sequence[int], weights: Sequence[tuple[str, int]]) -> None:
        """Give servers (name, weight) another share of new requests, 0 to 256, in the current workers; their sessions are
        kept.
        """

    def drain_servers(self, stack: Stack, slots: Sequence[int], servers: Sequence[str]) -> None:
        """Send nothing new to these servers, in all workers."""

    def delete_servers(
        self, stack: Stack, slots: Sequence[int], servers: Sequence[str], *, force: bool
    ) -> None:
        """Delete these servers from all current workers; without `force` fail if one of them has a session.

        Success means that all of them are gone. After a failure some may be.
        """
