"""Whose an event or a port of the engine is: objects of two kinds may have the same name."""

from __future__ import annotations

from typing import Any

import pytest

from reconciler.core import labels
from reconciler.engines.compose.ports import owner_of
from reconciler.engines.compose.rows import COMPOSE_PROJECT, service_of_event


def event(type: str, **attributes: str) -> dict[str, Any]:
    return {"Type": type, "Actor": {"Attributes": attributes}}


@pytest.mark.parametrize(
    ("seen", "label"),
    [
        (event("container", **{labels.SERVICE: "main"}), "main"),
        (event("container", **{labels.SERVICE: "vaultgateway/main"}), "vaultgateway/main"),
        (event("container"), None),
        (event("network", name="vault-main_vault-net"), "main"),
        (event("network", name="0-vaultgateway-main"), "vaultgateway/main"),
        (event("network", name="vault-gateway-main_vault-net"), "gateway-main"),
        (event("network", name="0-vaultgateway-main_x"), None),
        (event("network", name="bridge"), None),
    ],
)
def test_an_event_is_about_the_object_with_this_label(seen: dict[str, Any], label: str | None) -> None:
    assert service_of_event(seen) == label


def row(project: str, role: str) -> dict[str, Any]:
    marks = {COMPOSE_PROJECT: project, labels.ROLE: role}
    return {"Names": ["/holder"], "Labels": marks, "Ports": [{"PublicPort": 80}]}


def test_a_port_that_the_former_holder_of_a_gateway_has_is_not_taken() -> None:
    rows = [row("vaultgateway-main", "gateway")]

    assert owner_of(80, rows, local=False, project="vaultgateway-main") is None
    assert owner_of(80, rows, local=False, project="vault-main") == (
        "container holder of project 'vaultgateway-main'"
    )
    assert owner_of(80, [row("vaultgateway-main", "web")], local=False, project="vaultgateway-main")
