"""The status of a resource, in the form of a Kubernetes status: what all kinds have, and that of a VaultService.

It is derived from containers, HAProxy and the history, for `vaultctl get` and `--wait`. Deleting it loses no state; a
pass reads from it only whether a change was carried out before (`spec.drift`).
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, Strict

from reconciler.api.conditions import Condition
from reconciler.api.model import ApiModel
from reconciler.api.quantities import Timestamp

__all__ = ["NodeReplicas", "ObjectStatus", "ReplicaCounts", "Status"]


class ReplicaCounts(ApiModel):
    """Numbers of web replicas, from desired to serving."""

    desired: int = Field(default=0, ge=0, description="Replicas that the spec (or the plugin) asks for.")
    current: int = Field(
        default=0, ge=0, description="Containers that exist, of any revision and in any state."
    )
    updated: int = Field(default=0, ge=0, description="Containers of the desired revision.")
    ready: int = Field(default=0, ge=0, description="Healthy for at least strategy.minReadySeconds.")
    serving: int = Field(default=0, ge=0, description="Ready, and UP in the HAProxy pool.")


class NodeReplicas(ApiModel):
    """How many web replicas of a service are on one node."""

    name: str = Field(description="The name of the node.")
    replicas: int = Field(ge=0, description="Web replicas of the service that are on it.")


class ObjectStatus(ApiModel):
    """The part of a status that all kinds have."""

    observed_generation: int = Field(
        default=0, ge=0, description="The metadata.generation that was last acted on."
    )
    last_handled_reconcile_at: str | None = Field(
        default=None,
        description="The mark of the last request (vaultctl apply and the like) that a pass has answered.",
    )
    conditions: Annotated[tuple[Condition, ...], Strict(False)] = Field(
        default=(), description="Ready, Reconciling, Stalled, Degraded and Accepted, at most one of each."
    )
    last_applied_revision: str | None = Field(
        default=None, description="Git commit of the manifest that was last applied, when it came from Git."
    )


class Status(ObjectStatus):
    """The observed state of a VaultService; written by the controller, ignored in manifests."""

    replicas: ReplicaCounts = Field(
        default=ReplicaCounts.model_construct(), description="Counts of web replicas."
    )
    revision: str | None = Field(
        default=None,
        description="Revision (hash) that runs: of the only workload, or one name for all of them.",
    )
    next_rotation: Timestamp | None = Field(
        default=None,
        description="When the next replica is due to be rotated (RFC 3339, UTC); unset without rotation.",
    )
    nodes: Annotated[tuple[NodeReplicas, ...], Strict(False)] = Field(
        default=(),
        description="Web replicas by the node that they are on; empty where the engine has one machine.",
    )
