"""A gateway as its author writes it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from reconciler.api.crd import custom_resource_definition, editor_schema
from reconciler.api.kinds import Column, Kind
from reconciler.api.vaultgateway import GatewaySpec, VaultGateway

HTTP = {"name": "http", "port": 80, "protocol": "HTTP"}


def gateway(**spec: Any) -> VaultGateway:
    return VaultGateway.model_validate(
        {"metadata": {"name": "main"}, "spec": spec}, by_name=False, by_alias=True
    )


def test_an_empty_spec_listens_for_http_and_https() -> None:
    spec = gateway().spec
    assert [(each.name, each.port, each.protocol) for each in spec.listeners] == [
        ("http", 80, "HTTP"),
        ("https", 443, "HTTPS"),
    ]
    assert (spec.network, spec.replicas, spec.image) == ("published", 1, "haproxy:3.0")
    assert (spec.trusted_proxies, spec.access_log, spec.default_response.status) == ((), False, 404)


def test_a_whole_gateway_survives_being_written() -> None:
    made = gateway(
        listeners=[
            {**HTTP, "address": "127.0.0.1", "proxyProtocol": True},
            {"name": "ssh", "port": 2222, "protocol": "TCP"},
            {"name": "db", "port": 5432, "protocol": "TLS"},
        ],
        network="host",
        replicas=2,
        image="haproxy:3.2",
        trustedProxies=["10.0.0.0/8"],
        timeouts={"client": "2m", "tunnel": "2h"},
        drainSeconds=10,
        defaultResponse={"status": 421},
        accessLog=True,
        maxHeaderKiB=64,
        dropHeaders=["X-Auth-*"],
        suspend=True,
    )
    document = made.to_document()

    assert document["spec"]["listeners"][0] == {
        **HTTP, "address": "127.0.0.1", "proxyProtocol": True, "http3": False,
    }  # fmt: skip
    assert VaultGateway.model_validate_json(json.dumps(document)) == made


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({"listeners": []}, "at least 1 item"),
        ({"listeners": [HTTP, {**HTTP, "port": 81}]}, "names that differ: http is given twice"),
        ({"listeners": [HTTP, {**HTTP, "name": "b"}]}, "ports that differ: http and b both listen on 80"),
        ({"listeners": [{**HTTP, "protocol": "UDP"}]}, "'HTTP'"),
        ({"listeners": [{**HTTP, "port": 65536}]}, "less than or equal to 65535"),
        ({"listeners": [{**HTTP, "address": "localhost"}]}, "an IPv4 or IPv6 address"),
        ({"listeners": [{**HTTP, "name": "a b"}]}, "lower-case letters"),
        (
            {"listeners": [{**HTTP, "proxyProtocol": True}]},
            "proxyProtocol of listener http needs the networks",
        ),
        ({"readiness": {"path": "/"}}, "a path such as /-/ready"),
        ({"readiness": {"path": "/a b"}}, "a path such as /-/ready"),
        ({"readiness": {"path": "/ready?x"}}, "a path such as /-/ready"),
        ({"readiness": {"path": "/r", "graceSeconds": -1}}, "greater than or equal to 0"),
        (
            {"readiness": {"path": "/r"}, "listeners": [{"name": "ssh", "port": 22, "protocol": "TCP"}]},
            "readiness needs a listener of protocol HTTP or HTTPS",
        ),
        ({"network": "bridge"}, "'host'"),
        ({"replicas": 3}, "less than or equal to 2"),
        ({"image": "a b"}, "an image reference"),
        ({"trustedProxies": ["10.0.0.1/8"]}, "write 10.0.0.0/8"),
        ({"timeouts": {"client": "0s"}}, "between 1s and 24h"),
        ({"defaultResponse": {"status": 200}}, "403, 404, 421 or 503"),
        ({"dropHeaders": ["Host"]}, "would drop host"),
        ({"maxHeaderKiB": 8}, "greater than or equal to 16"),
        ({"unknown": 1}, "not permitted"),
    ],
    ids=lambda value: json.dumps(value) if isinstance(value, dict) else "",
)
def test_what_a_gateway_cannot_mean_is_refused(spec: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError) as refused:
        gateway(**spec)
    assert message in str(refused.value)


def test_http_listeners_route_requests_and_others_connections() -> None:
    listeners = gateway(
        listeners=[HTTP, {"name": "db", "port": 5432, "protocol": "TLS"}],
    ).spec.listeners
    assert [each.is_http for each in listeners] == [True, False]


def test_the_defaults_are_those_of_the_model() -> None:
    assert gateway().spec == GatewaySpec()


def test_its_ports_are_those_of_its_listeners() -> None:
    assert gateway().ports == {"spec.listeners.0.port": 80, "spec.listeners.1.port": 443}


def test_it_has_a_crd_and_a_schema_like_any_kind() -> None:
    kind = Kind(
        name="VaultGateway",
        plural="vaultgateways",
        model=("reconciler.api.vaultgateway", "VaultGateway"),
        columns=(Column("Routes", "integer", ".status.routes"),),
    )
    (version,) = custom_resource_definition(kind)["spec"]["versions"]
    spec = version["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]

    assert spec["listeners"]["minItems"] == 1
    assert [each["name"] for each in spec["listeners"]["default"]] == ["http", "https"]
    assert spec["defaultResponse"]["properties"]["status"]["enum"] == [403, 404, 421, 503]
    assert editor_schema(kind)["title"] == "VaultGateway"


def test_files_of_its_account_are_relative_to_its_manifest() -> None:
    account = {"externalAccount": {"keyId": "kid", "keyFile": "eab.key"}, "caFile": "/etc/ca.pem"}
    made = gateway(acme={"acceptTerms": True, **account})
    assert made.settings_files == {
        "spec.acme.externalAccount.keyFile": "eab.key",
        "spec.acme.caFile": "/etc/ca.pem",
    }
    located = made.located(Path("/manifests"))
    assert located.settings_files == {
        "spec.acme.externalAccount.keyFile": "/manifests/eab.key",
        "spec.acme.caFile": "/etc/ca.pem",
    }
    assert list(located.secret_files.values()) == ["/manifests/eab.key"]
    assert located.located(Path("/elsewhere")) == located
    assert gateway(acme={"acceptTerms": True}).located(Path("/x")).settings_files == {}
    assert gateway().located(Path("/x")).settings_files == {}
