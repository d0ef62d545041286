"""Implements GatewayProxy with HAProxy: reads and writes a gateway's directory, and talks to its HAProxies.

What it reads comes to a plan in planning.py, and what a plan says is done here without a decision. A HAProxy that does not
listen has no traffic, so changes skip it; one that listens and does not answer is an error.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Final

from reconciler.api.errors import PermanentError, VaultError
from reconciler.api.vaultgateway import GatewaySpec, VaultGateway
from reconciler.core.assess.assessment import assess
from reconciler.core.assess.history import History
from reconciler.core.assess.observation import (
    Container,
    EngineObservation,
    Observation,
    ProxyInstance,
    ProxyObservation,
    ProxyWorker,
    Server,
    State,
)
from reconciler.core.desired.stack import Probe, Role, Site, Stack
from reconciler.core.names import AGENT_DIRECTORY
from reconciler.core.plan.gateway_operations import (
    ChangeCertificates,
    ChangeReadiness,
    ChangeRoutes,
    ConfigureGateway,
    DrainPool,
    EmptyPool,
    GatewayTls,
    NameSlots,
    WriteCertificates,
    WriteRoutes,
)
from reconciler.core.plan.preview import Preview
from reconciler.proxy.base import GatewayLook, GatewayWish
from reconciler.proxy.errors import ProxyAwayError, ProxyError
from reconciler.proxy.haproxy.containers import haproxy_of
from reconciler.proxy.haproxy.files import Validate, prepare, read_files, write_files
from reconciler.proxy.haproxy.gateway.access import FILES, Files
from reconciler.proxy.haproxy.gateway.certificates import Loaded
from reconciler.proxy.haproxy.gateway.containers import POOL, gateway_stack
from reconciler.proxy.haproxy.gateway.directory import WrittenGateway, trial_files
from reconciler.proxy.haproxy.gateway.exporters import exporters
from reconciler.proxy.haproxy.gateway.maps import MAPS, Maps, led_by, moves_between
from reconciler.proxy.haproxy.gateway.on_nodes import for_all, silent_on
from reconciler.proxy.haproxy.gateway.planning import plan_gateway
from reconciler.proxy.haproxy.gateway.pool_file import PoolSettings
from reconciler.proxy.haproxy.gateway.pools import Need, kind_of
from reconciler.proxy.haproxy.gateway.readiness import READINESS, READY_SERVER, ready_server
from reconciler.proxy.haproxy.gateway.render import GATEWAY_FILE, structure
from reconciler.proxy.haproxy.gateway.sight import Leftover, Sight, up_in
from reconciler.proxy.haproxy.gateway.site import site_of
from reconciler.proxy.haproxy.gateway.tls_files import (
    CERTIFICATE_LIST,
    CHALLENGE_LIST,
    DEFAULT_CERTIFICATE,
    Certificates,
    are_written,
    served,
    write_certificates,
)
from reconciler.proxy.haproxy.gateway.wanted import WantedGateway, spare_pools, unneeded, want
from reconciler.proxy.haproxy.reaching import OneHAProxy, Pool, Reach, reach
from reconciler.proxy.haproxy.runtime import RELOAD_TIMEOUT
from reconciler.proxy.haproxy.stats import Process, as_worker, last_successor
from reconciler.proxy.silence import Silence
from reconciler.threads import Abreast, side_by_side

__all__ = ["HAProxyGateways", "Seen"]

SERVES_SECONDS: Final = 2.0
"""Timeout of the question whether a HAProxy that is silent serves."""
LOOK_SECONDS: Final = 4.0
"""Timeout of one observation of one HAProxy."""
CHANGE_SECONDS: Final = 10.0
"""Timeout of one change in one HAProxy."""
CERTIFICATE_SECONDS: Final = 30.0
"""Timeout of the changes of all certificates in one HAProxy: hundreds are new after a start without files."""


@dataclass(frozen=True, slots=True)
class Seen:
    """One HAProxy that answered; without `maps` it has not told them in time. `certificates` are None as well when it is
    not to have any, and `readiness` when it has no path for it. `pools` are None when they were not told.
    """

    process: tuple[Process, ...]
    maps: Maps | None
    certificates: Loaded | None = None
    readiness: Server | None = None
    pools: frozenset[str] | None = None


class HAProxyGateways:
    """Implements reconciler.proxy.base.GatewayProxy; any thread may use it for any gateway.

    It remembers since when a HAProxy has been silent, and the structures that an image has accepted. `certificate` makes
    the certificate that HTTPS listeners have as long as there is no other one. `clock` gives monotonic seconds. `files` and
    `at` are how it reaches gateways, `abreast` how it asks and tells several HAProxies of one.
    """

    def __init__(
        self,
        validate: Validate,
        certificate: Callable[[], str],
        clock: Callable[[], float],
        files: Files = FILES,
        at: Reach = reach,
        abreast: Abreast = side_by_side,
    ) -> None:
        self._abreast = abreast
        self._files = files
        self._at = at
        self._validate = validate
        self._certificate = certificate
        self._silence = Silence(clock)
        self._accepted: set[tuple[str, str]] = set()

    # Desired

    def holders(self, directory: Path) -> frozenset[str]:
        """See GatewayProxy.holders."""
        with _reading():
            return frozenset(need.service for need in self._files.read_held(Site(directory, -1, -1)))

    def stack(
        self, gateway: VaultGateway, directory: Path, networks: Collection[str], bind: str, key: bytes
    ) -> Stack:
        """See GatewayProxy.stack."""
        site = site_of(directory, gateway.spec)
        mounted = None if gateway.spec.node_selector is None else Path(AGENT_DIRECTORY, *directory.parts[-2:])
        return gateway_stack(gateway, site, networks, bind, key, mounted)

    # Observing

    def look(self, stack: Stack, wish: GatewayWish, seen: EngineObservation, now: datetime) -> GatewayLook:
        """See GatewayProxy.look."""
        spec = wish.gateway.spec
        with _reading(), _checking(stack):
            written = self._files.read_gateway(stack.site)
            wanted = want(spec, wish.table, written, wish.tls, wish.logins, quiet=wish.quiet)
            sight = self._sight(stack, wish, wanted, written, seen)
        proxy = ProxyObservation(
            expected=wanted.structure,
            # A file that this image's HAProxy has not validated yet counts as missing, although it may be valid.
            written=written.structure if written.image == spec.image and written.structure else None,
            configured={},
            instances=sight.instances,
            file=GATEWAY_FILE,
        )
        whole = for_all(stack, seen.nodes)
        assessment = assess(whole, Observation(seen, proxy), now)
        tls = wish.tls if _has_https(spec) else None
        each = stack if stack.nodes is not None else None
        plan = plan_gateway(assessment, spec, wanted, sight, wish.services, tls, each=each)
        is_whole = all(one.answering and one.container in sight.maps for one in sight.instances)
        return GatewayLook(
            Preview(assessment, History(), plan),
            wanted.holders,
            is_whole,
            spare_pools(written),
            exporters(stack, spec, seen, sight.places),
        )

    def _sight(
        self,
        stack: Stack,
        wish: GatewayWish,
        wanted: WantedGateway,
        written: WrittenGateway,
        seen: EngineObservation,
    ) -> Sight:
        asked = [
            c
            for c in seen.containers
            if c.role is Role.PROXY and c.state is State.RUNNING and c.slot is not None
        ]
        certificates = _certificates(wish.tls) if wish.tls and _has_https(wish.gateway.spec) else None
        ask = partial(self._ask, stack, spec=wish.gateway.spec, has_tls=certificates is not None)
        found = dict(zip((c.id for c in asked), self._abreast(ask, asked), strict=True))
        silent = self._silence.of(stack.project, [id for id, answer in found.items() if answer is None])
        places = self._files.read_places(stack.site)
        if places and stack.nodes is None:
            names = ", ".join(sorted(set(places.values())))
            raise PermanentError(
                f"spec.nodeSelector cannot be taken away: HAProxies of the gateway run on {names}. Put it back, or delete "
                "the gateway and apply it again"
            )
        answering = [c for c in asked if found[c.id]]
        mute = [c for c in asked if c.id in silent]
        serving = self._abreast(partial(self._serves, stack), mute)
        serves = {c.id for c, is_serving in zip(mute, serving, strict=True) if is_serving}
        amiss = self._abreast(
            lambda c: (
                tuple(self._unfilled(stack, c, found[c.id], wanted)),
                tuple(self._damaged(stack, c, found[c.id], wanted, written)),
            ),
            answering,
        )
        # What a file that was edited comes to is its service's business.
        whole = frozenset(pool for pool, said in written.pools.items() if said is not None)
        return Sight(
            written=written,
            slots=self._files.read_slots(stack.site),
            places=places,
            instances=(
                *(
                    _instance(id, answer, whole)
                    if answer
                    else ProxyInstance(id, answering=False, silent=silent[id], serves=id in serves)
                    for id, answer in found.items()
                ),
                *silent_on(seen.nodes, places),
            ),
            maps={id: told.maps for id, told in found.items() if told and told.maps is not None},
            unfilled={c.id: pools for c, (pools, _) in zip(answering, amiss, strict=True) if pools},
            damaged={c.id: pools for c, (_, pools) in zip(answering, amiss, strict=True) if pools},
            leftovers=self._leftovers(stack, answering, tuple(unneeded(wish.table, written))),
            readiness={id: told.readiness for id, told in found.items() if told and told.readiness},
            is_certified=certificates is None or are_written(stack.site, certificates),
            uncertified=frozenset(
                id
                for id, answer in found.items()
                if certificates
                and answer
                and answer.certificates
                and answer.certificates.lists
                and not answer.certificates.has(certificates)
            ),
        )

    def _ask(self, stack: Stack, container: Container, spec: GatewaySpec, *, has_tls: bool) -> Seen | None:
        haproxy = self._haproxy(stack, container.slot or 0, LOOK_SECONDS)
        try:
            processes = haproxy.pool(POOL).processes()
            ready = ready_server(haproxy.pool(READINESS).processes()) if spec.readiness else None
        except ProxyError:
            return None
        try:
            maps = haproxy.read_maps(MAPS, processes[0].info.pid)
            certificates = haproxy.read_certificates() if has_tls else None
            return Seen(processes, maps, certificates, ready, _pools_of(haproxy))
        except ProxyError:
            # It is there; the next pass asks again.
            return Seen(processes, None, readiness=ready)

    def _serves(self, stack: Stack, container: Container) -> bool:
        return self._haproxy(stack, container.slot or 0, SERVES_SECONDS).pool(POOL).serves()

    def _unfilled(
        self, stack: Stack, container: Container, told: Seen | None, wanted: WantedGateway
    ) -> Iterator[str]:
        """The pools that routes have to be led to, and that have fewer replicas in this HAProxy than the former ones."""
        for former, pool in sorted(moves_between(told.maps, wanted.maps)) if told and told.maps else ():
            there, new = (up_in(self._workers(stack, container, each)) for each in (former, pool))
            if there - new:
                yield pool

    def _damaged(
        self,
        stack: Stack,
        container: Container,
        told: Seen | None,
        wanted: WantedGateway,
        written: WrittenGateway,
    ) -> Iterator[str]:
        """The pools that have replicas in this HAProxy and no file that says so, of those that routes lead to, or will."""
        led = led_by(told.maps) if told and told.maps else ()
        for pool in sorted({*wanted.needed, *led}):
            if written.pools.get(pool) is None and up_in(self._workers(stack, container, pool)):
                yield pool

    def _leftovers(
        self, stack: Stack, answering: Collection[Container], pools: Collection[str]
    ) -> Mapping[str, Leftover]:
        """What these HAProxies have of pools."""
        views = self._abreast(lambda c: {pool: self._workers(stack, c, pool) for pool in pools}, answering)
        return {pool: Leftover.of(chain.from_iterable(view[pool] for view in views)) for pool in pools}

    def _workers(self, stack: Stack, container: Container, pool: str) -> tuple[ProxyWorker, ...]:
        return _as_workers(self._haproxy(stack, container.slot or 0, LOOK_SECONDS).pool(pool).processes())

    # Changing

    def write_routes(self, stack: Stack, request: WriteRoutes) -> None:
        """See GatewayProxy.write_routes."""
        held = {Need(service, port, kind_of(pool)): pool for pool, service, port in request.held}
        with _writing(), _checking(stack):
            self._files.write_routes(stack.site, held, request.maps)

    def write_certificates(self, stack: Stack, request: WriteCertificates) -> None:
        """See GatewayProxy.write_certificates."""
        with _writing(), _checking(stack):
            write_certificates(stack.site, _certificates(request.tls))

    def change_certificates(self, stack: Stack, request: ChangeCertificates) -> None:
        """See GatewayProxy.change_certificates."""
        with _checking(stack), suppress(ProxyAwayError):
            haproxy = self._haproxy(stack, request.slot, CERTIFICATE_SECONDS)
            haproxy.change_certificates(_certificates(request.tls))

    def configure(self, stack: Stack, request: ConfigureGateway) -> None:
        """See GatewayProxy.configure."""
        site, spec, image = stack.site, request.spec, haproxy_of(stack).image
        with _writing(), _checking(stack):
            before = self._files.read_gateway(site)
            if before.structure:
                self._accepted.add((before.structure, before.image))
            trial = trial_files(spec, request.pools, image)
            wanted = (structure(spec, request.pools), image)
            tls = self._tls(site) if _has_https(spec) else {}
            if wanted not in self._accepted:
                # Without the certificates of hosts: they are elsewhere while HAProxy judges.
                empty = {CERTIFICATE_LIST: "", CHALLENGE_LIST: ""} if tls else {}
                with _explaining(spec, image):
                    self._files.validate(site, image, {**trial, **tls, **empty}, self._validate)
                self._accepted.add(wanted)
            if tls:
                prepare(site)
                write_files(site.config, tls, site)
            self._files.write_configuration(site, spec, request.pools, image)

    def _tls(self, site: Site) -> dict[str, str]:
        """The certificates that HTTPS listeners need at a start: those that are there, or a single one."""
        there = read_files(site.config, (DEFAULT_CERTIFICATE, CERTIFICATE_LIST, CHALLENGE_LIST))
        return {
            CERTIFICATE_LIST: there.get(CERTIFICATE_LIST, ""),
            CHALLENGE_LIST: there.get(CHALLENGE_LIST, ""),
            DEFAULT_CERTIFICATE: there.get(DEFAULT_CERTIFICATE) or self._certificate(),
        }

    def name_slots(self, stack: Stack, request: NameSlots) -> None:
        """See GatewayProxy.name_slots."""
        with _writing():
            self._files.write_slots(stack.site, request.slots, request.nodes)

    def change_routes(self, stack: Stack, request: ChangeRoutes) -> None:
        """See GatewayProxy.change_routes."""
        # Only those that differ: one that has to wait for a processor takes long to tell all.
        changed = {name: request.maps[name] for name in request.changed}
        with suppress(ProxyAwayError):
            self._haproxy(stack, request.slot).change_maps(changed)

    def change_readiness(self, stack: Stack, request: ChangeReadiness) -> None:
        """See GatewayProxy.change_readiness."""
        with suppress(ProxyAwayError):
            pool = self._haproxy(stack, request.slot).pool(READINESS)
            change = pool.restore_servers if request.ready else pool.drain_servers
            change([READY_SERVER])

    def reload(self, stack: Stack, slot: int) -> None:
        """See GatewayProxy.reload."""
        with _writing():
            written = self._files.read_gateway(stack.site)
            if not written.structure:
                raise ProxyError("there is no gateway.cfg to reload; it has to be configured first")
            haproxy = self._haproxy(stack, slot, CHANGE_SECONDS + RELOAD_TIMEOUT)
            haproxy.pool(POOL).reload(written.structure, every_pool=True)

    def drain_pool(self, stack: Stack, request: DrainPool) -> None:
        """See GatewayProxy.drain_pool."""
        self._tell(stack, request, lambda pool: pool.drain_servers(request.servers))

    def empty_pool(self, stack: Stack, request: EmptyPool) -> None:
        """See GatewayProxy.empty_pool. A HAProxy may have read the file before it was written here, and not answer yet: as
        long as the file has settings, the pool is looked at in each. So it keeps them while there were servers anywhere.
        """
        with _writing():
            said = self._files.read_pools(stack.site, [request.pool])[request.pool]
            may_be_read = request.servers or said is None or said.servers
            settings = (said and said.settings) or PoolSettings(Probe("/", "localhost", 2.0), 0.0)
            self._files.write_pool(stack.site, request.pool, (), settings if may_be_read else None)
        self._tell(stack, request, lambda pool: pool.delete_servers(request.servers, force=True))

    def _tell(self, stack: Stack, request: DrainPool | EmptyPool, change: Callable[[Pool], None]) -> None:
        """Change a pool in each HAProxy that it is asked of and that listens."""

        def tell(slot: int) -> None:
            with suppress(ProxyAwayError):
                change(self._haproxy(stack, slot).pool(request.pool))

        self._abreast(tell, request.slots)

    def _haproxy(self, stack: Stack, slot: int, seconds: float = CHANGE_SECONDS) -> OneHAProxy:
        return self._at(stack.site, slot, seconds)


def _has_https(spec: GatewaySpec) -> bool:
    return any(each.protocol == "HTTPS" for each in spec.listeners)


def _certificates(tls: GatewayTls) -> Certificates:
    return Certificates(tls.default, served(tls.hosts, tls.challenges))


def _pools_of(haproxy: OneHAProxy) -> frozenset[str] | None:
    """The pools that it has; None if they are not told, as by an agent of an earlier release."""
    with suppress(ProxyError):
        return haproxy.pools()
    return None


def _instance(container: str, seen: Seen, pools: Collection[str]) -> ProxyInstance:
    """A HAProxy that was asked. One that lacks some of these pools has another structure than it says: it has read the
    files while theirs were away.
    """
    is_whole = seen.pools is None or seen.pools.issuperset(pools)
    return ProxyInstance(
        container=container,
        answering=True,
        structure=seen.process[0].info.structure if is_whole else "",
        workers=_as_workers(seen.process),
    )


def _as_workers(processes: Collection[Process]) -> tuple[ProxyWorker, ...]:
    successor = last_successor(processes)
    return tuple(as_worker(process, successor) for process in processes)


@contextmanager
def _reading() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise ProxyError(f"cannot read the configuration of a gateway: {error}") from error


@contextmanager
def _writing() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise ProxyError(f"cannot write the configuration of a gateway: {error}") from error


@contextmanager
def _explaining(spec: GatewaySpec, image: str) -> Iterator[None]:
    """What HAProxy says of a listener for HTTP/3 that it cannot have is about addresses of sockets."""
    try:
        yield
    except VaultError as error:
        names = [each.name for each in spec.listeners if each.http3]
        if not names or "QUIC" not in error.message:
            raise
        raise PermanentError(
            f"spec.listeners: HAProxy of image {image} has no QUIC, which HTTP/3 needs: leave out http3 of "
            f"{', '.join(names)}, or choose an image whose `haproxy -vv` says +QUIC"
        ) from error


@contextmanager
def _checking(stack: Stack) -> Iterator[None]:
    try:
        yield
    except ValueError as error:
        raise PermanentError(f"HAProxy cannot be configured for {stack.label}: {error}") from error
