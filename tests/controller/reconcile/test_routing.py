"""All passes settle the routes of the same objects, and come to the same."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from reconciler.api import VaultService
from reconciler.api.errors import TemporaryError, VaultError
from reconciler.api.kinds import VAULT_GATEWAY, Kind
from reconciler.api.vaultgateway import VaultGateway
from reconciler.controller.reconcile.routing import Router, Routing, settle_objects
from reconciler.core.routes.claims import HttpKey
from reconciler.store.base import Objects, StoredObject, UnreadableError
from tests.simulation.stores import ORIGIN, MemoryObjects

NOW = datetime(2026, 5, 1, tzinfo=UTC)


@pytest.fixture
def objects() -> MemoryObjects:
    return MemoryObjects()


def gateway(objects: MemoryObjects, name: str) -> None:
    objects.of(VAULT_GATEWAY).apply(VaultGateway.model_validate({"metadata": {"name": name}}), ORIGIN)


def service(objects: MemoryObjects, name: str, **spec: Any) -> None:
    document = {"metadata": {"name": name}, "spec": {"plugin": "whoami", **spec}}
    objects.apply(VaultService.model_validate(document, by_alias=True, by_name=False), ORIGIN)


def owners(routing: Routing, name: str) -> dict[str, str]:
    table = routing.tables[name]
    return {str(key): table.services[route] for key, route in table.http.items()}


def test_services_with_routes_have_them(objects: MemoryObjects) -> None:
    gateway(objects, "main")
    service(objects, "files", route={"hostnames": ["files.test"]})
    service(objects, "plain")
    routing = settle_objects(objects)

    assert owners(routing, "main") == {"files.test/": "files"}
    assert (set(routing.claimants), routing.refusals) == ({"files"}, ())


def test_the_one_that_was_applied_first_keeps_a_host(objects: MemoryObjects) -> None:
    gateway(objects, "main")
    for name in ("wiki", "files"):
        service(objects, name, route={"hostnames": ["same.test"]})
    routing = settle_objects(objects)

    assert owners(routing, "main") == {"same.test/": "wiki"}
    assert [each.claim.service for each in routing.refused("main")] == ["files"]


def test_a_service_that_is_being_deleted_has_no_route_and_a_gateway_keeps_its_own(
    objects: MemoryObjects,
) -> None:
    gateway(objects, "main")
    for name in ("wiki", "files"):
        service(objects, name, route={"hostnames": ["same.test"]})
    objects.request_deletion("wiki", volumes=False, now=NOW)
    objects.of(VAULT_GATEWAY).request_deletion("main", False, NOW)

    assert owners(settle_objects(objects), "main") == {"same.test/": "files"}


def test_a_refusal_belongs_to_the_gateway_that_was_meant(objects: MemoryObjects) -> None:
    for name in ("main", "other"):
        gateway(objects, name)
    service(objects, "files", tcp=[{"gateway": "main", "port": 22, "target": 22}])
    service(objects, "wiki", route={"hostnames": ["wiki.test"]})
    routing = settle_objects(objects)

    assert [each.claim.service for each in routing.refused("main")] == ["files"]
    assert routing.refused("other") == ()
    assert len(routing.refusals) == 2


def test_what_is_permitted_is_asked(objects: MemoryObjects) -> None:
    gateway(objects, "main")
    service(objects, "files", route={"hostnames": ["files.test", "evil.test"]})
    routing = settle_objects(objects, lambda service, host: host == f"{service}.test")

    assert routing.tables["main"].http == {HttpKey("files.test", "/"): "files.0"}


def test_an_object_that_is_lost_settles_nothing(
    objects: MemoryObjects, monkeypatch: pytest.MonkeyPatch
) -> None:
    gateway(objects, "main")
    service(objects, "files", route={"hostnames": ["files.test"]})

    monkeypatch.setattr(objects, "get", unreadable)
    monkeypatch.setattr(objects, "kept", lambda name: None)
    with pytest.raises(UnreadableError, match="files cannot be understood"):
        settle_objects(objects)


def test_one_that_is_lost_can_be_applied_again(
    objects: MemoryObjects, monkeypatch: pytest.MonkeyPatch
) -> None:
    gateway(objects, "main")
    service(objects, "files", route={"hostnames": ["files.test"]})
    stored = objects.get("files")
    assert stored is not None
    monkeypatch.setattr(objects, "get", unreadable)
    monkeypatch.setattr(objects, "kept", lambda name: None)
    found = Router(objects).routed(stored.resource)
    assert found is not None
    assert [grant.gateway for grant in found.grants] == ["main"]


def unreadable(name: str) -> None:
    raise UnreadableError(f"{name} cannot be understood")


@pytest.mark.parametrize("error", [UnreadableError, TemporaryError])
def test_a_service_that_cannot_be_read_keeps_its_routes_and_others_go_on(
    objects: MemoryObjects, monkeypatch: pytest.MonkeyPatch, error: type[VaultError]
) -> None:
    gateway(objects, "main")
    service(objects, "files", route={"hostnames": ["files.test"]})
    get = objects.get

    def damaged(name: str) -> StoredObject[Any] | None:
        if name == "files":
            raise error("files cannot be read")
        return get(name)

    monkeypatch.setattr(objects, "get", damaged)
    service(objects, "wiki", route={"hostnames": ["wiki.test", "files.test"]})
    routing = settle_objects(objects)

    assert owners(routing, "main") == {"files.test/": "files", "wiki.test/": "wiki"}
    assert routing.unread("main") == {"files": "files cannot be read"}
    assert [each.claim.service for each in routing.refusals] == ["wiki"], "it is newer, also now"


def test_a_gateway_that_cannot_be_read_keeps_its_routes(
    objects: MemoryObjects, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("main", "other"):
        gateway(objects, name)
    service(objects, "files", route={"hostnames": ["files.test"]})
    before = settle_objects(objects)
    monkeypatch.setattr(objects.of(VAULT_GATEWAY), "get", unreadable)

    # A route that names no gateway must not move to the only one that is left.
    assert settle_objects(objects).refusals == before.refusals


class Counting(MemoryObjects):
    """Objects that say when one has changed, and count how often one is read; `stamped` is what the stamp is now."""

    stamped: object = 1
    reads = 0

    def of(self, kind: Kind) -> Objects[Any, Any]:
        return self._kinds.get(kind) or Counting(kind, self._kinds)

    def stamp(self) -> object | None:
        return Counting.stamped

    def get(self, name: str) -> StoredObject[Any] | None:
        Counting.reads += 1
        return super().get(name)


def test_a_router_reads_all_objects_only_after_a_change() -> None:
    objects = Counting()
    gateway(objects, "main")
    for name in ("one", "two", "plain"):
        service(objects, name, **({"route": {"hostnames": [f"{name}.test"]}} if name != "plain" else {}))
    stored = [objects.get(name) for name in objects.names()]
    one, plain, two = (each.resource for each in stored if each)
    router = Router(objects)
    assert router.routed(plain) is None
    first = router.routed(one)
    assert first is not None
    assert [grant.gateway for grant in first.grants] == ["main"]
    Counting.reads = 0
    assert router.routed(two) is not None
    assert router.routed(one) == first
    assert Counting.reads == 0

    # One that is about to be stored is judged as if it were.
    taken = one.model_copy(update={"spec": two.spec})
    refused = router.routed(taken)
    assert refused is not None
    assert not refused.refusals, "it is older than the other one"
    newer = two.model_copy(update={"spec": one.spec})
    refused = router.routed(newer)
    assert refused is not None
    assert [each.why.value for each in refused.refusals] == ["Conflicted"]

    Counting.stamped = 2
    Counting.reads = 0
    router.routed(one)
    assert Counting.reads > 0
    Counting.stamped = None
    Counting.reads = 0
    for _ in range(2):
        router.routed(one)
    assert Counting.reads == 2 * 4


def test_one_that_is_not_stored_comes_after_all_others(objects: MemoryObjects) -> None:
    gateway(objects, "main")
    service(objects, "files", route={"hostnames": ["files.test"]})
    stored = objects.get("files")
    assert stored is not None
    other = stored.resource.model_copy(
        update={"metadata": stored.resource.metadata.model_copy(update={"name": "a"})}
    )
    found = Router(objects).routed(other)
    assert found is not None
    assert [each.why.value for each in found.refusals] == ["Conflicted"]


def test_its_files_of_logins_are_read_for_each_question(objects: MemoryObjects, tmp_path: Path) -> None:
    file = tmp_path / "users"
    gateway(objects, "main")
    route = {"hostnames": ["files.test"], "auth": {"basic": {"file": str(file)}}}
    service(objects, "files", route=route)
    made, router = objects.get("files"), Router(objects)
    assert made is not None
    for text, told in (("ada", "1: has no ':'"), (None, "does not exist"), ("", "")):
        file.unlink(missing_ok=True)
        if text is not None:
            file.write_text(text)
        found = router.routed(made.resource)
        assert found is not None
        assert told in " ".join(message for _, message in found.problems)
        assert bool(found.problems) is bool(told)
