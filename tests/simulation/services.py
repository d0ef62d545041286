"""What simulated users want: six sorts of services, and the ways in which people change their minds about them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from math import inf
from pathlib import Path
from random import Random
from typing import Any, get_args

from reconciler.api import VaultService
from reconciler.api.strategy import StrategyType
from reconciler.core.desired.build import build
from reconciler.core.desired.stack import Role, Site, Stack, Workload
from reconciler.core.routes.routed import Grant, Routed
from reconciler.engines.memory.machine import Behaviour
from reconciler.proxy.haproxy.front import FRONT
from tests.simulation.routes import Routes
from vault_plugins import VaultServicePlugin

NAME = "files"
GATEWAY = "edge"
GATEWAY_PORT = 80
SITE = Site(Path("/state/services") / NAME, 99, 99)
GOOD = ("1", "2", "3", "4")
NEVER_READY = "never-ready"
CRASHES = "crashes"
SLOW = "slow"
FAILS = "fails"
LAZY = "lazy"
"""Of this tag the job ends well, and the worker never turns healthy."""
JOB_ENDS: Mapping[str, tuple[float, int]] = {SLOW: (40.0, 0), FAILS: (1.5, 3)}
"""How long a job of this name runs, and its exit code."""
HOURLY: Mapping[str, Any] = {"interval": "1h"}
OFTEN: Mapping[str, Any] = {"interval": "20s"}
ONE_AT_A_TIME: Mapping[str, Any] = {"mode": "single-active"}
STRATEGIES: tuple[StrategyType | None, ...] = (
    None,
    *(each for each in get_args(StrategyType) if each != "RollingUpdate"),
)
"""What a service says of its strategy; None leaves it to the plugin, which is a RollingUpdate for most of them."""


class Web(VaultServicePlugin):
    """A web server with a health check."""

    metadata = VaultServicePlugin.Metadata(name="Web", slug="web", default_port=8000)

    def build_compose(self, env: Mapping[str, str]) -> Mapping[str, Any]:
        return {"services": {"web": {"image": f"{self.metadata.slug}:{env['VERSION']}"}}}

    def get_containers(self) -> Iterable[str]:
        return ("web",)


class Plain(Web):
    """A web server without a health check of its own."""

    metadata = VaultServicePlugin.Metadata(name="Plain", slug="plain", default_port=8000)


class Single(Web):
    """A web server whose data bears one writer."""

    metadata = VaultServicePlugin.Metadata(name="Single", slug="single", default_port=8000)
    single_writer = True


class Stateful(Web):
    """A web server with a database, a job that prepares it, and a worker that needs the web server."""

    metadata = VaultServicePlugin.Metadata(name="Stateful", slug="stateful", default_port=8000)
    dependencies = ("database", "migrate")

    def build_compose(self, env: Mapping[str, str]) -> Mapping[str, Any]:
        needs = {"database": {"condition": "service_healthy"}}
        done = {"migrate": {"condition": "service_completed_successfully"}}
        return {
            "services": {
                "database": {"image": f"database:{env.get('DATABASE', '1')}", "volumes": ["data:/data"]},
                "migrate": {"image": f"migrate:{env.get('JOB', '1')}", "depends_on": needs, "restart": "no"},
                "web": {"image": f"stateful:{env['VERSION']}", "depends_on": needs | done},
                "worker": {"image": f"worker:{env.get('JOB', '1')}", "depends_on": {"web": {}}},
            },
            "volumes": {"data": {}},
        }


class Separate(VaultServicePlugin):
    """One service for each replica."""

    metadata = VaultServicePlugin.Metadata(name="Separate", slug="separate", default_port=8000)

    def build_compose(self, env: Mapping[str, str]) -> Mapping[str, Any]:
        self._names = [f"web{n + 1}" for n in range(self.resolve_replicas(env))]
        return {"services": {name: {"image": f"separate:{env['VERSION']}"} for name in self._names}}

    def get_containers(self) -> Iterable[str]:
        return self._names


class Joined(Web):
    """A web server that shares memory with a cache, and two helpers in the cache's other namespaces."""

    metadata = VaultServicePlugin.Metadata(name="Joined", slug="joined", default_port=8000)
    dependencies = ("cache",)

    def build_compose(self, env: Mapping[str, str]) -> Mapping[str, Any]:
        return {
            "services": {
                "cache": {"image": f"cache:{env.get('DATABASE', '1')}", "ipc": "shareable"},
                "exporter": {"image": "exporter:1", "network_mode": "service:cache"},
                "profiler": {"image": "profiler:1", "pid": "service:cache"},
                "web": {"image": f"joined:{env['VERSION']}", "ipc": "service:cache"},
            }
        }


