"""The directory of a gateway: two writers that do not touch each other's files, and what a manual edit reads as."""

from __future__ import annotations

import os
import socket
from dataclasses import replace
from pathlib import Path

import pytest

from reconciler.api.vaultgateway import GatewaySpec
from reconciler.core.desired.stack import Probe, Site
from reconciler.proxy.haproxy.files import prepare
from reconciler.proxy.haproxy.gateway.directory import (
    WrittenGateway,
    read_gateway,
    read_slots,
    write_gateway,
    write_pool,
    write_slots,
)
from reconciler.proxy.haproxy.gateway.maps import MAPS
from reconciler.proxy.haproxy.gateway.pool_file import PoolServer, PoolSettings, WrittenPool
from reconciler.proxy.haproxy.gateway.pools import Need, PoolKind, pool_names
from reconciler.proxy.haproxy.gateway.render import structure

SPEC = GatewaySpec()
POOLS = pool_names({PoolKind.HTTP: 2, PoolKind.TCP: 1})
HELD = {Need("files", 0, PoolKind.HTTP): "h001"}
FILES_MAPS = {"routes": {"files.test/": "files.0|h001|~|0"}}
ONE = PoolServer("one", "10.0.0.1:8000")
SETTINGS = PoolSettings(Probe("/healthz", "localhost", 2.0), 30.0)
SPARE = WrittenPool()


@pytest.fixture
def site(tmp_path: Path) -> Site:
    made = Site(tmp_path / "main", os.geteuid(), os.getegid())
    write_gateway(made, SPEC, POOLS, "haproxy:3.0", HELD, FILES_MAPS)
    return made


def test_nothing_there_is_nothing_written(tmp_path: Path) -> None:
    assert read_gateway(Site(tmp_path / "nowhere", 0, 0)) == WrittenGateway()


def test_what_is_written_is_read(site: Site) -> None:
    read = read_gateway(site)

    assert (read.structure, read.image) == (structure(SPEC, POOLS), "haproxy:3.0")
    assert read.pools == {"h001": SPARE, "h002": SPARE, "t001": SPARE}
    assert read.held == HELD
    assert read.maps == {name: FILES_MAPS.get(name, {}) for name in MAPS}
    assert read.busy == frozenset()


def test_the_gateway_leaves_the_pool_of_a_service_alone(site: Site) -> None:
    write_pool(site, "h001", [ONE], SETTINGS)
    write_gateway(site, SPEC, pool_names({PoolKind.HTTP: 3}), "haproxy:3.0", HELD, FILES_MAPS)

    read = read_gateway(site)
    mine = WrittenPool(SETTINGS, (ONE,))
    assert read.pools == {"h001": mine, "h002": SPARE, "h003": SPARE, "t001": SPARE}
    assert read.settings == {"h001": SETTINGS}
    assert read.busy == {"h001"}


def test_servers_are_no_part_of_the_structure(site: Site) -> None:
    write_pool(site, "h001", [ONE], SETTINGS)

    assert read_gateway(site).structure == structure(SPEC, POOLS)


def test_a_file_that_is_as_it_should_be_is_not_written(site: Site) -> None:
    before = {path: path.stat().st_ino for path in site.config.rglob("*") if path.is_file()}

    write_gateway(site, SPEC, POOLS, "haproxy:3.0", HELD, FILES_MAPS)

    assert {path: path.stat().st_ino for path in before} == before


def test_a_manual_edit_reads_as_something_to_be_written_again(site: Site) -> None:
    write_pool(site, "h001", [ONE], SETTINGS)
    pool, routes = site.config / "pools/h001.cfg", site.config / "maps/routes.map"
    pool.write_text(pool.read_text().replace("check", "check backup"))
    routes.write_text("# mine\nfiles.test/ files.0|h001|~|0\n")
    (site.config / "maps/cors.map").unlink()
    (site.config / "assignment.txt").write_text("h001 files 0\nh002 ../etc 0\n")

    read = read_gateway(site)
    assert read.pools["h001"] is None
    assert read.busy == {"h001"}
    assert {"routes", "cors"}.isdisjoint(read.maps)
    assert read.held == HELD


def test_links_are_not_followed(site: Site, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.write_text("a b\n")
    (site.config / "maps/tcp.map").unlink()
    (site.config / "maps/tcp.map").symlink_to(outside)

    assert "tcp" not in read_gateway(site).maps
    write_gateway(site, SPEC, POOLS, "haproxy:3.0", HELD, FILES_MAPS)
    assert outside.read_text() == "a b\n"
    assert read_gateway(site).maps["tcp"] == {}


def test_the_slots_are_those_that_were_written_last(site: Site, tmp_path: Path) -> None:
    assert read_slots(Site(tmp_path / "nowhere", 0, 0)) == read_slots(site) == ()

    write_slots(site, {12, 2})
    assert read_slots(site) == (2, 12)
    write_slots(site, ())
    assert read_slots(site) == ()


def test_a_line_that_is_no_slot_is_left_out(site: Site) -> None:
    (site.config / "slots.txt").write_text("1\n0\n-2\n x\n99999999\n2\n2\n")

    assert read_slots(site) == (1, 2)


def test_a_new_slot_is_free_of_sockets_that_another_user_left(site: Site) -> None:
    """HAProxy cannot replace the socket of another user, and would not start."""
    prepare(site)
    sockets = ("admin-1.sock", "master-1.sock", "admin-2.sock", "master-2.sock", "next-http-2.sock")
    for name in sockets:
        with socket.socket(socket.AF_UNIX) as made:
            made.bind(str(site.run / name))
    (site.run / "notes-2.sock").write_text("no socket")
    on_host = replace(site, starter=os.geteuid() + 1)
    write_slots(on_host, [1])
    assert {path.name for path in site.run.iterdir()} == {"notes-2.sock", *sockets[2:]}
    # One that was named before may be of a HAProxy that runs.
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(str(site.run / "master-1.sock"))
    write_slots(on_host, [1, 2])
    assert {path.name for path in site.run.iterdir()} == {"notes-2.sock", "master-1.sock"}
    # Those of its own user it replaces itself.
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(str(site.run / "master-3.sock"))
    write_slots(site, [1, 3])
    assert (site.run / "master-3.sock").exists()
