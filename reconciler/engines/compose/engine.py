"""The default engine: Docker Compose creates containers, the Docker API observes, starts, stops and removes them.

Compose creates every container, so that `docker compose ps`, `logs` and `down` recognise them; it never starts, stops or
removes one, because it does not update the proxy.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cached_property, partial
from time import monotonic
from typing import TYPE_CHECKING, Any, Final

from reconciler.core import labels
from reconciler.core.assess.capabilities import USUAL
from reconciler.core.assess.former import with_former
from reconciler.core.assess.observation import Container, EngineObservation, State
from reconciler.core.compose.networks import FIXED, read_networks
from reconciler.core.desired.stack import Role, Stack
from reconciler.core.plan.operations import ConnectNetwork, CreateProxy, CreateReplicas
from reconciler.engines.base import Command, EngineEvent, EngineInfo, is_published
from reconciler.engines.compose import events, logs, throwaway
from reconciler.engines.compose.address_pools import networks_left
from reconciler.engines.compose.api import CALL_SECONDS, DockerApi
from reconciler.engines.compose.directories import directories_of
from reconciler.engines.compose.file import image_overlay, proxy_overlay
from reconciler.engines.compose.informer import TRUST_SECONDS, Informer
from reconciler.engines.compose.ports import owner_of
from reconciler.engines.compose.pulls import Pulls
from reconciler.engines.compose.rows import (
    COMPOSE_PROJECT,
    external_networks,
    network_names,
    read_row,
    read_time,
    shared_namespaces,
)
from reconciler.engines.errors import EngineAwayError, EngineError

if TYPE_CHECKING:
    from docker import APIClient

    from reconciler.core.plan.gateway_operations import DisconnectNetwork
    from reconciler.engines.compose.cli import ComposeCli
    from reconciler.engines.compose.instances import ComposeInstances
    from reconciler.engines.compose.nodes import ComposeNodes

WORKERS: Final = 8
"""Containers started or removed in parallel; more are not faster with one engine."""

STOPPERS: Final = 32
"""Containers that may be stopping at once; each waits for its grace period."""

NOT_CONNECTED: Final = "is not connected to"
"""What the engine says of a container that has left a network already; its status code is that of other refusals."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Image:
    """An image that is on this machine: its ID, the paths that it declares as volumes, and the digests by which registries
    know it.
    """

    id: str
    volumes: tuple[str, ...]
    digests: frozenset[str]


