"""The cost of one scrape with many replicas, and its number of series.

Usage: python benchmarks/scrape.py [REPLICAS]

Half the services have rotation, and all have values in every counter and histogram of a service, more than an idle
controller has. Collection and rendering are timed, in CPU time; a scrape does nothing else and never blocks.
"""

from __future__ import annotations

import statistics
import sys
import time
from datetime import UTC, datetime, timedelta
from typing import Final

from metrics import catalog
from metrics.collector import StateCollector
from metrics.exposition import Exposition
from metrics.metric import SERVICE, Type
from metrics.recorder import Recorder
from metrics.snapshots import QueueSnapshot, ServiceSnapshot

REPLICAS: Final = 200
REPLICAS_OF_A_SERVICE: Final = 4
ROUNDS: Final = 200
BUDGET_MS: Final = 10.0
NOW: Final = datetime(2026, 1, 1, tzinfo=UTC)
OPENMETRICS: Final = "application/openmetrics-text;version=1.0.0"

KINDS: Final = (
    "CreateReplicas",
    "StartContainer",
    "AddServer",
    "DrainServer",
    "StopContainer",
    "RemoveContainer",
)


def service(number: int) -> ServiceSnapshot:
    """A service in the middle of a rotation."""
    workloads = {"web": 4, "haproxy": 1, "gateway": 1}
    return ServiceSnapshot(
        name=f"service-{number}",
        plugin="whoami",
        generation=3,
        observed_generation=3,
        revision="1-0123456789ab",
        commit="0123456789abcdef0123456789abcdef01234567",
        conditions={"Ready": "True", "Reconciling": "False", "Stalled": "False", "Degraded": "False"},
        replicas={name: dict.fromkeys(catalog.REPLICA_STATES, count) for name, count in workloads.items()},
        pool={"up": REPLICAS_OF_A_SERVICE},
        pool_minimum=REPLICAS_OF_A_SERVICE,
        drift=dict.fromkeys(
            ("missing", "surplus", "outdated", "unhealthy", "not-serving", "orphan", "proxy"), 0
        ),
        oldest_replica_created=NOW,
        next_rotation=NOW + timedelta(minutes=2) if number % 2 else None,
        observed_at=NOW,
    )


def with_history(names: list[str]) -> Recorder:
    """A recorder with values in all series of every service."""
    recorder = Recorder()
    for name in names:
        recorder.introduce(name)
        for kind in KINDS:
            recorder.add(catalog.OPERATIONS, name=name, kind=kind, cause="rotation", result=catalog.SUCCESS)
        recorder.add(catalog.REPLICA_RESTARTS, name=name, workload="web")
        for metric in catalog.CATALOG:
            if metric.type is Type.HISTOGRAM and metric.labels == (SERVICE,):
                recorder.observe(metric, 0.1, name=name, exemplar={"reconcile_id": "0123456789ab"})
    return recorder


def main() -> None:
    """Print the cost of a scrape in both formats, and say whether it is within the budget."""
    replicas = int(sys.argv[1]) if len(sys.argv) > 1 else REPLICAS
    services = [service(number) for number in range(max(1, replicas // REPLICAS_OF_A_SERVICE))]
    states = StateCollector(
        version="0",
        python="3",
        now=lambda: NOW,
        services=lambda: services,
        queues=lambda: [QueueSnapshot(name="vaultservice", depth=0, workers=4, active_workers=0)],
    )
    exposition = Exposition(with_history([each.name for each in services]), states)
    medians = []
    for label, accept in (("text", ""), ("OpenMetrics", OPENMETRICS)):
        costs = []
        for _ in range(ROUNDS):
            began = time.thread_time()
            body, _ = exposition.render(accept)
            costs.append((time.thread_time() - began) * 1000)
        series = sum(not line.startswith(b"#") for line in body.splitlines())
        medians.append(statistics.median(costs))
        print(
            f"{label:<12} {len(services)} services, {replicas} replicas: {series} series, {len(body) / 1024:.0f} KiB, "
            f"median CPU {medians[-1]:.1f} ms, p95 {statistics.quantiles(costs, n=20)[-1]:.1f} ms"
        )
    print(f"budget {BUDGET_MS:g} ms: {'kept' if max(medians) < BUDGET_MS else 'MISSED'}")


if __name__ == "__main__":
    main()
