"""One pass over one VaultGateway, from top to bottom.

The routes of all services are settled, the gateway and its HAProxies are observed, the operations that are safe now are
carried out, and the result is reported. Like a pass over a service it keeps no state.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from reconciler.api.condition_types import find_condition
from reconciler.api.errors import PermanentError, TemporaryError, VaultError
from reconciler.api.kinds import VAULT_GATEWAY, VAULT_SERVICE, Ref
from reconciler.api.reasons import Reason
from reconciler.certificates.wanted import wanted
from reconciler.controller.reconcile.executor import execute_gateway
from reconciler.controller.reconcile.login_files import read_login_files
from reconciler.controller.reconcile.permission import always
from reconciler.controller.reconcile.result import Result
from reconciler.controller.report import gateway_summary, summary
from reconciler.controller.report.gateway_board import GatewayBoard, certificates_of, routes_of
from reconciler.controller.report.journal import death_of
from reconciler.core.desired.build import project_of
from reconciler.core.names import VAULT_NET
from reconciler.core.plan.gateway_operations import (
    ChangeCertificates,
    ChangeRoutes,
    GatewayTls,
    WriteCertificates,
    WriteRoutes,
)
from reconciler.core.plan.operations import Operation, Plan
from reconciler.core.plan.preview import Preview
from reconciler.core.routes.guards import closures, login_files
from reconciler.proxy.base import GatewayWish
from reconciler.store.base import UnreadableError
from reconciler.threads import Abreast, side_by_side

if TYPE_CHECKING:
    from reconciler.api.vaultgateway import GatewayStatus, VaultGateway
    from reconciler.certificates.keeper import Serving
    from reconciler.certificates.keepers import Keepers
    from reconciler.controller.reconcile.routing import Router, Routing
    from reconciler.controller.report.journal import Journal
    from reconciler.core.assess.observation import EngineObservation
    from reconciler.core.desired.stack import Stack
    from reconciler.core.routes.table import Table
    from reconciler.engines.base import Engine, Fronts
    from reconciler.proxy.base import GatewayProxy
    from reconciler.store.base import Objects, StoredObject

__all__ = ["GatewayWorld", "reconcile"]

LOG_LINES: Final = 10
"""How much of a failed container's log goes into its event."""


@dataclass(frozen=True, slots=True)
class GatewayWorld:
    """Everything that a pass over a gateway can see and change. `objects` are those of all kinds, `router` settles their
    routes; `journal` records what is done to gateways. `bind` is the address of the host that ports are published on, empty
    for all, and `key` that of revisions; `now` gives aware UTC datetimes, `clock` seconds for durations. `keepers` have the
    certificates; `board` is for metrics. `require` is called before each change; see World. `fronts` are the nodes that a
    gateway can run on, if there are several, `abreast` is how they and the HAProxies are told.
    """

    objects: Objects[Any, Any]
    router: Router
    engine: Engine
    gateways: GatewayProxy
    journal: Journal
    bind: str
    key: bytes
    now: Callable[[], datetime]
    clock: Callable[[], float]
    keepers: Keepers | None = None
    board: GatewayBoard = field(default_factory=GatewayBoard)
    require: Callable[[], object] = always
    fronts: Fronts | None = None
    abreast: Abreast = side_by_side


def reconcile(name: str, world: GatewayWorld) -> Result:
    """Run one pass over a VaultGateway. Raises VaultError, whose type says whether to try again."""
    mine = world.objects.of(VAULT_GATEWAY)
    before = mine.status(name)
    try:
        stored = mine.get(name)
    except UnreadableError as error:
        if kept := mine.kept(name):
            _fail(kept, before, error, world)
        raise
    if stored is None:
        return _gone(name, world)
    if stored.resource.spec.suspend and stored.deletion is None:
        suspended = summary.suspended(before, stored.generation, world.now())
        _put_status(stored, suspended, world)
        world.board.waits(stored, suspended)
        return Result()
    try:
        routing = world.router.settled()
        if name not in routing.tables:
            # Another process has removed it since.
            return _gone(name, world)
        users = frozenset(routing.tables[name].services.values())
        if stored.deletion and not users:
            return _delete(stored, routing, world)
        return _advance(stored, before, routing, world)
    except VaultError as error:
        _fail(stored, before, error, world)
        raise


