"""What programs read has every field, and no secret."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from reconciler.api import Ports, Status, VaultService
from reconciler.api.route import Route
from reconciler.api.tcp import TcpRoute
from reconciler.app.documents import claimed, event_document, resource_document, revision_document, url
from reconciler.store.base import Event, Origin, RevisionRecord, StoredObject
from reconciler.store.object_view import ObjectViews
from reconciler.store.objects import ObjectStore

MakeService = Callable[..., VaultService]
MakeStatus = Callable[..., Status]
READY = ("True", "Serving", "3 of 3 serve")
NOW = datetime(2026, 5, 1, 12, 0, tzinfo=UTC)
EVENT = Event(
    kind="VaultService",
    name="files",
    type="Warning",
    reason="ReplicaDied",
    message="exited with code 1\nsecond line",
    revision="v1-abc",
    commit="",
    count=3,
    first_time=NOW - timedelta(minutes=5),
    last_time=NOW - timedelta(seconds=10),
)


def test_the_document_is_the_resource_with_its_status(
    make_service: MakeService, make_status: MakeStatus, origin: Origin
) -> None:
    body = resource_document(StoredObject(make_service(), origin), make_status(4, Ready=READY))
    assert body["kind"] == "VaultService"
    assert body["status"]["observedGeneration"] == 4


def test_the_url_is_on_this_machine(make_service: MakeService) -> None:
    assert url(make_service(ports={"http": 9000})) == "http://127.0.0.1:9000/"


def test_a_service_with_routes_is_where_they_lead(
    objects: ObjectStore, make_service: MakeService, origin: Origin, state: Path
) -> None:
    routes = ({"hostnames": ["a.test", "b.test"]}, {"hostnames": ["a.test"], "path": "/api"})
    service = make_service(
        ports=Ports(),
        routes=tuple(map(Route.model_validate, routes)),
        tcp=(TcpRoute(port=2222, target=22),),
    )
    assert claimed(service) == ("a.test/", "b.test/", "a.test/api", "port 2222")
    assert url(service) == "a.test/ and 3 more"
    objects.apply(service, origin)
    # A table reads the stored object without its models, and a single route as well.
    stored = ObjectViews(state, lambda: objects).get("files")
    assert stored is not None
    assert claimed(stored.resource) == claimed(service)
    objects.apply(make_service(ports=Ports(), route=Route(hostnames=("c.test",))), origin)
    stored = ObjectViews(state, lambda: objects).get("files")
    assert stored is not None
    assert (url(stored.resource), claimed(stored.resource)) == ("c.test/", ("c.test/",))


def test_an_event_has_everything() -> None:
    body = event_document(EVENT)
    assert body["count"] == 3
    assert datetime.fromisoformat(body["lastTime"]) == EVENT.last_time


def test_a_revision_has_names_of_settings_and_no_values() -> None:
    spec = '{"plugin": "files", "env": {"TOKEN": "hunter2"}}'
    record = RevisionRecord("files", 3, "v1-abc", spec, "spec", "", NOW, "", None)
    body = revision_document(record)
    assert body["spec"] == {"plugin": "files", "env": {"TOKEN": "…"}}
    assert (body["number"], body["result"], body["finishedAt"]) == (3, None, None)