PLUGINS: Mapping[str, VaultServicePlugin] = {
    kind.metadata.slug: kind() for kind in (Web, Plain, Single, Stateful, Joined, Separate)
}


@dataclass(frozen=True)
class Wish:
    """A spec, in the words of a simulation."""

    plugin: str
    version: str = "1"
    database: str = "1"
    job: str = "1"
    replicas: int = 3
    surge: int | str = 1
    unavailable: int | str = 0
    min_ready: float = 0.0
    drain: float = 30.0
    port: int = 8080
    path: str = "/"
    proxies: int = 1
    proxy_image: str = "haproxy:3.0"
    network: str = "published"
    rotation: Mapping[str, Any] | None = field(default=None, hash=False)
    strategy: StrategyType | None = None
    suspend: bool = False
    paused: bool = False
    drift: str = "heal"
    restarted: int = 0
    rotated: datetime | None = None
    routed: bool = False
    routes: Routes | None = None
    name: str = NAME

    @property
    def is_good(self) -> bool:
        """Whether it can become Ready."""
        return self.version in GOOD and self.database in GOOD and self.job not in (FAILS, LAZY)

    def service(self) -> VaultService:
        """The VaultService that says so."""
        strategy: dict[str, Any] = {
            "rollingUpdate": {"maxSurge": self.surge, "maxUnavailable": self.unavailable},
            "minReadySeconds": self.min_ready,
            "drainSeconds": self.drain,
            "paused": self.paused,
        }
        spec: dict[str, Any] = {
            "plugin": self.plugin,
            "replicas": self.replicas,
            "env": {"VERSION": self.version, "DATABASE": self.database, "JOB": self.job},
            "ports": {"http": self.port},
            "healthcheck": {"path": self.path},
            "proxy": {"replicas": self.proxies, "image": self.proxy_image},
            "strategy": strategy | ({"type": self.strategy} if self.strategy else {}),
            "suspend": self.suspend,
            "drift": self.drift,
        }
        if self.routes is not None:
            del spec["ports"]
            spec |= self.routes.fields(self.name)
        elif self.routed:
            del spec["ports"]
            spec["route"] = {"hostnames": ["files.test"], "gateway": GATEWAY}
        else:
            spec["proxy"]["network"] = self.network
        if self.rotation:
            spec["rotation"] = self.rotation
        if self.restarted:
            spec["restartedAt"] = f"2026-05-01T12:00:{self.restarted % 60:02d}Z"
        if self.rotated:
            spec["rotatedAt"] = f"{self.rotated:%Y-%m-%dT%H:%M:%SZ}"
        return VaultService.model_validate({"metadata": {"name": self.name}, "spec": spec}, by_alias=True)


def first_wish(random: Random) -> Wish:
    """What somebody wants at first."""
    slug = random.choice(["web", "web", "web", "plain", "single", "stateful", "joined", "separate"])
    budgets: list[tuple[int | str, int | str]]
    budgets = [(1, 0), (1, 0), ("100%", 0), (0, 1), (1, 1), (2, 1), ("50%", "50%")]
    surge, unavailable = random.choice(budgets)
    return Wish(
        plugin=slug,
        replicas=random.choice([1, 2, 3, 3, 4]),
        surge=surge,
        unavailable=unavailable,
        min_ready=random.choice([0.0, 0.0, 0.0, 3.0]),
        drain=random.choice([0.0, 5.0, 30.0]),
        proxies=random.choice([1, 1, 2]),
        strategy=_some_strategy(random.random()),
        rotation=_some_rotation(random),
    )