def _fail(
    stored: StoredObject[VaultGateway], before: GatewayStatus, error: VaultError, world: GatewayWorld
) -> None:
    stalled = not isinstance(error, TemporaryError)
    failed = summary.after_failure(
        before, stored.generation, error.reason, str(error), world.now(), stalled=stalled
    )
    _put_status(stored, failed, world)
    world.board.waits(stored, failed)


def _advance(
    stored: StoredObject[VaultGateway], before: GatewayStatus, routing: Routing, world: GatewayWorld
) -> Result:
    """Observe, report, execute."""
    table, refused = routing.tables[stored.name], routing.refused(stored.name)
    unread = routing.unread(stored.name)
    stack = _stack(stored, _served(table), world)
    keeper = world.keepers.of(stored.name) if world.keepers else None
    spec = stored.resource.spec
    wants = wanted(table, spec)
    serving = keeper.serve(wants, spec.acme) if keeper else None
    wish = GatewayWish(
        gateway=stored.resource,
        table=table,
        services=frozenset(world.objects.of(VAULT_SERVICE).names()),
        quiet=_is_quiet(routing, world),
        tls=_tls(serving) if serving else None,
        logins=read_login_files(login_files(table)),
    )
    closed = tuple(closures(table, wish.logins))
    world.journal.begin(stack, stored.resource.spec, stored.origin.commit, world.now())
    look = world.gateways.look(stack, wish, _observe(stack, world), world.now())
    preview = look.preview

    troubles = serving.troubles if serving else ()
    status = gateway_summary.after_pass(before, stored, preview, table, refused, troubles, closed, unread)
    if stored.deletion:
        users = frozenset(table.services.values())
        status = gateway_summary.still_routed(status, stored.generation, users, preview.now)
    _put_status(stored, status, world, before)
    world.board.saw(
        stored,
        status,
        routes=tuple(routes_of(table)),
        certificates=tuple(
            certificates_of(
                [name for want in wants for name in want.names],
                serving.hosts if serving else {},
                serving.failures if serving else {},
            )
        ),
        spare_pools=look.spare_pools,
        exporters=look.exporters,
    )
    refusals = [(Reason.ROUTE_REFUSED, f"{each.claim.service}: {each.message}") for each in refused]
    refusals += [(each.why, f"{each.service}: {each.message}") for each in closed]
    refusals += [(Reason.CERTIFICATE_MISSING, f"{each.names[0]}: {each.message}") for each in troubles]
    refusals += [(Reason.OBJECT_UNREADABLE, f"{name}: {text}") for name, text in unread.items()]
    nodes = preview.assessment.observed.engine.nodes
    refusals += [
        (Reason.NODE_AWAY, f"node {each.name}: {each.problem}")
        for each in nodes
        if each.problem and not each.is_new
    ]
    world.journal.noticed(preview.assessment, refusals)
    _carry_out(stored, preview, world)
    if keeper and serving and look.is_whole:
        keeper.answering(serving.ids)

    plan, converged = preview.plan, gateway_summary.is_converged(preview)
    if converged:
        world.journal.complete(stack, world.now())
    woken = _reassigned(plan) if _is_only_routes(plan) and _was_ready(before) else look.holders
    # What they do wakes this gateway again, so they are only woken by a change.
    is_news = bool(plan.operations) or (converged and not _was_ready(before))
    return Result(
        requeue_after=0.0 if plan else plan.requeue_after,
        converged=converged,
        did=str(plan) if plan else "",
        wakes=_services(woken | _reassigned(plan)) if is_news else (),
        # One that it has just left may be left to the engine.
        drains=bool(preview.assessment.observed.engine.drained) and not plan,
    )


def _observe(stack: Stack, world: GatewayWorld) -> EngineObservation:
    """What runs of a gateway, on all of its nodes."""
    here = world.engine.observe(stack)
    if stack.nodes is None:
        return here
    if world.fronts is None:
        raise PermanentError(
            "spec.nodeSelector: the engine knows one host only; leave it out, or use `vaultctl run --engine swarm`"
        )
    nodes = world.fronts.nodes(stack, here)
    containers = tuple(each for node in nodes if node.seen for each in node.seen.containers)
    return replace(here, containers=containers, nodes=nodes)


def _served(table: Table) -> frozenset[str]:
    """The services whose replicas it has to reach: a redirect is answered without one."""
    passing = [route for route, its in table.routes.items() if its.redirect is None]
    return frozenset(table.services[route] for route in (*passing, *table.connections))


