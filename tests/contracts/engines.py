"""The engines that the contract is tried on, each with what happens to it from outside.

`EngineWorld` is what the tests are written against: an engine, stacks to create, and the changes that people, processes
and the kernel make beside it. The real one does them with Docker's command line, the one in memory on its machine.
"""

from __future__ import annotations

import json
import os
import queue
import secrets
import socket
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from math import inf
from pathlib import Path
from typing import Any, Final, TypeVar

from reconciler.api import Metadata, Ports, Spec, VaultService
from reconciler.core.assess.cause import Cause
from reconciler.core.assess.observation import Container
from reconciler.core.desired.build import build
from reconciler.core.desired.stack import Role, Site, Stack, Workload
from reconciler.core.plan.operations import CreateReplicas
from reconciler.engines.base import Command, Engine
from reconciler.engines.compose.engine import ComposeEngine
from reconciler.engines.memory.engine import Answer, MemoryEngine
from reconciler.engines.memory.machine import Behaviour, Machine
from reconciler.engines.swarm.engine import SwarmEngine
from reconciler.engines.swarm.marks import ANONYMOUS, is_instance
from reconciler.engines.swarm.marks import PROJECT as STACK
from reconciler.proxy.haproxy.front import FRONT
from tests.e2e import waiting
from tests.e2e.docker_cli import PROJECT, docker, inspect, remove_project
from tests.e2e.stage import free_port
from tests.swarm.laboratory import Laboratory
from vault_plugins import VaultServicePlugin

IMAGE: Final = "vault-reconciler/whoami:latest"
OTHER_IMAGE: Final = "haproxy:3.0"
MISSED: Final = ""
"""The name of an event that says that others may have been missed."""
TICK: Final = 0.05
BEGINNING: Final = datetime(2026, 5, 1, 12, tzinfo=UTC)

Seen = TypeVar("Seen")


class BoxPlugin(VaultServicePlugin):
    """A web server, a box that ignores SIGTERM and has volumes, and a job; settings say how they behave.

    With SHARES there is one more that lives in this namespace of the box.
    """

    metadata = VaultServicePlugin.Metadata(name="Box", slug="box", default_port=8000)
    dependencies = ("box", "job")

    def build_compose(self, env: Mapping[str, str]) -> dict[str, Any]:
        beside = {
            "image": IMAGE,
            "entrypoint": ["sleep", "infinity"],
            "restart": "no",
            "stop_signal": "SIGKILL",
            env.get("SHARES", ""): "service:box",
        }
        script = f"echo one; echo two; sleep {env.get('LIFE', '0.3')}; exit {env.get('CODE', '0')}"
        return {
            "services": {
                "web": {
                    "image": env.get("IMAGE", IMAGE),
                    "environment": dict(env),
                    "networks": ["vault-net"],
                    "deploy": {"replicas": self.resolve_replicas(env)},
                    "stop_grace_period": "20s",
                    # A signal that comes before the server has a handler for it ends it too.
                    "init": True,
                },
                "box": {
                    "image": IMAGE,
                    "entrypoint": ["sleep", "infinity"],
                    "environment": {"GREETING": env.get("GREETING", "")},
                    "volumes": ["/anonymous", "named:/named"],
                    "stop_grace_period": "1s",
                    "user": "root",
                    "networks": ["vault-net"],
                    "ipc": "shareable",
                },
                **({"beside": beside} if "SHARES" in env else {}),
                "job": {
                    "image": IMAGE,
                    "entrypoint": ["sh", "-c", script],
                    "restart": "no",
                    "networks": ["vault-net"],
                },
            },
            "volumes": {"named": {}},
        }

    def get_containers(self) -> list[str]:
        return ["web"]


@dataclass(frozen=True)
class Habits:
    """What the contract leaves to an engine; the defaults are those of Docker with Compose.

    `removes_surplus`: who says that there are fewer instances than there are has the others removed. `shares_namespaces`:
    an instance can live in that of another. `keeps_exit_codes`: also of what was stopped. `restarts_killed`: what is killed
    by hand is started again. `remembers_stops`: the next controller knows what was stopped. `sees_frozen`: that processes
    are frozen. `replaces_in_place`: what is recreated keeps its ID. `adopts`: instances of
    another project can do the work of a workload.
    """

    removes_surplus: bool = True
    shares_namespaces: bool = True
    keeps_exit_codes: bool = True
    restarts_killed: bool = False
    remembers_stops: bool = False
    sees_frozen: bool = True
    replaces_in_place: bool = False
    adopts: bool = True


