"""The invariants of gateways: what must hold around every call of a gateway's pass, and for every request.

A pass of a gateway may change how requests reach a service, and nothing else: it takes no route away that is still wanted,
and leads none to fewer replicas than serve, or to those of another service.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from reconciler.core.desired.stack import Site
from reconciler.core.routes.claims import HttpKey
from reconciler.core.routes.match import match
from reconciler.core.routes.table import Table
from reconciler.engines.memory.engine import MemoryEngine
from reconciler.proxy.haproxy.gateway.containers import project_of
from reconciler.proxy.haproxy.gateway.maps import SEPARATOR
from reconciler.proxy.memory import Answer, MemoryGateways, MemoryProcess, MemoryWorker
from tests.simulation.story import Violation

Led = Mapping[HttpKey, frozenset[str]]
"""The replicas that can answer a request, by its key."""


@dataclass(slots=True)
class GatewayPass:
    """What a gateway's pass found: the HAProxies that took connections, and whether its ports have to change.

    `is_deceived`: since it looked, a file was changed that HAProxy reads when it starts.
    """

    ways_in: frozenset[str]
    moves: bool
    closed: set[str] = field(default_factory=set)
    is_deceived: bool = False


class GatewayJudge:
    """Looks before and after each call of a pass over a gateway, and at each request.

    `tables` gives what is wanted of each gateway now; `floor` how many replicas of a service have to serve.
    """

    def __init__(
        self,
        engine: MemoryEngine,
        gateways: MemoryGateways,
        sites: Callable[[], Mapping[str, Site]],
        tables: Callable[[], Mapping[str, Table]],
        floor: Callable[[str], int],
    ) -> None:
        self._engine = engine
        self._gateways = gateways
        self._sites = sites
        self._tables = tables
        self._floor = floor
        self._before: Mapping[int, Led] = {}
        self._ways_in: frozenset[str] = frozenset()
        self._passes: dict[str, GatewayPass] = {}
        self._promised: dict[tuple[str, HttpKey], str] = {}

    # Around a plan

    def looked(self, gateway: str, *, moves: bool) -> None:
        """A pass has looked; `moves`: its published ports have to change, which is no outage of the plan's making."""
        ways_in = frozenset(p.container for p in self.accepting(gateway))
        self._passes[gateway] = GatewayPass(ways_in, moves)

    def file_changed(self, gateway: str) -> None:
        """The world has changed a file: what starts with it is not the work of the pass that has looked before."""
        if gateway in self._passes:
            self._passes[gateway].is_deceived = True

    def converged(self, gateway: str) -> None:
        """A pass has found everything as it should be: from now on each of its routes is served."""
        for key, service in self._owned(gateway).items():
            self._promised[gateway, key] = service

    def settled(self) -> None:
        """What is wanted may have changed."""
        owned = {
            (gateway, key): who for gateway in self._tables() for key, who in self._owned(gateway).items()
        }
        self._promised = {key: who for key, who in self._promised.items() if owned.get(key) == who}

    # Around a call

    def before(self, gateway: str) -> None:
        """A pass over this gateway is about to make a call."""
        accepting = self.accepting(gateway)
        self._before = {p.workers[0].pid: self._led(p.workers[0]) for p in accepting}
        self._ways_in = frozenset(p.container for p in accepting)

    def after(self, gateway: str, call: str) -> None:
        """The call was made, with whatever result."""
        accepting = self.accepting(gateway)
        now = {p.workers[0].pid: self._led(p.workers[0]) for p in accepting}
        wanted = self._owned(gateway)
        known_pass = self._passes[gateway]
        # The new worker of a reload is compared with all that there were.
        of_new = [] if known_pass.is_deceived else [*self._before.values()]
        for pid, led in now.items():
            known = [self._before[pid]] if pid in self._before else of_new
            self._compare(call, pid, led, known if call != "start" else [], wanted)
        known_pass.closed |= self._ways_in - {p.container for p in accepting}
        lost = known_pass.ways_in & (self._ways_in - {p.container for p in accepting})
        # One that the world ended after the pass had looked was a way in for it.
        left = accepting or known_pass.ways_in - known_pass.closed
        if call == "stop" and lost and not left and not known_pass.moves:
            raise Violation(f"{call} ends the last HAProxy of gateway {gateway} that took connections")

    def _compare(
        self, call: str, pid: int, led: Led, known: list[Led], wanted: Mapping[HttpKey, str]
    ) -> None:
        for key, service in wanted.items():
            there = [len(former[key]) for former in known if key in former]
            # A service that takes a route over from a younger one has no servers there at first: requests wait for them.
            if not there or key not in self._promised_keys(service):
                continue
            if key not in led:
                raise Violation(f"{call} takes {key} of {service} from HAProxy worker {pid}")
            if len(led[key]) < min(self._floor(service), *there):
                raise Violation(
                    f"{call} leaves {len(led[key])} of {min(there)} servers to {key} of {service} in HAProxy worker {pid}"
                )

    def _promised_keys(self, service: str) -> set[HttpKey]:
        return {key for (_, key), who in self._promised.items() if who == service}

    # At a request

    def answered(self, gateway: str, host: str, path: str, answer: Answer | None) -> None:
        """A client has asked one of its HAProxies."""
        if answer is None:
            keys = {key: who for (where, key), who in self._promised.items() if where == gateway}
            if service := match(Table(gateway, http=keys), host, path):
                raise Violation(f"{host}{path} is not found, which is a route of {service}")
            return
        owner = answer.route.rpartition(".")[0]
        if answer.server:
            found = [c for c in self._engine.machine.containers.values() if c.id.startswith(answer.server)]
            if found and found[0].service != owner:
                raise Violation(f"{host}{path} of {owner} is answered by {found[0].name}")

    # What is true

    def accepting(self, gateway: str) -> list[MemoryProcess]:
        """The HAProxies that connections to a port of this gateway can come to."""
        found = []
        for process in self._gateways.of(project_of(gateway)).values():
            containers = self._engine.machine.containers
            holder = containers.get(containers[process.container].joined or "")
            lives = containers[process.container].joined is None or (
                holder is not None and holder.is_up and holder.started <= process.started
            )
            if lives and process.workers[0].current and self._gateways.is_ready(process):
                found.append(process)
        return found

    def _owned(self, gateway: str) -> dict[HttpKey, str]:
        table = self._tables().get(gateway)
        return {key: table.services[route] for key, route in table.http.items()} if table else {}

    def _led(self, worker: MemoryWorker) -> Led:
        led = {}
        for entry, target in worker.maps.get("routes", {}).items():
            _, pool, *_ = target.split(SEPARATOR)
            host, slash, prefix = entry.partition("/")
            servers = worker.pools.get(pool, {})
            led[HttpKey(host, slash + prefix)] = frozenset(
                name for name, server in servers.items() if server.up and server.weight
            )
        return led