def _tls(serving: Serving) -> GatewayTls:
    return GatewayTls(
        default=serving.default.pem,
        hosts={host: held.bundle.pem for host, held in serving.hosts.items()},
        challenges={host: bundle.pem for host, bundle in serving.challenges.items()},
        answers=serving.paths,
        secured=serving.secured,
    )


def _stack(stored: StoredObject[VaultGateway], routed: frozenset[str], world: GatewayWorld) -> Stack:
    """What should run, in the networks of the services that it serves, as far as these exist."""
    directory = world.objects.of(VAULT_GATEWAY).directory(stored.name)
    networks: frozenset[str] = frozenset()
    if stored.resource.spec.network == "published":
        served = routed | world.gateways.holders(directory)
        networks = world.engine.networks({f"{project_of(name)}_{VAULT_NET}" for name in served})
    return world.gateways.stack(stored.resource, directory, networks, world.bind, world.key)


def _is_quiet(routing: Routing, world: GatewayWorld) -> bool:
    """Whether no service with routes is being rolled out."""
    services = world.objects.of(VAULT_SERVICE)
    conditions = (
        find_condition(services.status(name).conditions, "Reconciling") for name in routing.claimants
    )
    return not any(each is not None and each.status == "True" for each in conditions)


def _carry_out(stored: StoredObject[VaultGateway], preview: Preview, world: GatewayWorld) -> None:
    operations = preview.plan.operations
    words = _last_words(operations, world)
    calls = execute_gateway(
        preview.stack,
        operations,
        world.engine,
        world.gateways,
        world.clock,
        world.fronts,
        world.require,
        world.abreast,
    )
    failed: VaultError | None = None
    for call in calls:
        world.journal.executed(preview.stack, call, words, stored.origin.commit, world.now())
        failed = failed or call.error
    if failed:
        raise failed


def _last_words(operations: tuple[Operation, ...], world: GatewayWorld) -> Mapping[str, str]:
    """The end of the log of each container that died; a log that cannot be read fails no pass."""
    words = {}
    for death in filter(None, map(death_of, operations)):
        try:
            words[death.container] = world.engine.logs(death.container, LOG_LINES)
        except VaultError:
            words[death.container] = ""
    return words


def _is_only_routes(plan: Plan) -> bool:
    """Whether no HAProxy comes, goes or is started again."""
    kinds = (WriteRoutes, ChangeRoutes, WriteCertificates, ChangeCertificates)
    return all(isinstance(operation, kinds) for operation in plan.operations)


def _reassigned(plan: Plan) -> frozenset[str]:
    return frozenset(
        name for each in plan.operations if isinstance(each, WriteRoutes) for name in each.reassigned
    )


def _services(names: frozenset[str]) -> tuple[Ref, ...]:
    return tuple(Ref(VAULT_SERVICE, name) for name in sorted(names))


def _was_ready(before: GatewayStatus) -> bool:
    ready = find_condition(before.conditions, "Ready")
    return ready is not None and ready.status == "True"


def _put_status(
    stored: StoredObject[VaultGateway],
    status: GatewayStatus,
    world: GatewayWorld,
    before: GatewayStatus | None = None,
) -> None:
    """Store the status for the generation and request that this pass started with; most find it as it was `before`."""
    if status.last_handled_reconcile_at != stored.requested_at:
        status = status.model_copy(update={"last_handled_reconcile_at": stored.requested_at})
    if status is not before:
        world.objects.of(VAULT_GATEWAY).put_status(stored.name, status)


def _delete(stored: StoredObject[VaultGateway], routing: Routing, world: GatewayWorld) -> Result:
    world.require()
    directory = world.objects.of(VAULT_GATEWAY).directory(stored.name)
    stack = world.gateways.stack(stored.resource, directory, (), world.bind, world.key)
    if stored.resource.spec.node_selector is not None and world.fronts:
        world.fronts.tear_down(stack.project)
    world.engine.tear_down(stack.project, volumes=False)
    world.objects.of(VAULT_GATEWAY).remove(stored.name)
    if stored.name in world.objects.of(VAULT_GATEWAY).names():
        # It was applied again meanwhile, which took the deletion back.
        return Result(requeue_after=0.0)
    result = _gone(stored.name, world)
    # Routes that name no gateway may belong to another one now.
    return Result(gone=result.gone, wakes=_services(frozenset(routing.claimants)))


def _gone(name: str, world: GatewayWorld) -> Result:
    world.journal.forget(name)
    world.board.forget(name)
    if world.keepers:
        world.keepers.drop(name)
    return Result(gone=True)