class EngineWorld(ABC):
    """An engine, and a project on it that is removed afterwards."""

    engine: Engine
    habits: Habits = Habits()

    def __init__(self, directory: Path) -> None:
        self._site = Site(directory, os.geteuid(), os.getegid())
        for mounted in (self._site.config, self._site.run):
            mounted.mkdir(parents=True)
        self._name = f"t-{secrets.token_hex(4)}"
        self._port = free_port()

    def stack(self, name: str = "", **env: str) -> Stack:
        """The stack with these settings; all have one project, unless given another name."""
        spec = Spec(plugin="box", replicas=2, ports=Ports(http=self._port), env=env)
        service = VaultService(metadata=Metadata(name=f"{self._name}{name}"), spec=spec)
        return build(service, BoxPlugin(), self._site, {}, lambda path: None, front=FRONT)

    # What a pass does with the engine

    def create(self, stack: Stack, workload: str, count: int = 1, existing: int = 0, image: str = "") -> None:
        """Create containers of a workload."""
        request = CreateReplicas(
            workload=workload, count=count, existing=existing, cause=Cause.MISSING, image=image
        )
        self.engine.create(stack, (request,))

    def seen(self, stack: Stack, workload: str) -> list[Container]:
        """The containers of a workload, in the order of their numbers."""
        mine = (c for c in self.engine.observe(stack).containers if c.workload == workload)
        return sorted(mine, key=lambda container: container.number)

    def run(self, stack: Stack, workload: str, count: int = 1) -> list[Container]:
        """Create containers of a workload and start them."""
        self.create(stack, workload, count)
        self.engine.start(tuple(container.id for container in self.seen(stack, workload)))
        return self.seen(stack, workload)

    def until_all(
        self, stack: Stack, workload: str, holds: Callable[[Container], bool], what: str
    ) -> list[Container]:
        """Wait until there are containers of a workload and this holds for all of them."""

        def look() -> list[Container]:
            found = self.seen(stack, workload)
            return found if all(map(holds, found)) else []

        return self.until(what, look)

    @abstractmethod
    def until(self, what: str, look: Callable[[], Seen]) -> Seen:
        """Look until the answer is true, and return it."""

    # What others do

    @abstractmethod
    def restart_controller(self) -> None:
        """Have an engine that remembers nothing of what was asked of it."""

    @abstractmethod
    def kill(self, container: str) -> None:
        """Kill it by hand."""

    @abstractmethod
    def pause(self, container: str) -> None:
        """Freeze its processes."""

    @abstractmethod
    def unpause(self, container: str) -> None:
        """Let them go on."""

    @abstractmethod
    def disconnect(self, stack: Stack, container: str, network: str, *, gone: bool = False) -> None:
        """Take it off a network; `gone`: remove that network."""

    @abstractmethod
    def tag(self, image: str, source: str) -> None:
        """Let an image name mean what `source` means."""

    @abstractmethod
    def mounts(self, container: str) -> Mapping[str, str]:
        """Its volumes, by where they are mounted."""

    @abstractmethod
    def has_volume(self, name: str) -> bool:
        """Whether the engine has this volume."""

    @abstractmethod
    def left(self, stack: Stack) -> list[str]:
        """The networks and the volumes with a name that there are of a project."""

    @abstractmethod
    def take(self, port: int) -> AbstractContextManager[None]:
        """Let another process have a port of this host, in the block."""

    @abstractmethod
    def command(
        self, code: int = 0, printed: str = "", seconds: float = 0.0, longest: float = 30.0
    ) -> Command:
        """A command that prints this and ends with this code after so long."""

    @abstractmethod
    def away(self) -> AbstractContextManager[Engine]:
        """An engine that does not answer."""


