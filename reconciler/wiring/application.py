"""What is done with the parts: questions that change nothing, and the controller."""

from __future__ import annotations

import logging
import os
import random
import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from reconciler.api.kinds import KINDS, VAULT_GATEWAY, Ref
from reconciler.api.reasons import Reason
from reconciler.wiring.engines import ENGINES
from reconciler.wiring.gateways import gateways
from reconciler.wiring.parts import Options, Parts, utc_now

if TYPE_CHECKING:
    from metrics.agents import AgentSnapshot
    from reconciler.api import VaultService
    from reconciler.api.vaultgateway import VaultGateway
    from reconciler.controller.images.updates import ImageUpdates
    from reconciler.controller.loop.manager import Controller
    from reconciler.controller.loop.workers import Reconciler
    from reconciler.controller.notify.commit_status import CommitStatus
    from reconciler.controller.notify.notify import Choice, Notifier, Teller
    from reconciler.controller.reconcile.world import World
    from reconciler.controller.report.board import Exporter
    from reconciler.controller.report.fetches import FetchJournal
    from reconciler.controller.report.outcome import Outcome, Report
    from reconciler.core.adoption.record import Adoption
    from reconciler.core.assess.assessment import Assessment
    from reconciler.core.assess.observation import EngineObservation
    from reconciler.core.desired.stack import Stack
    from reconciler.core.plan.preview import Preview
    from reconciler.engines.swarm.fit import Finding
    from reconciler.sources.base import Source
    from reconciler.sources.git.address import Address
    from reconciler.sources.git.command import Credentials
    from reconciler.sources.git.source import GitSource
    from reconciler.sources.git.trust import Trust
    from reconciler.store.base import StoredObject
    from reconciler.store.watching import Changes

LOST_KEY: Final = (
    "revision.key is not in the state directory, though revisions were named with one: every container is replaced "
    "once, as in a rollout; to avoid it, stop the controller and restore the file from a backup"
)

