"""The lines of `vaultctl images`: what runs, what the registry says, and what cannot be known."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from reconciler.api import PermanentError, VaultService
from reconciler.app.images import image_document, images
from reconciler.core.desired.build import build
from reconciler.core.desired.stack import Stack
from reconciler.core.images.reference import Reference
from reconciler.engines.memory.engine import MemoryEngine
from reconciler.engines.memory.machine import Machine
from reconciler.proxy.haproxy.front import FRONT
from reconciler.registry.errors import RegistryError
from reconciler.store.base import Origin
from reconciler.store.objects import ObjectStore
from tests.core.desired.test_build import SITE, Sample

NOW = datetime(2026, 5, 1, 12, 0, tzinfo=UTC)
OLD, NEW = "sha256:" + "a" * 64, "sha256:" + "b" * 64
KEY = "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n"
FRAGMENT = {"services": {"web": {"image": "r.test/app:1.4.2"}, "db": {"image": "db:17"}}}


@dataclass
class Shelf:
    """Registries that know one answer for each repository."""

    known: dict[str, tuple[tuple[str, ...], str]]
    asked: list[str] = field(default_factory=list)
    signed: bool = False

    def _find(self, image: Reference) -> tuple[tuple[str, ...], str]:
        self.asked.append(str(image))
        if image.place not in self.known:
            raise RegistryError(f"{image.registry} cannot be reached")
        return self.known[image.place]

    def tags(self, image: Reference) -> tuple[str, ...]:
        return self._find(image)[0]

    def digest(self, image: Reference) -> str:
        return self._find(image)[1]

    def is_signed(self, image: Reference, keys: Sequence[str]) -> bool:
        assert (image.digest, keys) == (NEW, (KEY,))
        return self.signed


@dataclass
class Scene:
    engine: MemoryEngine
    registries: Shelf

    @property
    def history(self) -> Any:
        raise AssertionError("no service has a policy")

    def sightings(self, name: str) -> Any:
        raise AssertionError("no service has a policy")

    def build(self, service: VaultService, base: Any = None) -> Stack:
        if service.name == "broken":
            raise PermanentError("it cannot be built")
        return build(service, Sample(FRAGMENT), SITE, front=FRONT)


def scene() -> Scene:
    engine = MemoryEngine(Machine(lambda: 0.0, lambda: NOW))
    engine.image_digests = {"r.test/app:1.4.2": frozenset({NEW}), "haproxy:3.0": frozenset({OLD})}
    return Scene(
        engine,
        Shelf({"r.test/app": (("1.4.2", "1.5.0"), NEW), "docker.io/library/haproxy": (("3.0",), NEW)}),
    )


def stored(
    objects: ObjectStore, origin: Origin, make_service: Callable[..., VaultService], *names: str
) -> list[Any]:
    for name in names:
        objects.apply(make_service(name, ports={"http": 8000 + len(objects.names())}), origin)
    return [objects.get(name) for name in names]


def test_each_workload_has_a_line(
    objects: ObjectStore, origin: Origin, make_service: Callable[..., VaultService]
) -> None:
    on = scene()
    lines = images(on, stored(objects, origin, make_service, "files"), NOW, on.registries)
    assert [(n.workload, n.running, n.wanted, str(n.standing.state), n.standing.newest) for n in lines] == [
        ("haproxy", 0, 1, "Moved", ""),
        ("web", 0, 1, "Behind", "1.5.0"),
        ("db", 0, 1, "Local", ""),
    ]
    assert image_document(lines[1]) == {
        "service": "files",
        "workload": "web",
        "image": "r.test/app:1.4.2",
        "running": 0,
        "replicas": 1,
        "state": "Behind",
        "newest": "1.5.0",
        "digest": NEW,
        "choice": None,
        "message": "1.5.0 is newer than 1.4.2",
    }


def test_each_image_is_asked_for_once(
    objects: ObjectStore, origin: Origin, make_service: Callable[..., VaultService]
) -> None:
    on = scene()
    assert len(images(on, stored(objects, origin, make_service, "files", "wiki"), NOW, on.registries)) == 6
    assert on.registries.asked == ["haproxy:3.0"] * 2 + ["r.test/app:1.4.2"] * 2


def test_a_service_that_cannot_be_built_and_a_registry_that_is_away_hide_no_other(
    objects: ObjectStore, origin: Origin, make_service: Callable[..., VaultService]
) -> None:
    on = scene()
    del on.registries.known["docker.io/library/haproxy"]
    lines = images(on, stored(objects, origin, make_service, "broken", "files"), NOW, on.registries)
    assert [(n.workload, str(n.standing.state), n.standing.message) for n in lines][:3] == [
        ("", "Unknown", "it cannot be built"),
        ("haproxy", "Unknown", "docker.io cannot be reached"),
        ("web", "Behind", "1.5.0 is newer than 1.4.2"),
    ]


class Untried:
    """A history without rollouts, and sightings of no tag."""

    def revisions(self, name: str) -> tuple[()]:
        return ()

    def read(self, place: str) -> dict[str, datetime]:
        return {}


class Following(Scene):
    """With a policy."""

    @property
    def history(self) -> Any:
        return Untried()

    def sightings(self, name: str) -> Any:
        return Untried()


def test_what_a_policy_leaves_for_want_of_a_signature_is_told(
    objects: ObjectStore, origin: Origin, make_service: Callable[..., VaultService]
) -> None:
    on = Following(scene().engine, scene().registries)
    policy = {"workload": "web", "pattern": 'semver "^1"', "signedBy": [KEY]}
    files: Any = objects.apply(make_service("files", imagePolicy=policy), origin)

    def web() -> dict[str, Any]:
        (_, line, _) = images(on, [files], NOW, on.registries)
        return image_document(line)

    assert (web()["choice"], web()["message"]) == (
        None,
        "1.5.0 is newer than 1.4.2; 1.5.0 is signed with no key of imagePolicy.signedBy",
    )
    on.registries.signed = True
    assert (web()["choice"], web()["message"]) == (
        "1.5.0",
        "1.5.0 is newer than 1.4.2; imagePolicy chooses 1.5.0",
    )


def test_without_an_engine_the_registry_is_still_asked(
    objects: ObjectStore, origin: Origin, make_service: Callable[..., VaultService]
) -> None:
    on = scene()
    on.engine.away = True
    (_, web, db) = images(on, stored(objects, origin, make_service, "files"), NOW, on.registries)
    assert (web.running, str(web.standing.state)) == (None, "Behind")
    assert str(db.standing.state) == "Unknown"
    assert web.message == f"1.5.0 is newer than 1.4.2; {web.trouble}"
    assert "engine" in web.trouble
