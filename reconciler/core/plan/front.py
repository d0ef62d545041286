"""The front door of a stack, as the plan sees it: the interface to create and replace the proxies of a pool.

Its containers, sockets and reloads, and the order of its steps, belong to the proxy that implements it; the rest of the
plan only handles pools and their servers.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from reconciler.core.assess.assessment import Assessment
from reconciler.core.assess.observation import Observation
from reconciler.core.desired.front import Front
from reconciler.core.desired.stack import Stack
from reconciler.core.plan.operations import Step


@dataclass(frozen=True, slots=True)
class ProxyCapabilities:
    """What a proxy can do beside sending requests to servers.

    `hold`: it keeps requests while the pool is empty; without it a dependency is changed without emptying the pool.
    `handover`: a new proxy takes the connections over from an old one. `weights`: servers have shares of new requests.
    """

    hold: bool = True
    handover: bool = True
    weights: bool = True


@dataclass(frozen=True, slots=True)
class FrontStep:
    """The next step of a front door; `blocked` says what a person has to fix first."""

    step: Step
    blocked: str = ""


class FrontDoor(Front, Protocol):
    """The front door of every stack; pure, like the plan."""

    @property
    def capabilities(self) -> ProxyCapabilities:
        """What its proxies can do."""

    def steps(
        self, assessment: Assessment, servers: Mapping[str, str], weights: Mapping[str, int]
    ) -> FrontStep:
        """What to do next with it, so that it serves the pool with these servers (name to address).

        `weights` are those that are not the default.
        """

    def exporters(self, stack: Stack, observed: Observation) -> tuple[tuple[int, str], ...]:
        """The running proxies' own Prometheus metrics: the name of each one, and its "IPv4:port"."""