RELAY_SECONDS: Final = 4.0
"""Timeout of the metrics of one HAProxy on another node: less than a page of the controller may take."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class GitFollow:
    """A branch that a controller follows."""

    source: GitSource
    journal: FetchJournal


class Application(Parts):
    """Everything behind the command line and the HTTP server."""

    @property
    def place(self) -> str:
        """Where the objects are, for messages."""
        return str(self.options.state_dir)

    # Questions

    def build(self, service: VaultService, base: Path = Path()) -> Stack:
        """The stack of a VaultService; see Builder."""
        return self.builder.build(service, base)

    def build_adopted(self, service: VaultService, base: Path, record: Adoption) -> Stack:
        """The stack of a VaultService as if this were the record of its adoption; its revisions are those of passes."""
        from reconciler.store.revision_key import ensure_key

        builder = replace(self.builder, key=ensure_key(self.options.state_dir), adoptions=lambda name: record)
        return builder.build(service, base)

    def findings_on_a_swarm(self, stack: Stack) -> Sequence[Finding]:
        """What a Swarm would refuse of a stack, or do in another way than one host; changes nothing. Raises VaultError."""
        from reconciler.wiring.moving import findings_on_a_swarm

        return findings_on_a_swarm(self.options.docker_host, stack)

    def observe(self, stack: Stack) -> Assessment:
        """One observation."""
        return self.preview(stack).assessment

    def preview(self, stack: Stack) -> Preview:
        """Differences and plan; changes nothing."""
        from reconciler.controller.reconcile.world import preview_of

        return preview_of(stack, self.engine, self.proxy, self.history, utc_now())

    def look_at_gateway(self, stored: StoredObject[VaultGateway]) -> tuple[Stack, EngineObservation]:
        """The stack of a gateway, and what runs of it; changes nothing."""
        directory = self.objects.of(VAULT_GATEWAY).directory(stored.name)
        stack = self.gateways.stack(stored.resource, directory, (), self.options.bind, self.builder.key)
        return stack, self.engine.observe(stack)

    def gateway_exporters(self, warn: Callable[[str], None]) -> Iterator[Exporter]:
        """The metrics addresses of all HAProxies of gateways that run now; `warn` is told of what cannot be observed."""
        from reconciler.api import VaultError
        from reconciler.controller.report.board import Exporter
        from reconciler.proxy.haproxy.gateway.directory import read_places
        from reconciler.proxy.haproxy.gateway.exporters import exporters

        objects = self.objects.of(VAULT_GATEWAY)
        for name in objects.names():
            try:
                if (stored := objects.get(name)) is None:
                    continue
                stack, seen = self.look_at_gateway(stored)
                if stack.nodes is not None:
                    # Only a pass looks at other nodes: which of these run is not known here.
                    places = read_places(stack.site)
                    yield from (Exporter(stored.ref.label, slot, "", node) for slot, node in places.items())
                    continue
                for each in exporters(stack, stored.resource.spec, seen, {}):
                    yield Exporter(stored.ref.label, each.slot, each.address)
            except (VaultError, OSError) as error:
                warn(f"{Ref(VAULT_GATEWAY, name).label}: {error}")

    def acts(self) -> bool:
        """Whether this controller may act: one that stands by for another one looks at nothing."""
        return self.election is None or self.election.acts

    def exporters(self) -> tuple[Exporter, ...]:
        """The HAProxies of all objects, for Prometheus; those of a former look are left to the controller that acts."""
        boards = (self.board, self.gateway_board) if self.acts() else ()
        return tuple(each for board in boards for each in board.exporters())

    def agent_snapshots(self) -> tuple[AgentSnapshot, ...]:
        """All agents for metrics, from memory and one small file; what speaks with them is not imported without any."""
        from reconciler.store.agents import Agents

        if not Agents(self.options.state_dir, utc_now).list():
            return ()
        return self.agents.snapshots()

    def relayed_metrics(self, gateway: str, slot: int) -> str:
        """The own metrics of a HAProxy on another node, as its agent gives them. Raises LookupError for one that the last
        pass has not seen, and VaultError.
        """
        label = Ref(VAULT_GATEWAY, gateway).label
        known = {(each.service, each.slot) for each in self.gateway_board.exporters() if each.node}
        if (label, slot) not in known:
            raise LookupError(f"no HAProxy in slot {slot} of {label}")
        return self.reach(self._gateway_sites()[gateway], slot, RELAY_SECONDS).metrics()

    def render_compose(self, stack: Stack) -> str:
        """The stack's compose.yaml; it may hold secrets, but none that comes from an encrypted file."""
        from reconciler.engines.compose.file import dump, without_values

        return dump(without_values(stack.document, stack.sealed) if stack.sealed else stack.document)

    def write_compose(self, path: Path, document: Mapping[str, object]) -> None:
        """Write a Compose file, which may hold secrets: only its owner can read it. Raises PermanentError if there is
        another one.
        """
        from reconciler.api import PermanentError
        from reconciler.engines.compose.cli import write_private
        from reconciler.engines.compose.file import dump

        text = dump(document)
        if path.exists() and path.read_text(encoding="utf-8") != text:
            raise PermanentError(f"{path} exists already; choose another directory")
        path.parent.mkdir(parents=True, exist_ok=True)
        write_private(path, text)

    def render_proxy(self, stack: Stack) -> dict[str, str]:
        """The proxy's files by their path, without servers; none where its proxies belong to a gateway. Raises
        PermanentError for settings that it cannot have.
        """
        if stack.routed is not None:
            return {}
        from reconciler.api import PermanentError
        from reconciler.proxy.haproxy.config import render
        from reconciler.proxy.haproxy.containers import haproxy_of

        try:
            files = render(stack.proxy, (), haproxy_of(stack).image)
        except ValueError as error:
            raise PermanentError(f"{stack.name}: {error}") from error
        return {f"haproxy/{name}": text for name, text in files.items()}

    def controller_is_running(self) -> bool:
        """Whether a `vaultctl run` works on this state directory."""
        from reconciler.controller.loop.lease import is_held

        return is_held(self.options.state_dir / "controller.lock")

    def choose_engine(self, name: str) -> None:
        """Have this and all later commands on the state directory use an engine. Raises PermanentError if objects run on
        another one.
        """
        from reconciler.store.engine_choice import choose_engine

        is_in_use = any(self.objects.of(kind).names() for kind in KINDS.values())
        choose_engine(self.options.state_dir, name, ENGINES, is_in_use=is_in_use)

    def take_revision_key(self, source: Path) -> None:
        """Name revisions with the key in that file. Raises PermanentError if it is none."""
        from reconciler.store.revision_key import take_key

        take_key(self.options.state_dir, source)

    def take_over_state(self) -> None:
        """Bring what is served before this controller acts to what another one has kept: logins, and authorities that
        clients and agents know. Raises VaultError; without an answer of the Swarm only if nothing was ever taken over.
        """
        from reconciler.api import VaultError
        from reconciler.store.ours import require_ours

        if self.carrying is None:
            return
        require_ours(self.options.state_dir)
        try:
            self.carrying.keeping.take_over()
        except VaultError as error:
            if not self.carrying.keeping.has_begun:
                raise
            _log.warning("what is served may be older than what the Swarm has: %s", error)

    def has_lost_key(self) -> bool:
        """Whether containers may run under a revision key that no longer exists."""
        from reconciler.store.revision_key import NAME

        if (self.options.state_dir / NAME).exists():
            return False
        return any(
            revision.startswith("v2-")
            for name in self.objects.names()
            for revision in (
                self.objects.status(name).revision or "",
                *(record.revision for record in self.history.revisions(name)),
            )
        )

    def changes(self) -> AbstractContextManager[Changes]:
        """Waits for changes of objects and statuses, whichever process makes them."""
        from reconciler.store.watching import watching

        return watching(self.options.state_dir)

    # Actions

    def controller(
        self,
        sources: Sequence[Source] = (),
        on_progress: Report | None = None,
        *,
        max_prune: int = 1,
        allow_empty: bool = False,
    ) -> Controller:
        """The loop over this state directory. `max_prune` services may vanish from a source at once and be deleted;
        with `allow_empty`, any number.
        """
        from reconciler.controller.loop.backoff import Backoff
        from reconciler.controller.loop.following import SourceOptions
        from reconciler.controller.loop.manager import Controller

        world = self.world()
        controller = Controller(
            world,
            self.options.state_dir,
            self.recorder,
            Backoff(random.Random()),
            following=SourceOptions(sources, max_prune, allow_empty),
            workers=self.options.workers,
            resync=self.options.resync,
            on_progress=on_progress,
            plugins=lambda: (self.registry.stamps(), self.projects.stamps()),
            others=[make(self, world) for make in RECONCILERS.values()],
            election=self.election,
            keeping=self.keeping,
            carrying=self.carrying,
        )
        self.wake = controller.wake
        return controller

    def follow(
        self,
        address: Address,
        *,
        interval: float,
        credentials: Credentials,
        trust: Trust | None,
        allow_rewind: bool = False,
        secrets: tuple[Path, ...],
    ) -> GitFollow:
        """A branch as a source, with the journal of its fetches; `interval` is in seconds."""
        from reconciler.controller.report.fetches import FetchJournal
        from reconciler.core.environment import passed
        from reconciler.sources.git.command import CONFIG, Git
        from reconciler.sources.git.source import GitSource

        of_git = {name: value for name, value in os.environ.items() if name.startswith("GIT_")}
        git = Git(
            passed(os.environ) | of_git,
            config=(*CONFIG, *address.config()),
            credentials=credentials,
            secrets=address.secrets,
        )
        journal = FetchJournal(address.name, self.history, self.recorder, utc_now)
        source = GitSource(
            address,
            self.options.state_dir,
            git,
            interval=interval,
            chance=random.Random(),
            trust=trust,
            allow_rewind=allow_rewind,
            secrets=secrets,
            observe=journal.saw,
        )
        return GitFollow(source, journal)

    def notifier(self, url: str, choice: Choice) -> Notifier:
        """Posts events as JSON to `url`. Raises PermanentError when it is not a valid URL."""
        from reconciler.api import PermanentError
        from reconciler.controller.notify.notify import Notifier, chosen, post_to

        try:
            return Notifier(self.history, post_to(url), chosen(choice), utc_now)
        except ValueError as error:
            raise PermanentError(str(error)) from error

    def commit_status(self, followed: GitFollow, url: str, token: str, name: str) -> CommitStatus:
        """Posts commit statuses to a Git server below `url`. Raises PermanentError when it is not a valid URL."""
        from reconciler.api import PermanentError
        from reconciler.controller.notify.commit_status import CommitStatus, statuses_at

        try:
            return CommitStatus(followed.source, self.objects, statuses_at(url, token), name)
        except ValueError as error:
            raise PermanentError(str(error)) from error

    def keep_telling(self, teller: Teller, stop: threading.Event) -> None:
        """Send new events from a thread, until `stop` is set."""
        from reconciler.controller.loop.backoff import Backoff
        from reconciler.controller.notify.notify import keep_telling

        threading.Thread(
            target=keep_telling,
            args=(teller, Backoff(random.Random()), stop),
            name=type(teller).__name__,
            daemon=True,
        ).start()

    def image_updates(self, *, pushes: bool, credentials: Credentials | None = None) -> ImageUpdates:
        """What follows the registries of `spec.imagePolicy`. A manifest in Git is only changed if it `pushes`, with these
        credentials.
        """
        from reconciler.controller.images.updates import ImageUpdates

        def image_of(stored: StoredObject, workload: str) -> str:
            stack = self.builder.build(stored.resource, stored.origin.manifest.parent)
            return next(each.image for each in stack.workloads if each.name == workload)

        def write(stored: StoredObject, workload: str, image: str) -> str:
            from reconciler.app.writing_images import ImageWriter

            writer = ImageWriter(
                self.objects, self.options.state_dir, os.environ, pushes, credentials, utc_now
            )
            return writer.write(stored, workload, image)

        return ImageUpdates(
            self.objects,
            self.history,
            lambda: self.registries,
            self.sightings,
            image_of,
            write,
            self.recorder,
            utc_now,
        )

    def keep_updating_images(
        self, stop: threading.Event, *, pushes: bool, credentials: Credentials | None = None
    ) -> None:
        """Follow registries from a thread, until `stop` is set."""
        from reconciler.controller.images.updates import keep_updating

        updates = self.image_updates(pushes=pushes, credentials=credentials)
        threading.Thread(
            target=keep_updating, args=(updates, stop, self.acts), name="images", daemon=True
        ).start()

    def world(self) -> World:
        """The dependencies of passes; from now on, revisions have their key. Raises PermanentError if the state directory
        is another user's.
        """
        from reconciler.controller.reconcile.permission import always
        from reconciler.controller.reconcile.world import World
        from reconciler.controller.report.journal import Journal
        from reconciler.store.layout import objects_of
        from reconciler.store.ours import require_ours
        from reconciler.store.revision_key import ensure_key

        state = self.options.state_dir
        for directory in (state, *(objects_of(state, kind) for kind in KINDS.values())):
            require_ours(directory)
        self._keep_objects()
        if self.has_lost_key():
            _log.warning("%s", LOST_KEY)
            self.history.record_event("", "Warning", Reason.REVISION_KEY_LOST, LOST_KEY, utc_now())
        # What may be mounted depends on where the engine has its data: without an answer there is no stack.
        policy = replace(self.policy, engine_directories=self.engine.directories)
        key = ensure_key(self.options.state_dir)
        self.builder = replace(self.builder, key=key, policy=policy, keeps=True)
        return World(
            objects=self.objects,
            records=self.history,
            engine=self.engine,
            proxy=self.proxy,
            build=self.builder.build,
            rebuild=self.builder.rebuild,
            journal=Journal(self.history, self.recorder),
            board=self.board,
            now=utc_now,
            clock=time.monotonic,
            secret_files=self.runtime_files,
            require=self.election.require if self.election else always,
        )

    def _keep_objects(self) -> None:
        """Make copies of objects that a former release has written, for when one can no longer be read."""
        from reconciler.api import VaultError

        for kind in KINDS.values():
            its = self.objects.of(kind)
            for name in its.names():
                try:
                    its.keep(name)
                except VaultError as error:
                    _log.warning("no copy is made of %s: %s", Ref(kind, name).label, error)

    def converge(
        self, refs: Collection[Ref], timeout: float, on_progress: Report | None = None
    ) -> Mapping[Ref, Outcome]:
        """Work on these objects in this process until each is Ready, deleted or failed for good, or the time is over."""
        return self.controller(on_progress=on_progress).converge(refs, timeout)


RECONCILERS: Final[Mapping[str, Callable[[Application, World], Reconciler]]] = {VAULT_GATEWAY.name: gateways}
"""What makes the reconciler of each kind besides VaultService, by the kind's name."""


def wire(options: Options) -> Application:
    """The application for these options."""
    return Application(options)
