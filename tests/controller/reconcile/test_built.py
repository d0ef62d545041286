"""A kept stack is what a builder without a memory would build, whatever has changed since."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from ipaddress import ip_network
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final, cast

import pytest

from reconciler.api import VaultService
from reconciler.api.errors import TemporaryError, VaultError
from reconciler.controller.reconcile import built
from reconciler.controller.reconcile.builder import Builder
from reconciler.controller.reconcile.built import BuiltStacks
from reconciler.core.admission import HostRoot, Policy
from reconciler.core.admission.roots import Kind, Seen
from reconciler.core.desired.front import Front
from reconciler.core.desired.stack import Stack
from reconciler.core.routes.routed import Routed
from reconciler.proxy.haproxy.front import FRONT
from vault_plugins.contract import Healthcheck, VaultServicePlugin
from vault_plugins.loading import LoadedPlugin
from vault_plugins.registry import Registry

ASKED: Final = Healthcheck("/healthz", "localhost")


class Web(VaultServicePlugin):
    """A plugin that says what a test wants it to say."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.metadata = VaultServicePlugin.Metadata(name="Web", slug="web", default_port=80)
        self.dependencies = world.dependencies
        self.default_environment = world.defaults
        self.single_writer = world.single_writer

    def build_compose(self, env: Mapping[str, str]) -> Mapping[str, Any]:
        self.world.asked += 1
        configs = {"c": {"file": str(self.world.config)}}
        return {"services": self.world.services, "networks": self.world.networks, "configs": configs}

    def get_containers(self) -> list[str]:
        return self.world.web

    def operator_warnings(self, env: Mapping[str, str]) -> list[str]:
        return self.world.warnings

    def resolve_port(self, env: Mapping[str, str]) -> int:
        return self.world.port

    def resolve_replicas(self, env: Mapping[str, str]) -> int:
        return self.world.replicas

    def resolve_healthcheck(self, env: Mapping[str, str]) -> Healthcheck:
        return self.world.health


def look(path: str) -> Seen:
    """Without the mounts of this machine, which change while other tests start containers."""
    return Seen(str(Path(path).resolve()), Kind.DIRECTORY if Path(path).is_dir() else Kind.FILE)


class World(Registry):
    """All that a stack is built from."""

    def __init__(self, root: Path) -> None:
        super().__init__([])
        self.root, self.data, self.config = root, root / "data", root / "config.ini"
        self.data.mkdir()
        self.config.write_text("one")
        (root / "more").mkdir()
        self.settings_file, self.secret = root / "settings.env", root / "token"
        self.settings_file.write_text("COLOUR=red\n")
        self.secret.write_text("first")
        for file in (self.settings_file, self.secret):
            file.chmod(0o600)
        self.spec: dict[str, Any] = {
            "plugin": "web",
            "ports": {"http": 8080},
            "envFrom": [{"file": str(self.settings_file)}],
            "secrets": [{"name": "token", "file": str(self.secret)}],
        }
        self.web = ["web"]
        self.services: dict[str, Any] = {
            "web": {
                "image": "web:1",
                "configs": ["c"],
                "volumes": [f"{self.data}:/data:ro"],
                "init": True,
                "labels": {"a": "1", "b": "2"},
            },
            "beside": {"image": "beside:1", "networks": ["own"]},
        }
        self.networks = {"own": {"ipam": {"config": [{"subnet": "172.30.0.0/24"}]}}}
        self.dependencies: tuple[str, ...] = ()
        self.warnings: list[str] = []
        self.defaults: Mapping[str, str] = {}
        self.single_writer, self.port, self.replicas, self.health = False, 80, 2, ASKED
        self.older: set[str] = set()
        self.directories: Callable[[], tuple[str, ...]] = lambda: ("/var/lib/docker",)
        self.subnets = (ip_network("10.0.0.0/8"),)
        self.policy = Policy(
            host_roots=(HostRoot(str(root)),),
            look=look,
            routes=lambda: self.subnets,
            engine_directories=lambda: self.directories(),
        )
        self.front: Front = FRONT
        self.state = root / "state"
        self.key, self.routed = b"key", cast(Routed | None, None)
        self.asked = 0

    def get(self, slug: str) -> LoadedPlugin:
        """The plugin, newly made as in each pass."""
        return cast(LoadedPlugin, SimpleNamespace(create=lambda: Web(self)))

    def built(self, stacks: BuiltStacks) -> Stack | str:
        """What is built now, or what is wrong with it."""
        builder = Builder(
            self,
            self.state.joinpath,
            self.policy,
            self.front,
            precedes=lambda first, second: first in self.older,
            key=self.key,
            routed=lambda service: self.routed,
            secret_root=lambda name: self.root / "run" / name,
            built=stacks,
        )
        service = VaultService.model_validate({"metadata": {"name": "shop"}, "spec": self.spec})
        try:
            return builder.build(service)
        except VaultError as error:
            return f"{type(error).__name__}: {error}"


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def test_nothing_is_built_again_while_nothing_changes(world: World) -> None:
    stacks = BuiltStacks()
    first, second = world.built(stacks), world.built(stacks)
    assert isinstance(first, Stack)
    assert isinstance(second, Stack)
    assert second == first
    assert second.document is first.document
    assert world.asked == 2, "the plugin is asked in each pass"