def other_wish(wish: Wish, random: Random, now: datetime) -> Wish:
    """What somebody who wanted this may want next: one thing of it changed."""
    changes: list[dict[str, Any]] = [
        {"version": random.choice(GOOD)},
        {"version": random.choice(GOOD)},
        {"version": random.choice([NEVER_READY, CRASHES])},
        {"replicas": random.choice([1, 2, 3, 4, 5])},
        {"replicas": 0 if wish.replicas else random.choice([1, 3])},
        {"replicas": 0 if wish.replicas else 2, "version": random.choice(GOOD)},
        {"database": random.choice(GOOD)},
        {"database": NEVER_READY},
        {"job": random.choice(["1", "2", SLOW, FAILS])},
        {"job": random.choice(["1", "2", SLOW, FAILS]), "version": random.choice(GOOD)},
        {"path": random.choice(["/", "/healthz"])},
        {"path": "/" if wish.path != "/" else "/healthz", "version": random.choice(GOOD)},
        {"port": random.choice([8080, 8081])},
        {"proxies": random.choice([1, 2])},
        {"proxy_image": random.choice(["haproxy:3.0", "haproxy:3.1"])},
        {"suspend": not wish.suspend},
        {"paused": not wish.paused},
        {"restarted": wish.restarted + 1},
        {"rotated": now},
        {"strategy": STRATEGIES[STRATEGIES.index(wish.strategy) - 1]},
        {"rotation": _some_rotation(random), "drift": "heal"},
        {"drift": random.choice(["heal", "warn", "ignore"]), "rotation": None},
    ]
    return replace(wish, **random.choice(changes))


def _some_strategy(chance: float) -> StrategyType | None:
    """Every tenth service names its strategy."""
    return STRATEGIES[1 + int(chance * 10 * (len(STRATEGIES) - 1))] if chance < 0.1 else None


def _some_rotation(random: Random) -> Mapping[str, Any] | None:
    often, seldom = {**OFTEN, **ONE_AT_A_TIME}, {**HOURLY, **ONE_AT_A_TIME}
    return random.choice([None, None, None, None, OFTEN, HOURLY, often, seldom])


def settled(wish: Wish, now: datetime) -> Wish:
    """The same wish of somebody who wants to see it done."""
    return replace(
        wish,
        version=wish.version if wish.version in GOOD else GOOD[0],
        database=wish.database if wish.database in GOOD else GOOD[0],
        job=wish.job if wish.job != FAILS else "1",
        suspend=False,
        paused=False,
        drift="heal",
        rotated=wish.rotated if wish.rotated and wish.rotated <= now else None,
        rotation=wish.rotation if wish.rotation and wish.rotation["interval"] == HOURLY["interval"] else None,
    )


def bad_one(wish: Wish, random: Random) -> Wish:
    """The same wish with something in it that never works."""
    changes: list[dict[str, Any]] = [{"version": NEVER_READY}, {"version": CRASHES}]
    if wish.plugin == "joined":
        changes.append({"database": NEVER_READY})
    if wish.plugin == "stateful":
        changes += [{"database": NEVER_READY}, {"job": FAILS}, {"job": FAILS, "version": "3"}, {"job": LAZY}]
    return replace(wish, **random.choice(changes))


_STACKS: dict[str, Stack] = {}


def build_stack(service: VaultService) -> Stack:
    """The stack of a service; building takes longer than a pass, and few of them differ."""
    key = service.spec.model_dump_json()
    if key not in _STACKS:
        if len(_STACKS) > 5000:
            _STACKS.clear()
        grants = tuple(Grant(GATEWAY, route) for route in service.spec.all_routes)
        routed = Routed(grants, ports=frozenset({GATEWAY_PORT}))
        _STACKS[key] = build(service, PLUGINS[service.spec.plugin], SITE, front=FRONT, routed=routed)
    return _STACKS[key]


def behaviour(stack: Stack, workload: Workload) -> Behaviour:
    """How a container of this workload behaves: its image says it."""
    match workload.role:
        case Role.GATEWAY:
            return Behaviour(boot=0.0, checked=False, stop=0.0)
        case Role.PROXY:
            return Behaviour(boot=0.1, checked=False, stop=inf)
    name, _, tag = workload.image.partition(":")
    if workload.role is Role.JOB:
        life, code = JOB_ENDS.get(tag, (1.0, 0))
        return Behaviour(boot=inf, checked=False, life=life, exit_code=code)
    if name in ("exporter", "profiler"):
        return Behaviour(boot=0.5, checked=False)
    if name == "worker":
        return Behaviour(boot=inf) if tag == LAZY else Behaviour(boot=0.5, checked=False)
    checked = name != "plain"
    if tag == NEVER_READY:
        return Behaviour(boot=inf, checked=checked)
    if tag == CRASHES:
        return Behaviour(boot=inf, checked=checked, life=1.5)
    return Behaviour(boot=2.0, checked=checked, stop=inf if tag == "4" else 0.1)
