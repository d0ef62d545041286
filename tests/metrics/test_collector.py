"""Gauges have the values of the last snapshot, without values of earlier ones."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

import pytest

from metrics.collector import StateCollector
from metrics.lease import LeaseSnapshot
from metrics.snapshots import QueueSnapshot, ServiceSnapshot, SourceSnapshot

NOW = datetime(2025, 3, 1, 12, 0, tzinfo=UTC)
QUEUE = QueueSnapshot(
    name="vaultservice",
    depth=3,
    workers=4,
    active_workers=2,
    unfinished_seconds=1.5,
    longest_running_seconds=1.25,
)
FILES = ServiceSnapshot(
    name="files",
    plugin="whoami",
    revision="abc123",
    commit="f00d",
    generation=7,
    observed_generation=6,
    suspended=True,
    conditions={"Ready": "True", "Stalled": "Unknown"},
    replicas={"web": {"desired": 3, "current": 4, "updated": 2, "ready": 3}},
    pool={"up": 3, "draining": 1},
    pool_minimum=3,
    drift={"missing": 1, "orphan": 0},
    oldest_replica_created=NOW - timedelta(minutes=2),
    next_rotation=NOW + timedelta(seconds=30),
    observed_at=NOW - timedelta(seconds=1),
)
SPARSE = ServiceSnapshot(name="wiki", plugin="whoami", generation=1, observed_generation=0)


def collector(
    services: Iterable[ServiceSnapshot] = (),
    queues: Iterable[QueueSnapshot] = (QUEUE,),
    sources: Iterable[SourceSnapshot] = (),
    lease: LeaseSnapshot | None = None,
) -> StateCollector:
    return StateCollector(
        version="1.2.3",
        python="3.11.9",
        now=lambda: NOW,
        services=lambda: services,
        queues=lambda: queues,
        sources=lambda: sources,
        lease=lambda: lease,
    )


def series(found: StateCollector) -> dict[str, float]:
    """Every sample as `name{values}`."""
    samples = [sample for family in found.collect() for sample in family.samples]
    lines = {f"{sample.name}{{{','.join(sample.labels.values())}}}": sample.value for sample in samples}
    assert len(lines) == len(samples), "a series that is there twice spoils the whole scrape"
    return lines


def test_a_service_is_told_whole() -> None:
    found = {name: value for name, value in series(collector([FILES])).items() if "{files" in name}
    assert found == {
        "vault_service_info{files,whoami,abc123,f00d}": 1,
        "vault_service_condition{files,Ready,true}": 1,
        "vault_service_condition{files,Ready,false}": 0,
        "vault_service_condition{files,Ready,unknown}": 0,
        "vault_service_condition{files,Stalled,true}": 0,
        "vault_service_condition{files,Stalled,false}": 0,
        "vault_service_condition{files,Stalled,unknown}": 1,
        "vault_generation{files}": 7,
        "vault_observed_generation{files}": 6,
        "vault_suspended{files}": 1,
        "vault_observed_timestamp_seconds{files}": NOW.timestamp() - 1,
        "vault_replicas{files,web,desired}": 3,
        "vault_replicas{files,web,current}": 4,
        "vault_replicas{files,web,updated}": 2,
        "vault_replicas{files,web,ready}": 3,
        "vault_replicas{files,web,serving}": 0,
        "vault_pool_servers{files,up}": 3,
        "vault_pool_servers{files,down}": 0,
        "vault_pool_servers{files,draining}": 1,
        "vault_pool_minimum_servers{files}": 3,
        "vault_drift{files,missing}": 1,
        "vault_drift{files,orphan}": 0,
        "vault_rotation_age_seconds{files}": 120,
        "vault_next_rotation_timestamp_seconds{files}": NOW.timestamp() + 30,
    }


def test_what_nobody_knows_yet_is_absent_and_not_zero() -> None:
    found = [name for name in series(collector([SPARSE])) if "{wiki" in name]
    assert found == [
        "vault_service_info{wiki,whoami,,}",
        "vault_generation{wiki}",
        "vault_observed_generation{wiki}",
        "vault_suspended{wiki}",
        "vault_pool_servers{wiki,up}",
        "vault_pool_servers{wiki,down}",
        "vault_pool_servers{wiki,draining}",
    ]


def test_the_controller_is_told() -> None:
    assert series(collector(sources=[SourceSnapshot(name="main", last_fetch=NOW, refused=True)])) == {
        "vault_build_info{1.2.3,3.11.9}": 1,
        "vault_workers{}": 4,
        "vault_active_workers{}": 2,
        "workqueue_depth{vaultservice}": 3,
        "workqueue_unfinished_work_seconds{vaultservice}": 1.5,
        "workqueue_longest_running_processor_seconds{vaultservice}": 1.25,
        "vault_git_last_fetch_timestamp_seconds{main}": NOW.timestamp(),
        "vault_git_commit_refused{main}": 1,
    }


def test_a_source_that_was_never_fetched_has_no_time() -> None:
    assert not [name for name in series(collector(sources=[SourceSnapshot(name="main")])) if "git" in name]


def test_series_vanish_with_their_service() -> None:
    services = [FILES, SPARSE]
    live = collector(services)
    assert any("{files" in name for name in series(live))
    services.remove(FILES)
    assert not any("{files" in name for name in series(live))


@pytest.mark.parametrize("states", [[FILES, SPARSE, FILES], [SPARSE, FILES, FILES]])
def test_a_name_that_comes_twice_is_exported_once(states: list[ServiceSnapshot]) -> None:
    assert series(collector(states, queues=[QUEUE, QUEUE])) == series(collector([SPARSE, FILES]))


def test_snapshots_that_come_from_a_generator_are_read_once_for_each_scrape() -> None:
    live = StateCollector(
        version="1", python="3", now=lambda: NOW, services=lambda: (s for s in [FILES]), queues=tuple
    )
    assert series(live) == series(live)


def test_a_controller_that_stands_by_tells_nothing_of_the_objects_that_it_saw_before() -> None:
    """VaultNotObserved would fire for as long as it stands by."""
    standby = series(collector([FILES], lease=LeaseSnapshot(held=False, term=0, holder="node2")))
    assert not [name for name in standby if "files" in name]
    assert standby["vault_lease_held{}"] == 0
    assert standby["workqueue_depth{vaultservice}"] == 3
    acts = series(collector([FILES], lease=LeaseSnapshot(held=True, term=3, holder="node1")))
    assert acts["vault_generation{files}"] == 7


def test_the_lease_is_that_of_a_swarm() -> None:
    assert not any("lease" in name for name in series(collector()))
    held = series(collector(lease=LeaseSnapshot(held=True, term=3, holder="node1")))
    assert held["vault_lease_held{}"] == 1
    assert held["vault_lease_term{}"] == 3
    assert held["vault_lease_holder_info{node1}"] == 1
