"""What HAProxy has counted is read from its own answers, and answers of others are no numbers."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from reconciler.core.desired.stack import Site
from reconciler.core.routes.routed import Routed
from reconciler.core.traffic.tally import BOUNDS, Count, Tally
from reconciler.proxy.haproxy.counting import HAProxyCounting, read_tallies
from reconciler.proxy.haproxy.times import CLASSES, rules
from tests.proxy.conftest import make_stack, until

if TYPE_CHECKING:
    from tests.proxy.conftest import Replica, World

HEAD = "# pxname,svname,hrsp_1xx,hrsp_2xx,hrsp_3xx,hrsp_4xx,hrsp_5xx,hrsp_other,mode,"
TABLE = "# table: activity, type: string, size:10, used:1"


def test_each_time_is_in_one_class() -> None:
    lines = rules().splitlines()
    assert len(lines) == CLASSES == len(BOUNDS) + 1
    for milliseconds in (0, 5, 6, 10, 11, 9_999, 10_000, 10_001, 10**8):
        hits = [line for line in lines if _holds(line, milliseconds)]
        assert len(hits) == 1, milliseconds


def _holds(line: str, milliseconds: int) -> bool:
    when = line.partition("{ res.timer.hdr ")[2].removesuffix(" }")
    if when.startswith("ge "):
        return milliseconds >= int(when[3:])
    low, high = map(int, when.split(":"))
    return low <= milliseconds <= high


def test_statuses_and_times_are_those_of_the_pool() -> None:
    stats = (
        f"{HEAD}\nweb,BACKEND,0,90,1,4,5,0,http,\nother,BACKEND,0,2,0,0,0,0,http,\nt001,BACKEND,,,,,,,tcp,"
    )
    table = f"{TABLE}\n0x7fba: key=web use=0 exp=0 shard=0 conn_cur=0 gpc0=95 gpc1=0 gpc11=5"
    found = read_tallies(stats, table)
    assert found == {"web": Tally(100, 5, (95, *(0,) * 10, 5)), "other": Tally(2)}


@pytest.mark.parametrize(
    "table",
    ["No such table.", TABLE, f"{TABLE}\n0x7: key=web use=0 exp=0 shard=0 conn_cur=3", "0x7: key=web gpc0=x"],
)
def test_without_a_table_the_times_are_not_known(table: str) -> None:
    assert read_tallies(f"{HEAD}\nweb,BACKEND,0,9,0,0,0,0,http,", table) == {"web": Tally(9)}


@pytest.mark.parametrize(
    "stats", ["", "No such proxy.", "# pxname,svname", f"{HEAD}\nweb,BACKEND,1", "x\n1,2"]
)
def test_another_answer_is_refused(stats: str) -> None:
    with pytest.raises(ValueError, match="show stat"):
        read_tallies(stats, TABLE)


def test_a_number_that_is_none_counts_nothing() -> None:
    for text in ("-1", "1e9", "9" * 16, "\uff11"):
        assert read_tallies(f"{HEAD}\nweb,BACKEND,0,{text},0,0,0,0,http,", "") == {}


@pytest.mark.docker
def test_a_real_haproxy_counts_requests_errors_and_times(world: World, replicas: dict[str, Replica]) -> None:
    world.configure(replicas["one"])
    world.start()
    until(lambda: world.servers()[replicas["one"].name].up)
    counting = HAProxyCounting(dict)

    def counted() -> Count:
        (found,) = counting.counts([(world.stack, [1])])
        return found

    assert counted().tally.requests == 0
    for _ in range(20):
        assert world.get("/")[0] == 200
    assert world.get("/slow?ms=300")[0] == 200
    # Counted when the answer has ended.
    until(lambda: counted().tally.requests == 21)
    found = counted()
    assert found.service == world.stack.name
    assert sum(found.tally.times) == 21
    # On a busy machine others may take as long.
    assert sum(found.tally.times[BOUNDS.index(500) :]) >= 1
    assert found.tally.errors == 0
    world.drain(replicas["one"])
    world.delete(replicas["one"], force=True)
    assert world.get("/")[0] == 503
    until(lambda: counted().tally.errors == 1)
    world.stop()
    assert list(counting.counts([(world.stack, [1])])) == []
    world.containers.clear()


def test_a_proxy_that_does_not_answer_counts_nothing(tmp_path: Path) -> None:
    counting = HAProxyCounting(lambda: {"main": Site(tmp_path, 99, 99)})
    stack = make_stack(tmp_path)
    assert list(counting.counts([(stack, [1, 2]), (replace(stack, routed=Routed()), [])])) == []
