"""What a gateway has to be: services keep their pools, and spare ones are added early, at quiet moments."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from reconciler.api.route import Route
from reconciler.api.vaultgateway import GatewaySpec
from reconciler.core.desired.stack import Probe
from reconciler.core.routes.claims import Claimant
from reconciler.core.routes.table import Table, settle
from reconciler.proxy.haproxy.gateway.directory import WrittenGateway
from reconciler.proxy.haproxy.gateway.pool_file import PoolServer, PoolSettings, WrittenPool
from reconciler.proxy.haproxy.gateway.pools import SPARES, Need, PoolKind, pool_names
from reconciler.proxy.haproxy.gateway.render import structure
from reconciler.proxy.haproxy.gateway.wanted import WantedGateway, unneeded, want

SPEC = GatewaySpec()
START = datetime(2026, 5, 1, tzinfo=UTC)
SETTINGS = PoolSettings(Probe("/healthz", "localhost", 2.0), 30.0)
BUSY = WrittenPool(SETTINGS, (PoolServer("one", "10.0.0.1:8000"),))


def table_of(*services: str) -> Table:
    claimants = [Claimant(name, START, (Route(hostnames=(f"{name}.test",)),)) for name in services]
    return settle({"main": SPEC}, claimants)[0]["main"]


def need(service: str) -> Need:
    return Need(service, 0, PoolKind.HTTP)


def written(*names: str, **pools: WrittenPool) -> WrittenGateway:
    held = {need(service): f"h{number:03}" for number, service in enumerate(names, 1)}
    spare = dict.fromkeys(pool_names({PoolKind.HTTP: 4}), WrittenPool())
    return WrittenGateway("s", "haproxy:3.0", {**spare, **pools}, held)


def wanted(table: Table, seen: WrittenGateway, *, quiet: bool = False) -> WantedGateway:
    return want(SPEC, table, seen, quiet=quiet)


def test_the_first_pools_are_the_spare_ones_and_are_given_at_once() -> None:
    made = wanted(table_of("files"), WrittenGateway())

    assert made.pools == pool_names(SPARES)
    assert made.held == {need("files"): "h001"}
    assert made.maps["routes"] == {"files.test/": "files.0|h001|~|0"}
    assert made.holders == {"files"}


def test_a_service_keeps_its_pool_when_others_come_and_go() -> None:
    seen = written("files", "wiki")

    assert wanted(table_of("aaa", "wiki"), seen).held == {need("aaa"): "h001", need("wiki"): "h002"}


def test_a_pool_with_servers_stays_with_its_former_holder() -> None:
    seen = written("files", h001=BUSY)
    made = wanted(table_of("wiki"), seen)

    assert made.held == {need("files"): "h001", need("wiki"): "h002"}
    assert made.needed == {"h002"}
    assert made.holders == {"files", "wiki"}
    assert unneeded(table_of("wiki"), seen) == ("h001",)


def test_settings_of_pools_are_in_maps_as_long_as_a_service_has_the_pool() -> None:
    said = WrittenPool(SETTINGS, ())

    assert wanted(table_of("files"), written("files", h001=said)).maps["hold"] == {"h001": "30000"}
    assert wanted(table_of("files"), written("files", h002=said)).maps["hold"] == {}


def test_a_route_leads_to_its_former_pool_until_the_new_one_has_servers() -> None:
    """Of another kind of pool the service has no server yet."""
    sticky = Claimant("files", START, (Route(hostnames=("files.test",), sticky="cookie"),))
    table = settle({"main": SPEC}, [sticky])[0]["main"]
    maps = {"routes": {"files.test/": "files.0|h001|~|0"}}
    seen = written("files", h001=BUSY, s001=WrittenPool())
    seen = replace(seen, maps=maps)

    before = wanted(table, seen)
    assert before.held == {need("files"): "h001", Need("files", 0, PoolKind.STICKY): "s001"}
    assert (before.maps["routes"], before.needed) == (maps["routes"], {"h001"})

    filled = replace(seen, pools={**seen.pools, "s001": BUSY}, held=before.held)
    after = wanted(table, filled)
    assert (after.maps["routes"], after.needed) == ({"files.test/": "files.0|s001|~|0"}, {"s001"})
    # The former holder may be another service by now.
    others = replace(seen, held={Need("wiki", 0, PoolKind.HTTP): "h001"})
    assert wanted(table, others).maps["routes"] == {"files.test/": "files.0|s001|~|0"}


def test_a_route_keeps_its_former_pool_as_long_as_there_is_none_of_the_new_kind() -> None:
    sticky = Claimant("files", START, (Route(hostnames=("files.test",), sticky="cookie"),))
    table = settle({"main": SPEC}, [sticky])[0]["main"]
    maps = {"routes": {"files.test/": "files.0|h001|~|0"}}
    seen = replace(written("files", h001=BUSY), maps=maps, pools={"h001": BUSY})

    found = wanted(table, seen)
    assert (found.maps["routes"], found.needed) == (maps["routes"], {"h001"})
    assert "s001" in found.pools


def test_a_service_keeps_a_pool_whose_file_was_removed() -> None:
    """HAProxies have its replicas, and its service writes the file again."""
    seen = written("files", "wiki", h001=BUSY, h002=BUSY)
    removed = replace(seen, pools={name: said for name, said in seen.pools.items() if name != "h001"})

    made = wanted(table_of("files", "wiki"), removed)
    assert made.held == seen.held
    assert set(made.pools) == set(seen.pools)
    assert unneeded(table_of("wiki"), removed) == ("h001",)


def test_a_route_stays_in_a_damaged_pool_until_the_new_one_has_servers() -> None:
    sticky = Claimant("files", START, (Route(hostnames=("files.test",), sticky="cookie"),))
    table = settle({"main": SPEC}, [sticky])[0]["main"]
    maps = {"routes": {"files.test/": "files.0|h001|~|0"}}
    seen = replace(written("files", s001=WrittenPool()), maps=maps)
    seen = replace(seen, pools={**seen.pools, "h001": None})

    before = wanted(table, seen)
    assert before.needed == {"h001"}
    filled = replace(seen, pools={**seen.pools, "s001": BUSY}, held=before.held)
    assert wanted(table, filled).needed == {"s001"}


@pytest.mark.parametrize("said", [WrittenPool(), WrittenPool(SETTINGS, ())], ids=["spare", "its own"])
@pytest.mark.parametrize(("is_stopped", "pool"), [(False, "h001"), (True, "s001")])
def test_a_route_stays_in_a_pool_that_its_service_may_be_about_to_fill(
    said: WrittenPool, is_stopped: bool, pool: str
) -> None:
    """A pass of the service that runs at this moment knows of the former pool only."""
    route = Route(hostnames=("files.test",), sticky="cookie")
    sticky = Claimant("files", START, (route,), is_stopped=is_stopped)
    table = settle({"main": SPEC}, [sticky])[0]["main"]
    seen = replace(
        written("files", h001=said, s001=WrittenPool()), maps={"routes": {"files.test/": "files.0|h001|~|0"}}
    )

    made = wanted(table, seen)
    assert made.needed == {pool}
    assert {"h001", "s001"} == set(made.held.values())
    # The next look finds it led to by no route.
    after = wanted(table, replace(seen, maps=made.maps, pools={**seen.pools, "s001": BUSY}, held=made.held))
    assert after.needed == {"s001"}


def test_pools_that_services_wrote_before_the_first_configuration_are_not_all() -> None:
    seen = replace(written("files", h002=WrittenPool()), structure="", pools={"h002": WrittenPool()})
    assert set(wanted(table_of("files"), seen).pools) == set(pool_names(SPARES))


def test_a_pool_without_a_holder_that_has_servers_is_given_to_none() -> None:
    seen = written(h001=BUSY)

    assert wanted(table_of("files"), seen).held == {need("files"): "h002"}
    assert unneeded(table_of("files"), seen) == ("h001",)


@pytest.mark.parametrize(
    ("services", "quiet", "pools"),
    [
        # Of four there are two spare ones, which is less than half of what there should be.
        (2, False, 4),
        (2, True, 2 + 64),
        # None is left for the fifth.
        (5, False, 5 + 64),
        (5, True, 5 + 64),
    ],
)
def test_pools_are_added_when_it_is_quiet_or_a_service_waits(services: int, quiet: bool, pools: int) -> None:
    names = [f"s{number}" for number in range(services)]
    made = wanted(table_of(*names), written(*names[:4]), quiet=quiet)

    assert len([name for name in made.pools if name.startswith("h")]) == pools
    assert set(pool_names({PoolKind.HTTP: 4})) <= set(made.pools)


def test_enough_spare_pools_are_left_alone() -> None:
    seen = WrittenGateway("s", "i", dict.fromkeys(pool_names(SPARES), WrittenPool()))

    assert wanted(table_of("files"), seen, quiet=True).pools == pool_names(SPARES)


@pytest.mark.parametrize("spec", [{}, {"nodeSelector": {}}, {"nodeSelector": {"edge": "yes"}}])
def test_what_is_wanted_is_what_is_written(spec: dict[str, Any]) -> None:
    """Otherwise it is written, and read by a reload, in each pass."""
    made = GatewaySpec.model_validate(spec)
    found = want(made, table_of("files"), written("files"), quiet=False)
    assert found.structure == structure(made, found.pools)


def test_another_structure_is_another_digest() -> None:
    seen = written("files")
    same = wanted(table_of("files", "wiki"), seen)

    assert wanted(table_of("files"), seen).structure == same.structure
    assert (
        want(GatewaySpec(access_log=True), table_of("files"), seen, quiet=False).structure != same.structure
    )
    assert wanted(table_of("files"), seen, quiet=True).structure != same.structure
