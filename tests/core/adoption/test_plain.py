"""The Compose file of a released service: what ran, without what is the controller's."""

from __future__ import annotations

from dataclasses import replace

from reconciler.core.adoption.plain import hindrances, named_volumes, plain
from reconciler.core.desired.stack import Stack
from tests.simulation.services import Wish, build_stack

STACK = build_stack(Wish(plugin="stateful", replicas=3).service())


def adopted() -> Stack:
    """With the volume and the network of a project."""
    document = {
        **STACK.document,
        "services": {
            name: {**body, "networks": {"default": {}, **({"vault-net": {}} if name == "web" else {})}}
            if name in ("web", "database", "worker", "migrate")
            else body
            for name, body in STACK.document["services"].items()
        },
        "volumes": {"data": {"name": "shop_data", "external": True}},
        "networks": {**STACK.document["networks"], "default": {"name": "shop_default", "external": True}},
    }
    return replace(STACK, document=document)


def test_what_runs_is_what_ran() -> None:
    made = plain(STACK, "files", 8080)
    services = made.document["services"]
    assert made.document["name"] == "files"
    assert set(services) == {"web", "database", "worker", "migrate"}, "no HAProxy"
    assert services["web"]["ports"] == ["8080:8000"]
    assert {name for name, body in services.items() if "ports" in body} == {"web"}
    assert all("internal.vault" not in str(body) for body in services.values())
    assert "replicas" not in str(services["web"])
    assert services["web"]["environment"] == STACK.document["services"]["web"]["environment"]
    assert made.document["volumes"] == {"data": {"name": "vault-files_data", "external": True}}
    assert [set(body["networks"]) for body in services.values()] == [{"default"}] * 4
    assert "networks" not in made.document, "Compose makes the default one"
    assert named_volumes(STACK) == {"vault-files_data"}


def test_it_starts_in_the_order_of_needs_and_without_jobs() -> None:
    made = plain(STACK, "files", 8080)
    assert made.order == ("database", "web", "worker")
    assert made.notes == (
        "services.web: one of 3 is left, since one container can publish a port",
        "services.migrate: is a job, and is not run; `docker compose up` without names would run it again",
    )


def test_an_adopted_one_goes_back_to_its_own_volume_and_network() -> None:
    document = plain(adopted(), "shop", 8080).document
    assert document["volumes"] == {"data": {"name": "shop_data", "external": True}}
    assert document["networks"] == {"default": {"name": "shop_default", "external": True}}
    assert [set(body["networks"]) for body in document["services"].values()] == [{"default"}] * 4


def test_it_publishes_on_the_address_of_the_operator() -> None:
    assert plain(STACK, "files", 80, "127.0.0.1").document["services"]["web"]["ports"] == [
        "127.0.0.1:80:8000"
    ]


def test_labels_of_the_user_stay() -> None:
    services = STACK.document["services"]
    web = {**services["web"], "labels": {**services["web"]["labels"], "team": "web"}}
    stack = replace(STACK, document={**STACK.document, "services": {**services, "web": web}})
    assert plain(stack, "files", 80).document["services"]["web"]["labels"] == {"team": "web"}


def test_secrets_that_are_in_no_file_stay_in_none() -> None:
    assert list(hindrances(STACK)) == []
    for stack in (replace(STACK, sealed=("x",)), replace(STACK, secret_files={"/run/x": {}})):
        (reason,) = hindrances(stack)
        assert "encrypted files or spec.secrets" in reason
    separate = build_stack(Wish(plugin="separate", replicas=2).service())
    assert any("more than one web service" in reason for reason in hindrances(separate))
