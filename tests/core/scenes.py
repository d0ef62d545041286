"""Scenes: a few lines of YAML that say what is wanted and what runs, for tests of everything that looks at both.

`wish` is a Wish of the simulation; everything else is what runs, one container a line. What a scene does not say is as it
should be: an open gateway, one HAProxy that answers, and a haproxy.cfg that names the servers that are in the pool.

    web:     "web-1 @1 running healthy up sessions=2 since=40 age=300"
    proxies: "haproxy-1 slot=1 joined=gateway-1 structure=old"

With `wish: {routed: true}` the proxies are those of a gateway, and no containers of the stack: "edge-1 slot=1".

`@1` is the version that a container was made of. `up`, `down` and `drained` are its server in every HAProxy that answers;
`at=10.0.0.99:8000` puts that server elsewhere, `old=3` leaves three sessions in a worker from before a reload.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import yaml

from reconciler.core.assess.assessment import Assessment, assess
from reconciler.core.assess.history import History
from reconciler.core.assess.observation import (
    DEFAULT_WEIGHT,
    Activity,
    Admin,
    Container,
    EngineObservation,
    Health,
    Observation,
    ProxyInstance,
    ProxyObservation,
    ProxyWorker,
    Pull,
    Server,
    State,
)
from reconciler.core.assess.sleep import asleep, sleeps
from reconciler.core.desired.stack import Role, Stack, Workload
from reconciler.core.names import VAULT_NET
from tests.simulation.services import GATEWAY, Wish, build_stack

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
STRUCTURE = "structure-now"
LONG_AGO = 300.0

_STATES = {state.value for state in State}
_HEALTH = {health.value for health in Health}


@dataclass(frozen=True)
class Scene:
    """What is wanted, what runs and what is remembered; `names` turns revisions into words."""

    about: str
    stack: Stack
    observed: Observation
    history: History
    names: Mapping[str, str]

    @property
    def assessment(self) -> Assessment:
        """What a look at NOW comes to."""
        return assess(self.stack, self.observed, NOW)


def read_scene(text: str) -> Scene:
    """The scene that these lines of YAML describe."""
    told: dict[str, Any] = yaml.safe_load(text)
    wish = Wish(**{"plugin": "web", **told.get("wish", {})})
    stack = build_stack(wish.service())
    stacks = {version: build_stack(replace(wish, version=version).service()) for version in ("1", "2", "3")}
    stacks |= {f"db{n}": build_stack(replace(wish, database=n).service()) for n in ("1", "2")}
    stacks |= {f"job{n}": build_stack(replace(wish, job=n).service()) for n in ("1", "2")}
    stacks["other-port"] = build_stack(replace(wish, port=8081 if wish.port == 8080 else 8080).service())
    stacks["other-proxy"] = build_stack(replace(wish, proxy_image="haproxy:3.1").service())
    stacks["published"] = build_stack(replace(wish, network="published").service())
    stacks["on-host"] = build_stack(replace(wish, network="host").service())
    usual = ("edge-1 slot=1",) if wish.routed else ("haproxy-1 slot=1 joined=gateway-1",)
    lines = [
        *told.get("gateways", [] if wish.routed else ["gateway-1"]),
        *told.get("proxies", usual),
        *told.get("dependencies", []),
        *told.get("web", []),
    ]
    read = [_Line(line, stack, stacks) for line in lines]
    servers = [line for line in read if line.server]
    servers += [
        _Line(f"{name} @1 gone up at={address}", stack, stacks)
        for name, address in told.get("strays", {}).items()
    ]
    expected = STRUCTURE
    in_file = {line.short: line.address for line in read if line.server in ("up", "down")}
    shares = {line.short: line.weight for line in read if line.weight != DEFAULT_WEIGHT}
    observed = Observation(
        EngineObservation(
            containers=tuple(line.container for line in read if line.container),
            missing_images=frozenset(told.get("missing_images", ())),
            images=told.get("images", {}),
            pulls={image: Pull(**pull) for image, pull in told.get("pulls", {}).items()},
            taken_ports=told.get("taken_ports", {}),
            drained=frozenset(told.get("drained", ())),
        ),
        ProxyObservation(
            expected=expected,
            written={"now": STRUCTURE, "old": "structure-old", "none": None}[told.get("written", "now")],
            configured=told.get("configured", in_file),
            instances=tuple(line.instance(servers) for line in read if line.is_asked),
            weights=shares,
            name="gateway edge" if wish.routed else "haproxy",
            file="pool h001 of gateway edge" if wish.routed else "haproxy.cfg",
            activity=Activity(**told["activity"]) if "activity" in told else None,
            awaited=told.get("awaited", ""),
        ),
    )
    deaths = {
        workload: tuple(NOW - timedelta(seconds=ago) for ago in times)
        for workload, times in told.get("deaths", {}).items()
    }
    if idle := told.get("idle"):
        stack = replace(stack, idle=idle["after"])
        if sleeps(stack, observed, settled=idle["settled"]):
            stack = asleep(stack)
    if evicted := told.get("evicted"):
        stack = replace(stack, evicted=frozenset(f"{name:_<12}"[:12] + "0" * 52 for name in evicted))
    names = {
        workload.revision: f"<{workload.image}>"
        for other in reversed(stacks.values())
        for workload in other.workloads
    }
    return Scene(told["about"], stack, observed, History(deaths), names)


class _Line:
    """One container and its server."""

    def __init__(self, line: str, stack: Stack, stacks: Mapping[str, Stack]) -> None:
        self.name, *words = line.split()
        options = dict(word.split("=", 1) for word in words if "=" in word)
        flags = {word for word in words if "=" not in word}
        workload_name = self.name.rpartition("-")[0] or self.name
        version = next((word[1:] for word in flags if word.startswith("@")), None)
        self._options, self._flags = options, flags
        self.weight = int(options.get("weight", DEFAULT_WEIGHT))
        self.short = f"{self.name:_<12}"[:12]
        self._number = int(self.name.rpartition("-")[2].lstrip("abcdefghijklmnopqrstuvwxyz") or 0)
        self.server = next((word for word in ("up", "down", "drained") if word in flags), "")
        self.container = None
        workload = _workload(workload_name, stacks[version] if version else stack)
        port = workload.port if workload else 8000
        self.address = options.get("at", f"10.0.0.{self._number + 1}:{port}")
        self._elsewhere = self.name.startswith(f"{GATEWAY}-")
        if "gone" not in flags and not self._elsewhere:
            self.container = self._container(workload_name, workload, flags)
        proxy = self.container is not None and self.container.role is Role.PROXY
        running = self.container is not None and self.container.state is State.RUNNING
        self.is_asked = self._elsewhere or (proxy and running)
        self._answers = "silent" not in options

    def _container(self, name: str, workload: Workload | None, flags: set[str]) -> Container:
        state = State(next((word for word in flags if word in _STATES), "running"))
        checked = (
            workload is not None and workload.role is Role.WEB and workload.image.partition(":")[0] != "plain"
        )
        default = "healthy" if checked and state is State.RUNNING else "none"
        age = float(self._options.get("age", LONG_AGO))
        joined = self._options.get("joined")
        networks = workload.networks if workload else frozenset({VAULT_NET})
        role = workload.role if workload else Role(self._options.get("role", "dependency"))
        front = role in (Role.GATEWAY, Role.PROXY)
        lives = state is State.RUNNING or (front and state is State.PAUSED)
        attached = lives and "detached" not in flags
        return Container(
            id=self.short + "0" * 52,
            name=self.name,
            workload=name,
            role=role,
            revision=workload.revision if workload else "v1-unknown",
            state=state,
            health=Health(next((word for word in flags if word in _HEALTH), default)),
            created=NOW - timedelta(seconds=age),
            number=self._number,
            addresses=dict.fromkeys(sorted(networks), f"10.0.0.{self._number + 1}") if attached else {},
            port=workload.port if workload else 8000,
            exit_code=int(self._options["code"]) if "code" in self._options else None,
            started=NOW - timedelta(seconds=float(self._options.get("started", age))) if front else None,
            ended=NOW - timedelta(seconds=float(self._options["ended"]))
            if "ended" in self._options
            else None,
            slot=int(self._options["slot"]) if "slot" in self._options else None,
            joined=f"{joined:_<12}" + "0" * 52 if joined else None,
            namespace=NOW - timedelta(seconds=float(self._options["namespace"]))
            if "namespace" in self._options
            else None,
            stopping="stopping" in flags,
            image=self._options.get("image", ""),
            published=frozenset({int(self._options["published"])} if "published" in self._options else ()),
            node=self._options.get("node", ""),
            pinned="pinned" in flags,
        )

    def instance(self, lines: list[_Line]) -> ProxyInstance:
        """This HAProxy as it answers."""
        id = self.container.id if self.container else f"gateway {GATEWAY} {self.name}"
        slot = int(self._options["slot"]) if self._elsewhere else None
        if not self._answers:
            return ProxyInstance(
                id,
                answering=False,
                silent=float(self._options["silent"]),
                slot=slot,
                serves="serves" in self._flags,
            )
        leaving = "leaving" in self._flags or (self.container is not None and self.container.stopping)
        structure = "structure-old" if self._options.get("structure") == "old" else STRUCTURE
        workers = [ProxyWorker(1, not leaving, tuple(line.as_server() for line in lines))]
        kept = [line for line in lines if "old" in line._options]
        if kept:
            workers.append(ProxyWorker(2, False, tuple(line.as_server(old=True) for line in kept)))
        return ProxyInstance(id, answering=True, structure=structure, workers=tuple(workers), slot=slot)

    def as_server(self, *, old: bool = False) -> Server:
        """Its server in a worker."""
        return Server(
            name=self.short,
            address=self.address,
            admin=Admin.DRAIN if old or self.server == "drained" else Admin.READY,
            up=self.server == "up" and not old,
            sessions=int(self._options.get("old" if old else "sessions", 0)),
            since=float(self._options.get("since", 60)),
            check=self._options.get("check", "").replace("_", " "),
            weight=self.weight,
        )


def _workload(name: str, stack: Stack) -> Workload | None:
    return next((workload for workload in stack.workloads if workload.name == name), None)