class ComposeEngine:
    """Docker with Compose v2. Threads may share it."""

    capabilities: Final = USUAL

    def __init__(
        self, host: str | None = None, *, elsewhere: bool = False, seconds: float = CALL_SECONDS
    ) -> None:
        """See DockerApi."""
        self._api = DockerApi(host, seconds=seconds, elsewhere=elsewhere)
        self._informer = Informer()
        self._stopping: set[str] = set()
        self._stoppers = ThreadPoolExecutor(STOPPERS, thread_name_prefix="stop")
        self._workers = ThreadPoolExecutor(WORKERS, thread_name_prefix="engine")
        self._images: dict[str, tuple[int, float, Image]] = {}
        self._pulls = Pulls(lambda image: self._cli.pull(image), monotonic)
        self._shared: dict[str, tuple[str, ...]] = {}
        self._directories: tuple[float, tuple[str, ...]] = (0.0, ())

    @cached_property
    def _cli(self) -> ComposeCli:
        """Docker's command line, which only changes and `doctor` need."""
        from reconciler.engines.compose.cli import ComposeCli

        return ComposeCli(self._api.host)

    @cached_property
    def instances(self) -> ComposeInstances:
        """Single containers, which only views of what runs need."""
        from reconciler.engines.compose.instances import ComposeInstances

        return ComposeInstances(self._api)

    @cached_property
    def nodes(self) -> ComposeNodes:
        """The machine, which only views and verbs about nodes need."""
        from reconciler.engines.compose.nodes import ComposeNodes

        return ComposeNodes(self._api)

    def close(self) -> None:
        """Close all connections; requested stops continue in the engine."""
        self._workers.shutdown(wait=False, cancel_futures=True)
        self._stoppers.shutdown(wait=False, cancel_futures=True)
        self._api.close()

    # Observing

    def observe(self, stack: Stack) -> EngineObservation:
        """All containers of the project, in one request at most; see Informer."""
        return self._informer.observe(stack, self._look)

    def _look(self, stack: Stack) -> EngineObservation:
        """One request; images and the port are checked only while they can be missing."""
        names = network_names(stack)
        rows = self._api.rows_of(stack.project)
        now = datetime.now(UTC)
        seen = (read_row(row, names, now, stopping=row["Id"] in self._stopping) for row in rows)
        sharing = {workload.name for workload in stack.workloads if workload.shares}
        present = [self._with_shared(c) if c.workload in sharing else c for c in seen if c]
        joined = {id for c in present for id in (c.joined, *(c.shared or ()))}
        own = tuple(self._with_start(c, shares=bool(c.joined or c.shared) or c.id in joined) for c in present)
        containers = with_former(stack, own, self._former(stack, names, now))
        is_open = is_published(stack, containers)
        images = self._present_images(stack)
        missing = frozenset(w.image for w in stack.workloads) - images.keys()
        return EngineObservation(
            containers=containers,
            missing_images=missing,
            images={name: image.id for name, image in images.items()},
            volumes={name: image.volumes for name, image in images.items() if image.volumes},
            digests={name: image.digests for name, image in images.items() if image.digests},
            pulls=self._pulls.of(missing),
            taken_ports={} if is_open else self._taken_ports(stack),
            capabilities=self.capabilities,
        )

    def _former(self, stack: Stack, names: Mapping[str, str], now: datetime) -> Iterator[Container]:
        """The containers of the project that a stack was adopted from. They have no label of ours, so no event reports the
        end of one.
        """
        for row in self._api.rows_by_id([each.container for each in stack.former]):
            if container := read_row(row, names, now, stopping=row["Id"] in self._stopping):
                yield container

    def _with_shared(self, container: Container) -> Container:
        """Adds the owners of the PID and IPC namespaces that it was created for; only an inspection shows them, and they
        never change.
        """
        if container.id not in self._shared:
            details = self._api.inspect(container.id)
            if details is None:
                return container
            self._shared[container.id] = shared_namespaces(details.get("HostConfig") or {})
        return replace(container, shared=self._shared[container.id])

    def _with_start(self, container: Container, *, shares: bool) -> Container:
        """Adds the start time of an owner or user of a namespace; only an inspection shows it, and a restart makes a new
        namespace.
        """
        is_front = container.role in (Role.GATEWAY, Role.PROXY)
        if not (is_front or shares) or container.state not in (State.RUNNING, State.PAUSED):
            return container
        return replace(container, started=self._informer.started(container.id, self._inspect_start))

    def _inspect_start(self, container: str) -> datetime | None:
        details = self._api.inspect(container)
        return read_time(details["State"]["StartedAt"]) if details else None

    def _present_images(self, stack: Stack) -> Mapping[str, Image]:
        """The images that the tags of a stack mean now, without missing ones."""
        found = {name: self._present_image(name) for name in {workload.image for workload in stack.workloads}}
        return {name: image for name, image in found.items() if image}

    def _present_image(self, name: str) -> Image | None:
        generation = self._informer.images
        known = self._images.get(name)
        if known is None or known[0] != generation or monotonic() - known[1] > TRUST_SECONDS:
            details = self._api.read("inspect an image", "/images/{}/json", name, missing=None)
            known = (generation, monotonic(), _image(details)) if details else None
        if known is None:
            self._images.pop(name, None)
            return None
        self._images[name] = known
        return known[2]

    def image_id(self, name: str) -> str:
        """The ID of the image of this machine that a name means, "" if there is none; an event tells each change of that.
        Raises EngineError.
        """
        self._informer.asked(name)
        image = self._present_image(name)
        return image.id if image else ""

    def _taken_ports(self, stack: Stack) -> Mapping[int, str]:
        rows, local = self._api.rows(), self._api.is_local
        owners = {port: owner_of(port, rows, local=local, project=stack.project) for port in stack.host_ports}
        return {port: owner for port, owner in owners.items() if owner}

    # Changing

    def pull(self, image: str) -> None:
        """Fetch an image in the background. Raises ImageMissingError when the last try has shown that it does not exist."""
        self._pulls.ask(image)

    def create(self, stack: Stack, requests: tuple[CreateReplicas | CreateProxy, ...]) -> None:
        """Create containers without starting them: one Compose call for all replicas, one for each HAProxy."""
        scales = {r.workload: r.existing + r.count for r in requests if isinstance(r, CreateReplicas)}
        # What is created is then started by these threads: one of them imports the SDK while Compose works, and not while
        # the library that calls Compose is imported.
        self._cli.load()
        self._workers.submit(self._api.client)
        try:
            pinned = {r.workload: r.image for r in requests if isinstance(r, CreateReplicas) and r.image}
            if scales:
                self._cli.create(stack, scales, image_overlay(pinned) if pinned else None)
            for request in requests:
                if isinstance(request, CreateProxy):
                    self._cli.create(stack, {request.workload: request.existing + 1}, proxy_overlay(request))
        except EngineError:
            # It may have failed because an image was removed since it was observed.
            self._images.clear()
            raise
        finally:
            self._informer.changed(service=stack.label)

    def recreate(self, stack: Stack, workload: str, image: str = "") -> None:
        """Replace a stopped container by one of the current definition."""
        try:
            self._cli.recreate(stack, workload, image_overlay({workload: image}) if image else None)
        finally:
            self._informer.changed(service=stack.label)

    def connect(self, stack: Stack, request: ConnectNetwork) -> None:
        """Connect a container to a network of the stack."""
        network = {own: name for name, own in network_names(stack).items()}[request.network]
        try:
            if request.network not in external_networks(stack) and network not in self.networks({network}):
                # Creates no container, but this network: Compose requires its own labels on it.
                self._cli.create(stack, {request.workload: request.existing})
            wanted = _place(stack, request)
            self._api.ask("connect a container to a network", partial(_connect, request, network, wanted))
        finally:
            self._informer.changed(service=stack.label)

    def disconnect(self, stack: Stack, request: DisconnectNetwork) -> None:
        """Disconnect a container from a network."""
        try:
            self._api.ask(
                "disconnect a container from a network",
                partial(_disconnect, request.container, request.network),
                missing=None,
            )
        finally:
            self._informer.changed(service=stack.label)

    def networks(self, names: Collection[str]) -> frozenset[str]:
        """Those of these networks that exist."""
        if not names:
            return frozenset()
        # The engine takes a name for a pattern, so it may find more.
        found = self._api.read("list networks", "/networks", query={"filters": {"name": sorted(names)}})
        return frozenset(network["Name"] for network in found).intersection(names)

    def start(self, containers: tuple[str, ...]) -> None:
        """Start containers in parallel. Raises the first error after all were tried."""
        self._stopping.difference_update(containers)
        self._side_by_side(self._start, containers)

    def _start(self, container: str) -> None:
        self._api.ask("start a container", lambda api: api.start(container), missing=None)

    def remove(self, containers: tuple[str, ...], *, anonymous_volumes: bool = False) -> None:
        """Remove containers in parallel, but no named volume. Raises the first error after all were tried."""
        self._side_by_side(partial(self._remove, anonymous_volumes=anonymous_volumes), containers)
        self._stopping.difference_update(containers)

    def _remove(self, container: str, *, anonymous_volumes: bool) -> None:
        self._shared.pop(container, None)
        remove = partial(_remove_container, container, anonymous_volumes)
        self._api.ask("remove a container", remove, missing=None)

    def _side_by_side(self, call: Callable[[str], None], containers: tuple[str, ...]) -> None:
        jobs = [self._workers.submit(call, container) for container in containers]
        errors = [error for job in jobs if (error := job.exception(timeout=WORKERS * CALL_SECONDS))]
        self._informer.changed(*containers)
        if errors:
            raise errors[0]

    def stop(self, containers: tuple[str, ...], grace: float) -> None:
        """Request stops in the background; from now on the containers are observed as `stopping`."""
        self._stopping.update(containers)
        self._informer.changed(*containers)
        for container in containers:
            self.end(container, grace)

    def end(self, container: str, grace: float) -> None:
        """Request the stop of any container in the background, whatever it is observed as."""
        self._stoppers.submit(self._stop, container, grace)

    def _stop(self, container: str, grace: float) -> None:
        try:
            self._api.ask(
                "stop a container", lambda api: api.stop(container, timeout=round(grace)), missing=None
            )
        except EngineError as error:
            _log.warning("stopping %s: %s", container[:12], error)
            self._stopping.discard(container)
        self._informer.changed(container)

    def tear_down(self, project: str, *, volumes: bool) -> None:
        """Stop and remove the project: first proxies and gateway, then web replicas, then their dependencies.

        Anonymous volumes of web replicas are removed, as when these are replaced; those of the others on request.
        """
        rows = self._api.rows_of(project)
        for role in (Role.PROXY, Role.GATEWAY, Role.WEB, Role.JOB, Role.DEPENDENCY):
            group = [row["Id"] for row in rows if (row.get("Labels") or {}).get(labels.ROLE) == role.value]
            end = partial(self._end, anonymous_volumes=volumes or role is Role.WEB)
            list(self._stoppers.map(end, group))
        rest = partial(self._end, anonymous_volumes=volumes)
        list(self._stoppers.map(rest, [row["Id"] for row in rows]))
        query = {"filters": {"label": [f"{COMPOSE_PROJECT}={project}"]}}
        for network in self._api.read("list networks", "/networks", query=query):
            self.remove_network(network["Id"])
        if volumes:
            found = self._api.read("list volumes", "/volumes", query=query)
            for volume in found.get("Volumes") or ():
                self._api.ask("remove a volume", partial(_remove_volume, volume["Name"]), missing=None)

    def remove_network(self, network: str) -> None:
        """Remove a network by its ID, from which containers of other projects are disconnected first."""
        self._api.ask("remove a network", partial(_remove_network, network), missing=None)

    def _end(self, container: str, *, anonymous_volumes: bool) -> None:
        # Without a grace period of our own: each container was created with that of its service.
        try:
            self._api.ask("stop a container", lambda api: api.stop(container), missing=None)
        except EngineAwayError:
            # The answer comes with the end, which may take longer than an answer is waited for.
            details = self._api.inspect(container)
            if details and details["State"]["Running"]:
                name = details["Name"].lstrip("/")
                raise EngineError(f"{name} has not ended yet: it has its grace period to do so") from None
        self._remove(container, anonymous_volumes=anonymous_volumes)

    def run_once(self, command: Command) -> None:
        """Run a command in a throw-away container. Raises EngineError with its output."""
        try:
            throwaway.run_once(self._api, command)
        except EngineError:
            # The image may have been removed since it was seen, as in `create`.
            self._images.clear()
            raise

    def sweep(self) -> None:
        """Remove throw-away containers of a controller that was killed."""
        throwaway.sweep(self._api)

    # Reporting

    def logs(self, container: str, lines: int) -> str:
        """The last lines of a container, both streams."""
        text = self._api.ask("read logs", lambda api: api.logs(container, tail=lines), missing=b"")
        return text.decode(errors="replace") if isinstance(text, bytes) else ""

    def follow(self, container: str, lines: int) -> Iterator[str]:
        """The last lines of a container, and every new one until it ends; see docker_logs."""
        return logs.follow(self._api.host, container, lines)

    def exec_line(self, container: str, command: Sequence[str], *, stdin: bool, tty: bool) -> tuple[str, ...]:
        """The command line that runs a command in a container, with the standard streams of its caller."""
        from reconciler.engines.compose.cli import exec_line

        return exec_line(self._api.host, container, command, stdin=stdin, tty=tty)

    def events(self) -> Iterator[EngineEvent]:
        """Events, without end. While they are read, observations are cached until an event invalidates them."""
        return self._informer.follow(events.watch(self._api))

    def ping(self) -> None:
        """Raises EngineAwayError when the engine does not answer."""
        self._api.read("answer", "/version")

    def directories(self) -> tuple[str, ...]:
        """The engine's directories of volumes and layers, refreshed from time to time. Raises EngineAwayError."""
        asked, known = self._directories
        if not known or monotonic() - asked > TRUST_SECONDS:
            known = directories_of(self._api.read("say where its data is", "/info"))
            self._directories = (monotonic(), known)
        return known

    def info(self) -> EngineInfo:
        """Facts about the engine. Raises EngineAwayError."""
        facts = self._api.read("say what it is", "/info")
        networks = self._api.read("list networks", "/networks")
        return EngineInfo(
            name="Docker",
            version=facts.get("ServerVersion", ""),
            operating_system=facts.get("OperatingSystem", ""),
            data_directory=facts.get("DockerRootDir", ""),
            outlives_restart=bool(facts.get("LiveRestoreEnabled")),
            networks_left=networks_left(facts.get("DefaultAddressPools"), networks),
            parts={"compose": self._cli.compose_version()},
        )


