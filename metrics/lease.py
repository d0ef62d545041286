"""The metrics of the lease of a Swarm, which says which of several controllers acts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from metrics.metric import Label, Metric, Type

__all__ = ["LEASE_METRICS", "LeaseSnapshot", "add_lease"]

LEASE_HELD: Final = Metric(
    "vault_lease_held",
    Type.GAUGE,
    "1 if this controller holds the lease of the Swarm and acts, 0 if it stands by. Only with a Swarm.",
)
LEASE_TERM: Final = Metric(
    "vault_lease_term",
    Type.GAUGE,
    "How many holders the lease of the Swarm has had, while this controller holds it; else 0. Only with a Swarm.",
)
LEASE_HOLDER: Final = Metric(
    "vault_lease_holder_info",
    Type.INFO,
    "Always 1; the label says who holds the lease of the Swarm, as far as this controller knows. Only with a Swarm.",
    (Label("node", "Name of the holder's node; empty if no holder is known."),),
)

LEASE_METRICS: Final = (LEASE_HELD, LEASE_TERM, LEASE_HOLDER)


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaseSnapshot:
    """The lease as this controller knows it; `term` is 0 unless it holds the lease."""

    held: bool
    term: int
    holder: str


def add_lease(set_: Callable[..., None], lease: LeaseSnapshot) -> None:
    """Add its samples; `set_` takes a metric, its value and the values of its labels."""
    set_(LEASE_HELD, int(lease.held))
    set_(LEASE_TERM, lease.term)
    set_(LEASE_HOLDER, 1, lease.holder)
