"""Turns the last observation into gauges at each scrape.

No value is kept between scrapes, so a gauge cannot become stale, and the series of a VaultService are removed with its
snapshot.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from functools import lru_cache
from typing import Final

from prometheus_client.metrics_core import Metric as Family
from prometheus_client.samples import Sample

from metrics import catalog
from metrics.agents import AgentSnapshot, add_agent
from metrics.catalog import CATALOG
from metrics.gateways import GatewaySnapshot, add_gateway
from metrics.labels import Labels
from metrics.lease import LeaseSnapshot, add_lease
from metrics.metric import Metric, Type
from metrics.nodes import SwarmSnapshot, add_swarm
from metrics.snapshots import QueueSnapshot, ServiceSnapshot, SourceSnapshot

_COLLECTED: Final = tuple(metric for metric in CATALOG if metric.type in (Type.GAUGE, Type.INFO))
# The cache evicts labels that are no longer used.
_REMEMBERED_SERIES: Final = 50_000
_LABEL_NAMES: Final = {metric.name: metric.label_names for metric in _COLLECTED}


class StateCollector:
    """A Prometheus collector of all gauges.

    The callables return from memory without blocking, from any thread. `now` returns an aware datetime.
    """

    def __init__(
        self,
        *,
        version: str,
        python: str,
        now: Callable[[], datetime],
        services: Callable[[], Iterable[ServiceSnapshot]],
        queues: Callable[[], Iterable[QueueSnapshot]],
        sources: Callable[[], Iterable[SourceSnapshot]] = tuple,
        gateways: Callable[[], Iterable[GatewaySnapshot]] = tuple,
        agents: Callable[[], Iterable[AgentSnapshot]] = tuple,
        lease: Callable[[], LeaseSnapshot | None] = lambda: None,
        swarm: Callable[[], SwarmSnapshot | None] = lambda: None,
    ) -> None:
        self._build = (version, python)
        self._now = now
        self._services = services
        self._queues = queues
        self._sources = sources
        self._gateways = gateways
        self._agents = agents
        self._lease = lease
        self._swarm = swarm

    def describe(self) -> Iterator[Family]:
        """The families without samples; the registry uses them to refuse duplicate names."""
        yield from _families().values()

    def collect(self) -> Iterator[Family]:
        """The families with the samples of the snapshots."""
        scrape = _Scrape()
        scrape.set(catalog.BUILD, 1, *self._build)
        now, lease = self._now(), self._lease()
        # One that stands by observes nothing, and what it saw last becomes old.
        if lease is None or lease.held:
            # By name, because Prometheus rejects a scrape with a duplicate series.
            for service in {each.name: each for each in self._services()}.values():
                _add_service(scrape, service, now)
            for gateway in {each.name: each for each in self._gateways()}.values():
                add_gateway(scrape.set, gateway, now)
        for agent in {each.node: each for each in self._agents()}.values():
            add_agent(scrape.set, agent)
        if (swarm := self._swarm()) is not None:
            add_swarm(scrape.set, swarm)
        for source in {each.name: each for each in self._sources()}.values():
            if source.last_fetch is not None:
                scrape.set(catalog.GIT_LAST_FETCH, source.last_fetch.timestamp(), source.name)
            if source.refused is not None:
                scrape.set(catalog.GIT_REFUSED, int(source.refused), source.name)
        if lease is not None:
            add_lease(scrape.set, lease)
        _add_queues(scrape, list({each.name: each for each in self._queues()}.values()))
        yield from scrape.families.values()


class _Scrape:
    """The families of one scrape while they are being filled."""

    def __init__(self) -> None:
        self.families = _families()

    def set(self, metric: Metric, value: float, *values: str) -> None:
        self.families[metric.name].samples.append(Sample(metric.name, _labels(metric.name, values), value))


@lru_cache(maxsize=_REMEMBERED_SERIES)
def _labels(metric: str, values: tuple[str, ...]) -> Labels:
    return Labels(dict(zip(_LABEL_NAMES[metric], values, strict=True)))


def _families() -> dict[str, Family]:
    return {
        metric.name: Family(metric.family, metric.help, metric.type.value, metric.unit)
        for metric in _COLLECTED
    }


def _add_service(scrape: _Scrape, service: ServiceSnapshot, now: datetime) -> None:
    name = service.name
    scrape.set(catalog.SERVICE_INFO, 1, name, service.plugin, service.revision, service.commit)
    scrape.set(catalog.GENERATION, service.generation, name)
    scrape.set(catalog.OBSERVED_GENERATION, service.observed_generation, name)
    scrape.set(catalog.SUSPENDED, service.suspended, name)
    if service.asleep is not None:
        scrape.set(catalog.ASLEEP, service.asleep, name)
    for type_, actual in service.conditions.items():
        for status in catalog.CONDITION_STATUSES:
            scrape.set(catalog.SERVICE_CONDITION, status == actual.lower(), name, type_, status)
    for workload, counts in service.replicas.items():
        for state in catalog.REPLICA_STATES:
            scrape.set(catalog.REPLICAS, counts.get(state, 0), name, workload, state)
    for state in catalog.POOL_STATES:
        scrape.set(catalog.POOL_SERVERS, service.pool.get(state, 0), name, state)
    for kind, count in service.drift.items():
        scrape.set(catalog.DRIFT, count, name, kind)
    if service.pool_minimum is not None:
        scrape.set(catalog.POOL_MINIMUM, service.pool_minimum, name)
    if service.oldest_replica_created is not None:
        scrape.set(catalog.ROTATION_AGE, (now - service.oldest_replica_created).total_seconds(), name)
    if service.next_rotation is not None:
        scrape.set(catalog.NEXT_ROTATION, service.next_rotation.timestamp(), name)
    if service.observed_at is not None:
        scrape.set(catalog.OBSERVED_AT, service.observed_at.timestamp(), name)


def _add_queues(scrape: _Scrape, queues: list[QueueSnapshot]) -> None:
    scrape.set(catalog.WORKERS, sum(queue.workers for queue in queues))
    scrape.set(catalog.ACTIVE_WORKERS, sum(queue.active_workers for queue in queues))
    for queue in queues:
        scrape.set(catalog.WORKQUEUE_DEPTH, queue.depth, queue.name)
        scrape.set(catalog.WORKQUEUE_UNFINISHED_WORK, queue.unfinished_seconds, queue.name)
        scrape.set(catalog.WORKQUEUE_LONGEST_RUNNING, queue.longest_running_seconds, queue.name)