def _place(stack: Stack, request: ConnectNetwork) -> Mapping[str, Any]:
    """The service's settings in this network: aliases, fixed addresses."""
    networks = stack.document["services"].get(request.workload, {}).get("networks")
    return read_networks(networks).get(request.network, {})


def _connect(request: ConnectNetwork, network: str, wanted: Mapping[str, Any], api: APIClient) -> None:
    if request.container not in _containers_in(network, api):
        # The same aliases as Compose gives: the service, the short ID, and those of the fragment.
        aliases = [request.workload, request.container[:12], *(wanted.get("aliases") or ())]
        addresses = {field: wanted[field] for field in FIXED if wanted.get(field)}
        api.connect_container_to_network(request.container, network, aliases=aliases, **addresses)


def _remove_container(container: str, anonymous_volumes: bool, api: APIClient) -> None:
    # Docker's `v` removes anonymous volumes, except those that another container uses.
    api.remove_container(container, v=anonymous_volumes, force=True)


def _disconnect(container: str, network: str, api: APIClient) -> None:
    if container in _containers_in(network, api):
        _leave(container, network, api)


def _containers_in(network: str, api: APIClient) -> Collection[str]:
    """The containers of this node in a network. An overlay of a Swarm that none of them is in has no such list, and is
    unknown to a node that is no manager.
    """
    import docker.errors

    try:
        return api.inspect_network(network).get("Containers") or ()
    except docker.errors.NotFound:
        return ()


def _remove_network(network: str, api: APIClient) -> None:
    # What is still connected belongs to others, such as a gateway: all of its own project is gone by now.
    for container in api.inspect_network(network).get("Containers") or ():
        _leave(container, network, api, force=True)
    api.remove_network(network)


def _leave(container: str, network: str, api: APIClient, *, force: bool = False) -> None:
    import docker.errors

    try:
        api.disconnect_container_from_network(container, network, force=force)
    except docker.errors.APIError as error:
        # The pass of a gateway and that of a service that goes may do it at the same time.
        if NOT_CONNECTED not in str(error.explanation):
            raise


def _remove_volume(volume: str, api: APIClient) -> None:
    api.remove_volume(volume)


def _image(details: Mapping[str, Any]) -> Image:
    volumes = (details.get("Config") or {}).get("Volumes") or ()
    digests = (str(each).partition("@")[2] for each in details.get("RepoDigests") or ())
    return Image(str(details["Id"]), tuple(sorted(volumes)), frozenset(filter(None, digests)))
