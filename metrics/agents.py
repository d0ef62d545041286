"""The metrics of agents beside HAProxies on other nodes, as the controller sees them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from metrics.metric import Label, Metric, Type

__all__ = ["AGENT_EXCHANGES", "AGENT_METRICS", "AgentSnapshot", "add_agent"]

RESULTS: Final = ("success", "error")

_NODE: Final = Label("node", "Name of the node, as it was enrolled.")

AGENT_UP: Final = Metric(
    "vault_agent_up",
    Type.GAUGE,
    "1 if the agent of the node answered when it was last asked, which happens once a minute.",
    (_NODE,),
)
AGENT_NOT_AFTER: Final = Metric(
    "vault_agent_certificate_not_after_timestamp_seconds",
    Type.GAUGE,
    "Unix time at which the certificate of the agent ends; it is renewed three and a half days before.",
    (_NODE,),
    "seconds",
)
AGENT_EXCHANGES: Final = Metric(
    "vault_agent_exchanges_total",
    Type.COUNTER,
    "Exchanges with the agent of the node: `error` without an answer that could be used.",
    (_NODE, Label("result", "How it ended.", RESULTS)),
)

AGENT_METRICS: Final = (AGENT_UP, AGENT_NOT_AFTER, AGENT_EXCHANGES)


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentSnapshot:
    """One agent as it was last asked; `up` and `not_after` (aware) are None before that, and before it is enrolled."""

    node: str
    up: bool | None = None
    not_after: datetime | None = None


def add_agent(set_: Callable[..., None], agent: AgentSnapshot) -> None:
    """Add the samples of one agent; `set_` takes a metric, its value and the values of its labels."""
    if agent.up is not None:
        set_(AGENT_UP, int(agent.up), agent.node)
    if agent.not_after is not None:
        set_(AGENT_NOT_AFTER, agent.not_after.timestamp(), agent.node)