class ComposeWorld(EngineWorld):
    """The engine of this machine."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self.engine: ComposeEngine | SwarmEngine = self._engine()
        self._tags: list[str] = []

    def _engine(self, host: str | None = None) -> ComposeEngine | SwarmEngine:
        return ComposeEngine(host)

    def _docker(self, *arguments: str, check: bool = True) -> str:
        """What Docker's command line prints on the controller's machine."""
        return docker(*arguments, check=check)

    def _by(self, container: str, *words: str) -> None:
        """Give this command the container."""
        self._docker(*words, container)

    def close(self) -> None:
        self.engine.close()
        remove_project(self.stack().project)
        if self._tags:
            self._docker("rmi", *self._tags, check=False)

    def until(self, what: str, look: Callable[[], Seen]) -> Seen:
        return waiting.until(what, look)

    def restart_controller(self) -> None:
        self.engine.close()
        self.engine = self._engine()

    def kill(self, container: str) -> None:
        self._by(container, "kill")

    def pause(self, container: str) -> None:
        self._by(container, "pause")

    def unpause(self, container: str) -> None:
        self._by(container, "unpause")

    def disconnect(self, stack: Stack, container: str, network: str, *, gone: bool = False) -> None:
        name = f"{stack.project}_{network}"
        self._docker("network", "disconnect", "--force", name, container)
        if gone:
            self._docker("network", "rm", name)

    def tag(self, image: str, source: str) -> None:
        self._docker("tag", source, image)
        self._tags.append(image)

    def mounts(self, container: str) -> Mapping[str, str]:
        return {mount["Destination"]: mount["Name"] for mount in inspect(container)["Mounts"]}

    def has_volume(self, name: str) -> bool:
        return name in self._docker("volume", "ls", "--quiet").split()

    def left(self, stack: Stack) -> list[str]:
        return self._labelled(f"{PROJECT}={stack.project}")

    def _labelled(self, label: str) -> list[str]:
        words = ("ls", "--format={{.Name}}", f"--filter=label={label}")
        return [name for kind in ("network", "volume") for name in self._docker(kind, *words).split()]

    @contextmanager
    def take(self, port: int) -> Iterator[None]:
        with socket.create_server(("127.0.0.1", port)):
            yield

    def command(
        self, code: int = 0, printed: str = "", seconds: float = 0.0, longest: float = 30.0
    ) -> Command:
        # In pieces: one argument of a process has a length.
        script = 'printf "%s" "$@"; ' + f"sleep {seconds}; exit {code}"
        pieces = [printed[at : at + 10_000] for at in range(0, len(printed), 10_000)]
        return Command(OTHER_IMAGE, ("sh", "-c", script, "sh", *pieces), user="99:99", longest=longest)

    @contextmanager
    def away(self) -> Iterator[Engine]:
        with closing(self._engine("unix:///nowhere/docker.sock")) as engine:
            yield engine


class SwarmWorld(ComposeWorld):
    """A Swarm of three engines, whose controller is on the first node."""

    habits = Habits(
        removes_surplus=False,
        shares_namespaces=False,
        keeps_exit_codes=False,
        restarts_killed=True,
        remembers_stops=True,
        sees_frozen=False,
        replaces_in_place=True,
        adopts=False,
    )

    def __init__(self, directory: Path, laboratory: Laboratory) -> None:
        self._laboratory = laboratory
        super().__init__(directory)

    def _engine(self, host: str | None = None) -> SwarmEngine:
        return SwarmEngine(host or self._laboratory.first.host)

    def _docker(self, *arguments: str, check: bool = True) -> str:
        return self._laboratory.first.docker(*arguments, check=check)

    def close(self) -> None:
        self.engine.close()
        for name in ("", "-else", "-former"):
            self._laboratory.remove_project(self.stack(name).project)
        if self._tags:
            self._docker("rmi", *self._tags, check=False)

    def run(self, stack: Stack, workload: str, count: int = 1) -> list[Container]:
        """A container is there some time after Swarm was asked to run it."""
        ids = [each.id for each in super().run(stack, workload, count) if is_instance(each.id)]
        for each in ids:
            self.until("it has a container", lambda each=each: self._laboratory.container_of(each))  # type: ignore[misc]
        return self.seen(stack, workload)

    def _by(self, container: str, *words: str) -> None:
        node, identifier = self._laboratory.first, container
        if is_instance(container):
            node, identifier = self._laboratory.container_of(container) or (node, container)
        node.docker(*words, identifier)

    def disconnect(self, stack: Stack, container: str, network: str, *, gone: bool = False) -> None:
        super().disconnect(stack, container, network)
        name = f"{stack.project}_{network}"
        # The Swarm takes a moment to see that a container has left.
        if gone:
            self.until("it is gone", lambda: self._docker("network", "rm", name, check=False) == name)

    def mounts(self, container: str) -> Mapping[str, str]:
        spec = json.loads(self._docker("service", "inspect", container))[0]["Spec"]
        mounts = spec["TaskTemplate"]["ContainerSpec"]["Mounts"]
        return {mount["Target"]: mount["Source"] for mount in mounts}

    def left(self, stack: Stack) -> list[str]:
        found = [*super().left(stack), *self._labelled(f"{STACK}={stack.project}")]
        without_name = self._docker("volume", "ls", "--quiet", f"--filter=label={ANONYMOUS}").split()
        return [name for name in found if name not in without_name]


def _behaves(stack: Stack, workload: Workload) -> Behaviour:
    """What the fragment says, as far as containers in memory can do it."""
    web, job = (stack.document["services"][name] for name in ("web", "job"))
    match workload.name:
        case "box":
            return Behaviour(boot=0.0, checked=False, stop=inf)
        case "job":
            *_, life, code = job["entrypoint"][-1].replace("; exit", "").split(" ")
            return Behaviour(
                boot=inf, checked=False, stop=inf, life=float(life), exit_code=int(code), says="one\ntwo\n"
            )
        case "web" if web["environment"].get("FAIL") == "exit":
            return Behaviour(boot=inf, life=0.1, exit_code=1)
        case "web" if web["environment"].get("FAIL") == "unhealthy":
            return Behaviour(boot=inf)
        case "web":
            return Behaviour(boot=1.0)
    return Behaviour(boot=0.0, checked=False, stop=0.0 if workload.role is Role.GATEWAY else inf)


class EngineInMemory(EngineWorld):
    """An engine in memory; its time passes while something is waited for."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self._time = 0.0
        self.machine = Machine(lambda: self._time, lambda: BEGINNING + timedelta(seconds=self._time))
        self.engine: MemoryEngine = MemoryEngine(self.machine, _behaves)
        self.engine.image_ids = {IMAGE: "sha256:1", OTHER_IMAGE: "sha256:2"}

    def until(self, what: str, look: Callable[[], Seen]) -> Seen:
        deadline = self._time + waiting.PATIENCE
        while not (seen := look()):
            assert self._time < deadline, f"not within {waiting.PATIENCE:g} s: {what} (last seen: {seen!r})"
            self._time += TICK
        return seen

    def restart_controller(self) -> None:
        self.machine.lose_grip()

    def kill(self, container: str) -> None:
        self.machine.kill(self.machine.containers[container], by_hand=True)

    def pause(self, container: str) -> None:
        self.machine.pause(self.machine.containers[container])

    unpause = pause

    def disconnect(self, stack: Stack, container: str, network: str, *, gone: bool = False) -> None:
        self.machine.detach(self.machine.containers[container], network)

    def tag(self, image: str, source: str) -> None:
        self.engine.image_ids[image] = self.engine.image_ids[source]
        self.engine.missing_images.discard(image)

    def mounts(self, container: str) -> Mapping[str, str]:
        return self.machine.containers[container].mounts

    def has_volume(self, name: str) -> bool:
        return name in self.engine.volumes | self.engine.anonymous_volumes

    def left(self, stack: Stack) -> list[str]:
        return [volume for volume in self.engine.volumes if volume.startswith(f"{stack.project}_")]

    @contextmanager
    def take(self, port: int) -> Iterator[None]:
        self.engine.foreign_ports[port] = f"process pytest (pid {os.getpid()})"
        yield
        del self.engine.foreign_ports[port]

    def command(
        self, code: int = 0, printed: str = "", seconds: float = 0.0, longest: float = 30.0
    ) -> Command:
        self.engine.answer = lambda command: Answer(code, printed, seconds)
        return Command(OTHER_IMAGE, ("sh", "-c", "…"), longest=longest)

    @contextmanager
    def away(self) -> Iterator[Engine]:
        self.engine.away = True
        yield self.engine
        self.engine.away = False


