"""A copy of the files of a site: what is a part of it, when it differs, and with which modes it is written."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from reconciler.core.desired.stack import Site
from reconciler.proxy.haproxy.config import EVENTS_SOCKET, state_file
from reconciler.proxy.haproxy.gateway.directory import write_gateway, write_slots
from reconciler.proxy.haproxy.gateway.tls_files import Certificates, Served, write_certificates
from reconciler.proxy.remote.files import Digests, order, put
from tests.proxy.conftest import IMAGE
from tests.proxy.haproxy.gateway.conftest import POOLS, SPEC


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path / "gateways" / "main", os.geteuid(), os.getegid())


def everything(site: Site) -> set[str]:
    return {str(each.relative_to(site.config)) for each in site.config.rglob("*") if each.is_file()}


def test_every_file_of_a_gateway_is_a_part_of_it(site: Site) -> None:
    write_gateway(site, SPEC, POOLS, IMAGE, {}, {})
    write_slots(site, [1, 2])
    write_certificates(site, Certificates("default", (Served(("a.test",), "pem"),)))
    files = Digests().of(site)
    assert set(files) == everything(site)
    assert {name.partition("/")[0] for name in files} >= {
        "gateway.cfg",
        "maps",
        "pools",
        "tls",
        "pages",
        "slots.txt",
    }


def test_what_the_machine_of_the_haproxy_makes_is_no_part_of_it(site: Site) -> None:
    site.config.mkdir(parents=True)
    (site.config / state_file(1)).write_text("x")
    (site.config / ".gateway.cfg.new").write_text("x")
    (site.config / "sub").mkdir()
    (site.config / "sub" / "a.cfg").write_text("x")
    (site.config / "link.cfg").symlink_to("/etc/passwd")
    os.mkfifo(site.config / "fifo.cfg")
    os.mknod(site.config / EVENTS_SOCKET)
    assert Digests().of(site) == {}


def test_there_is_none_yet(site: Site) -> None:
    assert Digests().of(site) == {}
    assert Digests().whole(site) == Digests().whole(site)


def test_each_change_is_another_whole(site: Site) -> None:
    digests = Digests()
    seen = [digests.whole(site)]
    for change in (
        lambda: put(site, {"haproxy.cfg": "a", "pages/502.html": "b"}, ()),
        lambda: put(site, {"haproxy.cfg": "b"}, ()),
        lambda: put(site, {"haproxy.cfg": "c", "maps/routes.map": ""}, ("pages/502.html",)),
        lambda: put(site, {}, ("haproxy.cfg", "no/such.cfg", "other.cfg")),
        lambda: (site.config / "maps" / "routes.map").write_text("manual"),
    ):
        change()
        seen.append(digests.whole(site))
    assert len(set(seen)) == len(seen)
    put(site, {"maps/routes.map": ""}, ())
    assert digests.whole(site) == seen[4]


def test_a_change_within_a_tick_of_the_clock_is_seen(site: Site) -> None:
    digests = Digests()
    put(site, {"haproxy.cfg": "aa"}, ())
    before = digests.whole(site)
    # Neither the inode nor the size differs.
    with (site.config / "haproxy.cfg").open("r+") as file:
        file.write("ab")
    assert digests.whole(site) != before


def test_a_file_that_rests_is_read_once(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    digests = Digests()
    put(site, {"haproxy.cfg": "a"}, ())
    monkeypatch.setattr("reconciler.proxy.remote.files.time.time_ns", lambda: 2**62)
    before = digests.whole(site)
    monkeypatch.setattr(
        "reconciler.proxy.remote.files.read_files", lambda directory, names: dict.fromkeys(names, "?")
    )
    assert digests.whole(site) == before


def test_what_names_others_comes_after_them() -> None:
    names = [
        "haproxy.cfg",
        "tls/certificates.list",
        "tls/default.pem",
        "gateway.cfg",
        "pools/h001.cfg",
        "hold.lua",
    ]
    written = sorted(names, key=order)
    assert written[-2:] == ["gateway.cfg", "haproxy.cfg"]
    assert written[-3] == "tls/certificates.list"


def test_a_copy_has_the_modes_and_owners_of_the_original(tmp_path: Path) -> None:
    here, there = (Site(tmp_path / each / "gateways" / "main", 99, 99, 0) for each in ("a", "b"))
    if os.geteuid() != 0:
        here, there = (Site(each.directory, os.geteuid(), os.getegid()) for each in (here, there))
    write_gateway(here, SPEC, POOLS, IMAGE, {}, {})
    write_certificates(here, Certificates("default", (Served(("a.test",), "pem"),)))
    put(there, {name: (here.config / name).read_text() for name in everything(here)}, ())
    assert everything(there) == everything(here)
    for original in here.config.rglob("*"):
        copy = (there.config / original.relative_to(here.config)).stat()
        said = original.stat()
        assert (copy.st_mode, copy.st_uid, copy.st_gid) == (said.st_mode, said.st_uid, said.st_gid), original
    assert (there.config / "tls" / "default.pem").stat().st_mode & 0o777 == 0o600
