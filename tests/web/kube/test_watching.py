"""A watcher ends with exactly what a list gives: a slow one, one of many, one over a restart; what is too old is 410."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Mapping, MutableMapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from reconciler.api.errors import TemporaryError
from reconciler.store.versions import Change, Versions
from reconciler.web.kube import watching
from reconciler.web.kube.asked import Form, list_options
from reconciler.web.kube.collection import Stored
from reconciler.web.kube.served import WATCHED
from reconciler.web.kube.watching import Bells, Watch

NOW = datetime(2026, 5, 1, 12, 0, tzinfo=UTC)
SERVICE = next(each for each in WATCHED if each.kind == "VaultService")
SECONDS = 60.0
Event = dict[str, Any]


class World:
    def __init__(self, path: Path, kept: int = 10_000) -> None:
        self.versions = Versions(path / "versions.sqlite3", lambda: NOW, kept)
        self.bells = Bells()
        self.versions.tell(self.bells.ring)

    def put(self, name: str, **labels: str) -> None:
        metadata = {"name": name, "uid": name, "labels": labels}
        self.versions.record({("VaultService", name): {"kind": "VaultService", "metadata": metadata}})

    def drop(self, name: str) -> None:
        self.versions.record({("VaultService", name): None})

    def watch(self, form: Form = "plain", **query: str) -> Watch:
        options = list_options({"watch": "1", **query})
        return Watch(
            Stored(SERVICE, self.versions), options, form, "Metadata", bells=self.bells, now=lambda: NOW
        )

    def events(self, form: Form = "plain", **query: str) -> list[Event]:
        """All events of a watch that ends at once."""

        async def ask() -> list[Event]:
            watch = self.watch(form, timeoutSeconds="0", **query)
            return [
                json.loads(line)
                for text in [each async for each in watch.lines()]
                for line in text.splitlines()
            ]

        return asyncio.run(ask())


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def told(events: list[Event]) -> list[tuple[str, str]]:
    return [(each["type"], each["object"].get("metadata", {}).get("name", "")) for each in events]


def test_without_a_number_it_begins_with_what_is_there(world: World) -> None:
    world.put("a")
    world.put("b")
    assert told(world.events()) == [("ADDED", "a"), ("ADDED", "b")]
    assert told(world.events(resourceVersion="0")) == [("ADDED", "a"), ("ADDED", "b")]


def test_from_a_number_only_what_changed_since(world: World) -> None:
    world.put("a")
    number = str(world.versions.number)
    world.put("b")
    world.put("a", color="red")
    world.drop("b")
    events = world.events(resourceVersion=number)
    assert told(events) == [("ADDED", "b"), ("MODIFIED", "a"), ("DELETED", "b")]
    assert events[-1]["object"]["metadata"]["resourceVersion"] == str(world.versions.number)


def test_initial_events_end_with_a_bookmark(world: World) -> None:
    world.put("a")
    added, end, last = world.events(
        sendInitialEvents="true", resourceVersionMatch="NotOlderThan", allowWatchBookmarks="true"
    )
    assert (added["type"], end["type"], last["type"]) == ("ADDED", "BOOKMARK", "BOOKMARK")
    assert end["object"]["metadata"]["annotations"] == {"k8s.io/initial-events-end": "true"}
    assert end["object"]["metadata"]["resourceVersion"] == str(world.versions.number)
    assert "annotations" not in last["object"]["metadata"]


def test_what_comes_into_a_selector_is_added_and_what_leaves_it_is_deleted(world: World) -> None:
    number = str(world.versions.number)
    world.put("a", color="red")
    world.put("a", color="blue")
    world.put("a", color="red")
    world.put("a", color="red", more="yes")
    world.drop("a")
    selected = world.events(resourceVersion=number, labelSelector="color=blue")
    assert told(selected) == [("ADDED", "a"), ("DELETED", "a")]
    selected = world.events(resourceVersion=number, labelSelector="color=red")
    assert [each["type"] for each in selected] == ["ADDED", "DELETED", "ADDED", "MODIFIED", "DELETED"]
    assert world.events(resourceVersion=number, fieldSelector="metadata.name=b") == []


@pytest.mark.parametrize("number", ["5", "99999999999999"])
def test_a_number_that_is_not_known_is_410(world: World, number: str) -> None:
    world.put("a")
    (event,) = world.events(resourceVersion=number)
    assert event["type"] == "ERROR"
    assert (event["object"]["code"], event["object"]["reason"]) == (410, "Expired")


def test_a_table_says_its_columns_once(world: World) -> None:
    world.put("a")
    world.put("b")
    first, second = world.events("table")
    assert [each["name"] for each in first["object"]["columnDefinitions"]][:2] == ["Name", "Plugin"]
    assert second["object"]["columnDefinitions"] is None
    assert second["object"]["rows"][0]["cells"][0] == "b"


class Broken(Stored):
    """A collection that cannot be read any more."""

    def __init__(self, world: World, error: Exception) -> None:
        super().__init__(SERVICE, world.versions)
        self._error = error

    def since(self, number: int, limit: int) -> tuple[int, Sequence[Change]] | None:
        raise self._error


def _sent(world: World, error: Exception) -> list[bytes]:
    options, sent = list_options({"watch": "1", "resourceVersion": "5"}), list[bytes]()
    watch = Watch(Broken(world, error), options, "plain", "Metadata", bells=world.bells, now=lambda: NOW)

    async def send(message: MutableMapping[str, Any]) -> None:
        sent.append(message.get("body", b""))

    async def receive() -> MutableMapping[str, Any]:
        await asyncio.sleep(SECONDS)
        return {"type": "http.disconnect"}

    asyncio.run(watch({}, receive, send))
    return list(filter(None, sent))


def test_an_error_is_an_event_and_a_defect_is_raised(world: World) -> None:
    (event,) = map(json.loads, _sent(world, TemporaryError("the engine is away")))
    assert (event["type"], event["object"]["code"]) == ("ERROR", 503)
    with pytest.raises(LookupError, match="a defect"):
        _sent(world, LookupError("a defect"))


class Client:
    """Follows a watch as an informer does: lists, watches, and lists again after 410."""

    def __init__(self, world: World, pause: float = 0) -> None:
        self.world = world
        self.pause = pause
        self.known: dict[str, str] = {}
        self.lists = 0
        self.at = 0

    async def follow(self, until: asyncio.Event) -> None:
        while not until.is_set() or self.at != self.world.versions.number:
            self.lists += 1
            self.at, documents = self.world.versions.documents("VaultService")
            self.known = {each.name: str(each.number) for each in documents}
            watch = self.world.watch(
                resourceVersion=str(self.at), timeoutSeconds="2", allowWatchBookmarks="true"
            )
            async for text in watch.lines():
                if not all(self._take(json.loads(line)) for line in text.splitlines()):
                    break
                await asyncio.sleep(self.pause)

    def _take(self, event: Event) -> bool:
        if event["type"] == "ERROR":
            return False
        metadata: Mapping[str, str] = event["object"]["metadata"]
        self.at = int(metadata["resourceVersion"])
        if event["type"] == "DELETED":
            del self.known[metadata["name"]]
        elif event["type"] != "BOOKMARK":
            assert (metadata["name"] in self.known) == (event["type"] == "MODIFIED")
            self.known[metadata["name"]] = metadata["resourceVersion"]
        return True


@pytest.mark.parametrize(
    ("kept", "clients", "pause"), [(10_000, 20, 0), (150, 2, 0.3)], ids=["many", "too slow"]
)
def test_each_watcher_ends_with_what_a_list_gives(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kept: int, clients: int, pause: float
) -> None:
    monkeypatch.setattr(watching, "BATCH", 10)
    world = World(tmp_path, kept)

    def change() -> None:
        for turn in range(1000):
            name = f"s{turn % 37}"
            if turn % 5 == 4:
                world.drop(name)
            else:
                world.put(name, turn=str(turn))

    async def run() -> list[Client]:
        done = asyncio.Event()
        followers = [Client(world, pause) for _ in range(clients)]
        tasks = [asyncio.create_task(each.follow(done)) for each in followers]
        async with asyncio.timeout(SECONDS):
            await asyncio.to_thread(change)
            done.set()
            await asyncio.gather(*tasks)
        return followers

    followers = asyncio.run(run())
    listed = {each.name: str(each.number) for each in world.versions.documents("VaultService")[1]}
    assert listed
    assert all(each.known == listed for each in followers)
    if pause:
        assert all(each.lists >= 2 for each in followers)


def test_a_client_that_takes_nothing_is_left_and_holds_nobody(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watching, "STALLED_SECONDS", 0.2)
    world.put("a")
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)
        if len(sent) > 2:
            await asyncio.Event().wait()

    async def receive() -> Any:
        await asyncio.Event().wait()

    async def run() -> None:
        async with asyncio.timeout(SECONDS):
            await world.watch()({}, receive, send)

    asyncio.run(run())
    assert len(sent) == 3


def test_the_end_of_the_server_ends_watches(world: World) -> None:
    async def run() -> list[bytes]:
        async with asyncio.timeout(SECONDS):
            threading.Timer(0.3, world.bells.close).start()
            return [each async for each in world.watch(resourceVersion=str(world.versions.number)).lines()]

    assert asyncio.run(run()) == []