@contextmanager
def engine_world(
    kind: str, directory: Path, laboratory: Callable[[], Laboratory] | None = None
) -> Iterator[EngineWorld]:
    """The world of an engine: "compose", "swarm", which needs a laboratory, or "memory"."""
    match kind:
        case "memory":
            yield EngineInMemory(directory)
        case "swarm" if laboratory is not None:
            swarm = laboratory()
            with swarm.first.entered(), closing(SwarmWorld(directory, swarm)) as world:
                yield world
        case "compose":
            with closing(ComposeWorld(directory)) as world:
                world.engine.ping()
                yield world
        case _:
            raise ValueError(f"there is no world of an engine {kind!r}")


class Heard:
    """The names that an engine's events tell, collected by a thread."""

    def __init__(self, engine: Engine) -> None:
        self._names: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._enough = False
        self._thread = threading.Thread(target=self._listen, args=(engine,), daemon=True)
        self._thread.start()

    def _listen(self, engine: Engine) -> None:
        for event in engine.events():
            self._names.put(event.service)
            if self._enough:
                return

    def wait_for(self, name: str) -> None:
        """Read until there is an event of that name; fails when none comes."""
        while self._names.get(timeout=waiting.PATIENCE) != name:
            pass

    def end(self, change: Callable[[], None]) -> None:
        """Listen until the event of one more change."""
        self._enough = True
        change()
        self._thread.join(waiting.PATIENCE)
        assert not self._thread.is_alive(), "no event came"
