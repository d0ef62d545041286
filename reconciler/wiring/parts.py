"""The parts of an application, each an implementation that is made when it is first needed."""

from __future__ import annotations

import logging
import os
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Final

from reconciler.wiring.engines import ENGINES, SWARM

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from metrics.recorder import Recorder
    from reconciler.api.kinds import Ref
    from reconciler.certificates.keepers import Keepers
    from reconciler.controller.loop.election import Election
    from reconciler.controller.loop.keeping import Keeping
    from reconciler.controller.loop.manager import Carrying
    from reconciler.controller.reconcile.builder import Builder
    from reconciler.controller.reconcile.routing import Router
    from reconciler.controller.report.board import Board
    from reconciler.controller.report.gateway_board import GatewayBoard
    from reconciler.controller.report.node_board import NodeBoard
    from reconciler.controller.secrets import Secrets
    from reconciler.core.admission import Policy
    from reconciler.core.desired.stack import Site
    from reconciler.engines.base import Fronts, FullEngine
    from reconciler.engines.compose.api import DockerApi
    from reconciler.engines.compose.foreign import ForeignProjects
    from reconciler.engines.compose.project import ComposeProjects
    from reconciler.proxy.haproxy.choice import HAProxies
    from reconciler.proxy.haproxy.counting import HAProxyCounting
    from reconciler.proxy.haproxy.gateway.proxy import HAProxyGateways
    from reconciler.proxy.haproxy.reaching import Reach
    from reconciler.registry import RegistryClient
    from reconciler.sealed import SettingsFiles
    from reconciler.sealed.runtime import RuntimeFiles
    from reconciler.store.adoptions import AdoptionStore
    from reconciler.store.history import HistoryStore
    from reconciler.store.object_view import ObjectViews
    from reconciler.store.objects import ObjectStore
    from reconciler.store.sightings import Sightings
    from reconciler.wiring.agents import AgentLines
    from reconciler.wiring.node_agents import NodeAgents
    from vault_plugins.registry import Registry

_log = logging.getLogger(__name__)

WORKERS: Final = 4
RESYNC_SECONDS: Final = 60.0
AGENT_IMAGE: Final = "vault-reconciler/controller:latest"


@dataclass(frozen=True)
class Options:
    """The values of the global options and of `run`. `resync` is in seconds.

    `host_paths` are directories that containers may write to, `read_only_host_paths` those that they may only read, both
    besides admission's own list if `default_host_paths`. `proxy_images` are patterns of what may run as HAProxy besides
    that list's. `bind` is the address of the host that ports are published on, empty for all. `allow_privileged` are
    the names of the VaultServices that may have the profile `privileged`. `allow_hostnames` are patterns of the host names
    that routes may claim; all, if there are none. `dns_programs` is the directory of programs that set DNS records for
    ACME. `age_keys` are files, or directories of files, of the keys that decrypt settings files. `runtime_dir` is the
    directory in memory with the files of spec.secrets, if not the usual one. `agents` is the ADDRESS:PORT where agents are
    enrolled, empty for nowhere, and `agent_image` what those run that are deployed to nodes. `state_key` is the file with
    the age identity to which files of the state directory are encrypted so that they follow the controller of a Swarm.
    """

    state_dir: Path
    plugin_path: tuple[Path, ...] = ()
    docker_host: str | None = None
    workers: int = WORKERS
    resync: float = RESYNC_SECONDS
    host_paths: tuple[Path, ...] = ()
    read_only_host_paths: tuple[Path, ...] = ()
    default_host_paths: bool = True
    proxy_images: tuple[str, ...] = ()
    bind: str = ""
    allow_privileged: frozenset[str] = frozenset()
    allow_hostnames: tuple[str, ...] = ()
    dns_programs: Path | None = None
    age_keys: tuple[Path, ...] = ()
    runtime_dir: Path | None = None
    agents: str = ""
    agent_image: str = AGENT_IMAGE
    state_key: Path | None = None


def utc_now() -> datetime:
    """The wall clock."""
    return datetime.now(UTC)