def _lead_to(directory: Path, target: str) -> None:
    directory.rmdir()
    directory.symlink_to(target)


CHANGES: Final[Mapping[str, Callable[[World], object]]] = {
    "a field of the spec": lambda w: w.spec.update(replicas=3, strategy={"drainSeconds": 7}),
    "a setting": lambda w: w.spec.update(env={"COLOUR": "blue"}),
    "an image": lambda w: w.spec.update(images={"web": "web:2"}),
    "a settings file": lambda w: w.settings_file.write_text("COLOUR=blue\n"),
    "a file of secrets": lambda w: w.secret.write_text("second"),
    "a mounted file": lambda w: w.config.write_text("three"),
    "a mounted file that is gone": lambda w: w.config.unlink(),
    "a mounted path that leads elsewhere": lambda w: _lead_to(w.data, "/proc"),
    "the fragment": lambda w: w.services["web"].update(image="web:3"),
    "a service of the fragment": lambda w: w.services.pop("beside"),
    "the type of a value": lambda w: w.services["web"].update(init=1),
    "the order of a mapping": lambda w: w.services["web"].update(labels={"b": "2", "a": "1"}),
    "which services are web": lambda w: w.web.append("beside"),
    "a dependency": lambda w: setattr(w, "dependencies", ("beside",)),
    "a warning": lambda w: w.warnings.append("mind the gap"),
    "a default": lambda w: setattr(w, "defaults", {"SHAPE": "round"}),
    "a default that a settings file has too": lambda w: setattr(w, "defaults", {"COLOUR": "green"}),
    "the port": lambda w: setattr(w, "port", 81),
    "the replicas": lambda w: setattr(w, "replicas", 4),
    "the path of the health check": lambda w: setattr(w, "health", Healthcheck("/up", "localhost")),
    "the host of the health check": lambda w: setattr(w, "health", Healthcheck("/healthz", "shop")),
    "a single writer": lambda w: setattr(w, "single_writer", True),
    "the key of revisions": lambda w: setattr(w, "key", b"another"),
    "what stands in front": lambda w: setattr(w, "front", replace(FRONT, redispatch=9.0)),
    "the directory of the service": lambda w: setattr(w, "state", w.root / "elsewhere"),
    "the policy": lambda w: setattr(w, "policy", replace(w.policy, bind="127.0.0.1")),
    "a root of the policy": lambda w: setattr(w, "policy", replace(w.policy, host_roots=())),
    "a network of the host": lambda w: setattr(w, "subnets", (ip_network("172.30.0.0/16"),)),
    "where the engine has its data": lambda w: setattr(w, "directories", lambda: (str(w.data),)),
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_change_is_noticed(world: World, name: str) -> None:
    stacks = BuiltStacks()
    before = world.built(stacks)
    assert isinstance(before, Stack), before
    CHANGES[name](world)
    after = world.built(stacks)
    anew = world.built(BuiltStacks())
    assert shown(after) == shown(anew)
    assert shown(after) != shown(before)
    assert shown(world.built(stacks)) == shown(anew), "and it stays noticed"


def shown(stack: Stack | str) -> str:
    """All of it; as text, because 1 and True are equal."""
    return stack if isinstance(stack, str) else repr(replace(stack, document={})) + json.dumps(stack.document)


def test_an_older_service_is_asked_for_each_time(world: World) -> None:
    stacks = BuiltStacks()
    world.services["b-web"] = {"image": "b:1"}
    assert isinstance(world.built(stacks), Stack)
    world.older.add("shop-b")
    refused = world.built(stacks)
    assert isinstance(refused, str)
    assert "shop-b" in refused
    world.older.clear()
    assert isinstance(world.built(stacks), Stack)


def test_routes_are_asked_for_each_time(world: World) -> None:
    stacks = BuiltStacks()
    del world.spec["ports"]
    world.spec["route"] = {"hostnames": ["shop.example.com"], "gateway": "edge"}
    world.routed = Routed(ports=frozenset({80}))
    before = world.built(stacks)
    world.routed = Routed(ports=frozenset({443}))
    after = world.built(stacks)
    assert isinstance(before, Stack)
    assert isinstance(after, Stack)
    assert (before.routed, after.routed) == (Routed(ports=frozenset({80})), world.routed)


def test_what_cannot_be_asked_ends_the_pass(world: World) -> None:
    def away() -> tuple[str, ...]:
        raise TemporaryError("the engine does not answer")

    stacks = BuiltStacks()
    assert isinstance(world.built(stacks), Stack)
    world.directories = away
    assert world.built(stacks) == "TemporaryError: the engine does not answer"


def test_the_service_that_was_built_first_is_forgotten_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(built, "KEPT", 2)
    stacks, made = BuiltStacks(), list[str]()

    def build(name: str) -> None:
        def make(**questions: object) -> Stack:
            made.append(name)
            return cast(Stack, name)

        stacks.stack(name, (), {}, make)

    for name in ("a", "b", "c", "b", "c", "a"):
        build(name)
    assert made == ["a", "b", "c", "a"]
