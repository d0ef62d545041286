"""Gateways of a state directory, of which only the nodes matter."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from reconciler.api.kinds import API_VERSION
from reconciler.api.vaultgateway import VaultGateway
from reconciler.store.base import WritableObjects
from tests.simulation.stores import ORIGIN


def apply_gateway(gateways: WritableObjects[Any, Any], name: str, selector: Mapping[str, str] | None) -> None:
    """A gateway with this `nodeSelector`; without one if that is None."""
    spec = {} if selector is None else {"nodeSelector": dict(selector)}
    document = {"apiVersion": API_VERSION, "kind": "VaultGateway", "metadata": {"name": name}, "spec": spec}
    gateways.apply(VaultGateway.model_validate(document), ORIGIN)