class Parts:
    """The implementations behind one state directory."""

    def __init__(self, options: Options) -> None:
        self.options = options
        self.wake: Callable[[Ref], None] = lambda ref: None
        """Queues a pass over an object, once there is a controller."""

    @cached_property
    def secrets(self) -> Secrets:
        """The secrets to redact; used by all code that stores or prints text."""
        from reconciler.controller.secrets import Secrets

        return Secrets()

    @cached_property
    def settings(self) -> SettingsFiles:
        """The settings files of services, plain or encrypted."""
        from reconciler.sealed import Keyring, SettingsFiles

        return SettingsFiles(Keyring(self.options.age_keys))

    @cached_property
    def runtime_files(self) -> RuntimeFiles:
        """The files of spec.secrets on this host."""
        from reconciler.sealed.runtime import RuntimeFiles

        return RuntimeFiles(self.runtime_dir, self.options.state_dir)

    @property
    def runtime_dir(self) -> Path:
        """The directory of files in memory."""
        if self.options.runtime_dir is not None:
            return self.options.runtime_dir
        own = Path("/run") if os.geteuid() == 0 else Path(os.environ.get("XDG_RUNTIME_DIR") or "/run")
        return own / "vault-reconciler"

    @cached_property
    def objects(self) -> ObjectStore:
        """What users want."""
        from reconciler.store.objects import ObjectStore

        return ObjectStore(self.options.state_dir, self.secrets.hide)

    @cached_property
    def object_views(self) -> ObjectViews:
        """Objects and their statuses, read-only."""
        from reconciler.store.object_view import ObjectViews

        return ObjectViews(self.options.state_dir, lambda: self.objects)

    @cached_property
    def history(self) -> HistoryStore:
        """What happened."""
        from reconciler.store.history import HistoryStore

        return HistoryStore(self.options.state_dir / "history.sqlite3", hide=self.secrets.hide)

    @cached_property
    def registry(self) -> Registry:
        """The plugins there are."""
        from vault_plugins.registry import discover

        return discover(self.options.plugin_path)

    @cached_property
    def engine(self) -> FullEngine:
        """The one that was chosen for this state directory."""
        return ENGINES[self._engine_name](self)

    @property
    def _engine_name(self) -> str:
        from reconciler.store.engine_choice import engine_of

        return engine_of(self.options.state_dir, ENGINES)

    @cached_property
    def election(self) -> Election | None:
        """Which controller acts on the Swarm; None for one host, where it is that of the state directory."""
        if self._engine_name != SWARM:
            return None
        from reconciler.controller.loop.election import Election
        from reconciler.controller.loop.entry import StateEntry
        from reconciler.engines.compose.api import DockerApi
        from reconciler.engines.swarm.api import SwarmApi
        from reconciler.engines.swarm.lease import CALL_SECONDS, SwarmLease

        docker = DockerApi(self.options.docker_host, seconds=CALL_SECONDS, allow=lambda: CALL_SECONDS)
        return Election(SwarmLease(docker), StateEntry(self.options.state_dir, SwarmApi(docker).own_name))

    @cached_property
    def keeping(self) -> Keeping | None:
        """What has the objects follow the controller to another node of a Swarm; None for one host."""
        if self.election is None:
            return None
        from reconciler.api.kinds import KINDS
        from reconciler.controller.loop.keeping import Keeping
        from reconciler.controller.loop.kept_objects import FILE, KeptObjects
        from reconciler.engines.swarm.kept import OBJECTS, SwarmKept

        objects = KeptObjects(
            tuple(KINDS.values()), self.objects.of, self.history.of, self.secrets.hide, utc_now
        )
        kept = SwarmKept(self._as_holder, OBJECTS, lambda: self._term)
        return Keeping(self.options.state_dir / FILE, objects, kept)

    @cached_property
    def carrying(self) -> Carrying | None:
        """What has files of the state directory follow the controller; None for one host, and without a key. Raises
        SealedError for a key that cannot be used.
        """
        if self.election is None or self.options.state_key is None:
            return None
        from reconciler.controller.loop.carried_state import FILE, CarriedState
        from reconciler.controller.loop.keeping import Keeping
        from reconciler.controller.loop.manager import Carrying
        from reconciler.engines.swarm.kept import STATE_MARK, Sort, SwarmKept
        from reconciler.sealed.box import Box
        from reconciler.store.carried import CarriedFiles

        box, files = Box.of(self.options.state_key), CarriedFiles(self.options.state_dir)
        sealed = Sort(STATE_MARK, "vault-state", box.seal, box.open)
        kept = SwarmKept(self._as_holder, sealed, lambda: self._term)
        state = CarriedState(files, self.history, utc_now)
        return Carrying(Keeping(self.options.state_dir / FILE, state, kept), files.directories)

    @cached_property
    def _as_holder(self) -> DockerApi:
        """The engine's API as long as this process holds the lease of a Swarm."""
        from reconciler.engines.compose.api import DockerApi

        assert self.election is not None, "only a Swarm has a lease"
        return DockerApi(self.options.docker_host, allow=self.election.require)

    @property
    def _term(self) -> int:
        return self.election.term if self.election else 0

    @cached_property
    def registries(self) -> RegistryClient:
        """Registries of images, with the credentials of `docker login`."""
        from reconciler.registry import DockerCredentials, RegistryClient
        from reconciler.registry.http import http_for

        return RegistryClient(http_for(os.environ), DockerCredentials(os.environ), time.monotonic)

    def sightings(self, name: str) -> Sightings:
        """When the tags of a service's image were first seen."""
        from reconciler.store.sightings import Sightings

        return Sightings(self.objects.directory(name))

    @cached_property
    def proxy(self) -> HAProxies:
        """HAProxy, whose configurations are checked by the binary that will run them."""
        from reconciler.proxy.haproxy.choice import HAProxies

        return HAProxies(self._validate, self._gateway_sites, time.monotonic, self.reach)

    @cached_property
    def counting(self) -> HAProxyCounting:
        """What the HAProxies of all services have counted."""
        from reconciler.proxy.haproxy.counting import HAProxyCounting

        return HAProxyCounting(self._gateway_sites, self.reach)

    @cached_property
    def gateways(self) -> HAProxyGateways:
        """HAProxy as the front door of many services."""
        from reconciler.proxy.haproxy.gateway.proxy import HAProxyGateways

        return HAProxyGateways(
            self._validate_gateway, self._default_certificate, time.monotonic, at=self.reach
        )

    @cached_property
    def reach(self) -> Reach:
        """How HAProxies are reached: on this machine, and with a Swarm on each node that has an agent."""
        if self.election is not None:
            return self.node_agents.reach
        from reconciler.proxy.haproxy.reaching import reach

        return reach

    @cached_property
    def node_agents(self) -> NodeAgents:
        """The agents beside HAProxies of a Swarm's nodes."""
        from reconciler.wiring.node_agents import NodeAgents

        election = self.election
        assert election is not None, "only a Swarm has nodes"
        return NodeAgents(self.agents, election.require, lambda: election.is_over)

    @cached_property
    def fronts(self) -> Fronts | None:
        """The nodes that gateways can run on, if there are several."""
        from reconciler.engines.swarm.engine import SwarmEngine

        if not isinstance(self.engine, SwarmEngine):
            return None
        return self.engine.fronts(lambda: self.node_agents, self.options.agent_image, self.options.agents)

    @cached_property
    def agents(self) -> AgentLines:
        """The agents beside HAProxies on other nodes."""
        from metrics import catalog
        from metrics.agents import AGENT_EXCHANGES
        from reconciler.wiring.agents import AgentLines

        def told(node: str, answered: bool) -> None:
            result = catalog.SUCCESS if answered else catalog.ERROR
            self.recorder.add(AGENT_EXCHANGES, node=node, result=result)

        def term() -> int | None:
            if self.election is None:
                return 0
            return self.election.term or None

        return AgentLines(self.options.state_dir, utc_now, told, term)

    @cached_property
    def keepers(self) -> Keepers:
        """The certificates of gateways, with a thread for each."""
        from reconciler.api.kinds import VAULT_GATEWAY, Ref
        from reconciler.certificates.keeper import always
        from reconciler.certificates.keepers import Keepers
        from reconciler.controller.loop.election import StandbyError

        def changed(name: str) -> None:
            self.wake(Ref(VAULT_GATEWAY, name))

        def failed(name: str, error: Exception) -> None:
            if isinstance(error, StandbyError):
                _log.info("certificates of gateway %s are left to another controller: %s", name, error)
                return
            _log.error("certificates of gateway %s: %s", name, error, exc_info=error)

        directory = self.objects.of(VAULT_GATEWAY).directory
        require = self.election.require if self.election else always
        return Keepers(directory, self.options.dns_programs, os.environ, changed, failed, require=require)

    @cached_property
    def recorder(self) -> Recorder:
        """Counters and histograms of this process."""
        from metrics.recorder import Recorder

        return Recorder()

    @cached_property
    def board(self) -> Board:
        """The last observation of every service."""
        from reconciler.controller.report.board import Board
        from reconciler.controller.report.stopwatch import Stopwatch

        return Board(Stopwatch(self.recorder), self.proxy.front)

    @cached_property
    def gateway_board(self) -> GatewayBoard:
        """The last observation of every gateway."""
        from reconciler.controller.report.gateway_board import GatewayBoard

        return GatewayBoard()

    @cached_property
    def node_board(self) -> NodeBoard:
        """The last look at the nodes of a Swarm; empty with one machine."""
        from reconciler.controller.report.node_board import NodeBoard

        return NodeBoard(self.engine.nodes)

    @cached_property
    def policy(self) -> Policy:
        """The admission policy of this host."""
        import vault_plugins
        from reconciler.core.admission import HOST_ROOTS, HostRoot, Policy
        from reconciler.core.admission.hostnames import ALL_HOSTNAMES
        from reconciler.core.admission.images import PROXY_IMAGES
        from reconciler.engines.host_files import look
        from reconciler.engines.host_routes import routes

        code = [Path(place) for place in vault_plugins.__path__]
        named = tuple(HostRoot(str(path.absolute())) for path in self.options.host_paths)
        read = tuple(HostRoot(str(path.absolute()), False) for path in self.options.read_only_host_paths)
        return Policy(
            allow_privileged=self.options.allow_privileged,
            host_roots=(*(HOST_ROOTS if self.options.default_host_paths else ()), *named, *read),
            # The controller runs plugin code, so write access there equals access to the engine's socket.
            private=tuple(
                str(path.absolute())
                for path in (
                    self.options.state_dir,
                    *self.options.plugin_path,
                    *code,
                    *self.options.age_keys,
                    self.runtime_dir,
                )
            ),
            engine_directories=self._engine_directories,
            look=look,
            routes=routes,
            proxy_images=(*PROXY_IMAGES, *self.options.proxy_images),
            bind=self.options.bind,
            hostnames=self.options.allow_hostnames or ALL_HOSTNAMES,
        )

    @cached_property
    def builder(self) -> Builder:
        """From VaultServices to stacks."""
        from reconciler.controller.reconcile.builder import Builder
        from reconciler.proxy.haproxy.front import FRONT
        from reconciler.store.revision_key import read_key

        key = read_key(self.options.state_dir)
        return Builder(
            self.registry,
            self.objects.directory,
            self.policy,
            FRONT,
            self.secrets,
            self.objects.precedes,
            key,
            self.router.routed,
            self.settings,
            self.runtime_files.directory,
            # Most services have no Compose file, and what reads one takes time to import.
            lambda: self.projects,
            adoptions=self.adoptions.get,
            image_id=lambda name: self.engine.image_id(name),
        )

    @cached_property
    def adoptions(self) -> AdoptionStore:
        """Records of what was adopted from Compose projects, or released to one."""
        from reconciler.store.adoptions import AdoptionStore

        return AdoptionStore(self.options.state_dir)

    @cached_property
    def foreign(self) -> ForeignProjects:
        """Compose projects that are not the controller's."""
        from reconciler.engines.compose.foreign import ForeignProjects

        return ForeignProjects(os.environ, self.options.docker_host)

    @cached_property
    def router(self) -> Router:
        """The routes of all objects."""
        from reconciler.controller.reconcile.routing import Router

        return Router(self.objects, self.permits)

    @cached_property
    def projects(self) -> ComposeProjects:
        """Compose files, as Compose reads them."""
        from reconciler.engines.compose.project import ComposeProjects

        return ComposeProjects(os.environ, self.options.state_dir)

    def permits(self, service: str, host: str) -> bool:
        """Whether the operator lets this service claim this host name."""
        from reconciler.core.admission.hostnames import is_permitted

        return is_permitted(host, self.policy.hostnames)

    def _gateway_sites(self) -> Mapping[str, Site]:
        """Where the files of all gateways are, and whose those of their proxies are."""
        from reconciler.api.kinds import VAULT_GATEWAY
        from reconciler.proxy.haproxy.gateway.site import site_of
        from reconciler.store.base import readable

        objects = self.objects.of(VAULT_GATEWAY)
        stored = {name: readable(objects, name) for name in objects.names()}
        return {
            name: site_of(objects.directory(name), each.resource.spec)
            for name, each in stored.items()
            if each
        }

    def _engine_directories(self) -> tuple[str, ...]:
        """For commands that only read a spec, possibly without an engine; passes ask the engine itself."""
        from reconciler.engines.compose.directories import DEFAULTS
        from reconciler.engines.errors import EngineError

        try:
            return self.engine.directories()
        except EngineError:
            return DEFAULTS

    def _default_certificate(self) -> str:
        from reconciler.api import PermanentError

        raise PermanentError(
            "an HTTPS listener needs a certificate: write one with its key into haproxy/tls/default.pem of the gateway's "
            "directory"
        )

    def _validate(self, image: str, directory: Path, user: str) -> None:
        self._judge(image, directory, user, "haproxy.cfg")

    def _validate_gateway(self, image: str, directory: Path, user: str) -> None:
        from reconciler.proxy.haproxy.gateway.render import GATEWAY_FILE, POOL_DIRECTORY

        self._judge(image, directory, user, GATEWAY_FILE, POOL_DIRECTORY)

    def _judge(self, image: str, directory: Path, user: str, *files: str) -> None:
        from reconciler.engines.base import Command
        from reconciler.proxy.haproxy.containers import CONFIG_MOUNT, SLOT_VARIABLE

        words = ("haproxy", "-c", *(word for file in files for word in ("-f", f"{CONFIG_MOUNT}/{file}")))
        self.engine.run_once(Command(image, words, {directory: CONFIG_MOUNT}, {SLOT_VARIABLE: "0"}, user))
