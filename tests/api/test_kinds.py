"""A kind is declared once: all code that reads, explains or describes resources finds it in the registry."""

from __future__ import annotations

from typing import Literal

import pytest
from pydantic import Field

from reconciler.api import explain
from reconciler.api.crd import custom_resource_definition, editor_schema
from reconciler.api.kinds import (
    KINDS,
    VAULT_GATEWAY,
    VAULT_SERVICE,
    Column,
    Kind,
    Ref,
    kind_called,
    ref_labelled,
)
from reconciler.api.model import ApiModel
from reconciler.api.resource import Resource
from reconciler.api.status import ObjectStatus
from reconciler.api.vaultgateway import VaultGateway
from reconciler.api.vaultservice import VaultService


class LampSpec(ApiModel):
    """How it shines."""

    colour: str = Field(default="red", description="What it shines in.")


class Lamp(Resource):
    """A resource that exists only in this test."""

    kind: Literal["Lamp"] = Field(default="Lamp", description="Always Lamp.")
    spec: LampSpec = Field(description="What it is to do.")
    status: ObjectStatus | None = Field(default=None, description="Whether it shines.")


LAMP = Kind(
    name="Lamp",
    plural="lamps",
    model=(__name__, "Lamp"),
    columns=(Column("Colour", "string", ".spec.colour"),),
    short_names=("lp",),
)


def test_the_model_is_found_by_its_name() -> None:
    assert VAULT_SERVICE.load_model() is VaultService
    assert VAULT_GATEWAY.load_model() is VaultGateway
    assert (KINDS["VaultService"], KINDS["VaultGateway"]) == (VAULT_SERVICE, VAULT_GATEWAY)
    assert all(kind.load_model().model_fields["kind"].default == name for name, kind in KINDS.items())


@pytest.mark.parametrize(
    "word", ["vs", "VaultService", "vaultservice", "VAULTSERVICES", "vaultservices.vault.internal"]
)
def test_a_kind_is_meant_by_any_of_its_names(word: str) -> None:
    assert kind_called(word) is VAULT_SERVICE


@pytest.mark.parametrize("word", ["", "vault", "services", "vaultservices.other.group"])
def test_other_words_mean_no_kind(word: str) -> None:
    assert kind_called(word) is None


@pytest.mark.parametrize("ref", [Ref(VAULT_SERVICE, "files"), Ref(VAULT_GATEWAY, "main")], ids=str)
def test_an_object_is_found_by_its_label(ref: Ref) -> None:
    assert ref_labelled(ref.label) == ref


@pytest.mark.parametrize("label", ["deployment/files", "/files", "vg/main"])
def test_a_label_of_another_kind_means_nothing(label: str) -> None:
    assert ref_labelled(label) is None


def test_the_gateway_is_called_by_its_names() -> None:
    assert [kind_called(word) for word in ("vg", "VaultGateway", "vaultgateways")] == [VAULT_GATEWAY] * 3
    assert VAULT_GATEWAY.directory == "gateways"


def test_a_further_kind_is_one_line_of_the_registry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its CRD, its schema and its documentation follow."""
    monkeypatch.setitem(KINDS, "Lamp", LAMP)
    definition = custom_resource_definition(LAMP)["spec"]
    assert definition["names"]["shortNames"] == ["lp"]
    (version,) = definition["versions"]
    assert version["subresources"] == {"status": {}}
    assert version["additionalPrinterColumns"] == [
        {"name": "Colour", "type": "string", "jsonPath": ".spec.colour"}
    ]
    assert editor_schema(LAMP)["properties"]["spec"]["properties"]["colour"]["default"] == "red"
    assert explain.explain("lamp.spec.colour").startswith("FIELD:    Lamp.spec.colour\n")
