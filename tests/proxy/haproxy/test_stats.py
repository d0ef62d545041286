"""What HAProxy's answers mean; the texts are shortened answers of HAProxy 3.0.11."""

from __future__ import annotations

import pytest

from reconciler.core.assess.observation import Admin, Server
from reconciler.proxy.haproxy.stats import Info, Process, as_worker, old_pids, read_info, read_servers

PROC = """\
#<PID>          <type>          <reloads>       <uptime>        <version>
1               master          3 [failed: 0]   0d00h06m17s     3.0.11
# workers
60              worker          0               0d00h00m02s     3.0.11
# old workers
28              worker          1               0d00h02m00s     3.0.11
9               worker          2               0d00h03m00s     3.0.11
# programs
99              program         0               0d00h03m00s     -
"""
INFO = """\
Name: HAProxy
Pid: 60
Uptime_sec: 117
description: 0123456789ab
Stopping: 0
Unstoppable Jobs: 1
"""
HEADER = "# pxname,svname,qcur,scur,status,uweight,last_chk,lastchg,addr,used_conn_cur,"


def table(*rows: str) -> str:
    return "\n".join([HEADER, *rows])


def server(**changes: object) -> Server:
    values = {
        "name": "a",
        "address": "10.0.0.1:80",
        "admin": Admin.READY,
        "up": True,
        "sessions": 0,
        "since": 7.0,
    }
    return Server(**{**values, **changes})  # type: ignore[arg-type]


def test_old_workers_are_found_between_their_headings() -> None:
    assert old_pids(PROC) == (28, 9)
    assert (
        old_pids(PROC.replace("# old workers\n", "").replace("28  ", "# 28").replace("9     ", "# 9  ")) == ()
    )


def test_info_is_read() -> None:
    assert read_info(INFO) == Info(pid=60, structure="0123456789ab", stopping=False, uptime=117.0)
    assert read_info(INFO.replace("Stopping: 0", "Stopping: 1")).stopping
    assert read_info(INFO.replace("description: 0123456789ab\n", "")).structure == ""


@pytest.mark.parametrize("text", ["", "Unknown command: 'show'", "Pid: x\nStopping: 0\nUptime_sec: 1"])
def test_what_is_no_info_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        read_info(text)


@pytest.mark.parametrize(
    ("status", "weight", "admin", "up"),
    [
        ("UP", 1, Admin.READY, True),
        ("UP 1/3", 1, Admin.READY, True),
        ("no check", 1, Admin.READY, True),
        ("DOWN", 1, Admin.READY, False),
        ("DOWN 1/2", 1, Admin.READY, False),
        ("NOLB", 1, Admin.READY, False),
        ("MAINT", 1, Admin.DRAIN, False),
        ("MAINT (via web/b)", 1, Admin.DRAIN, False),
        ("DRAIN", 1, Admin.DRAIN, False),
        # No share is not drained: it is as well as its checks say.
        ("UP", 0, Admin.READY, True),
        ("DOWN", 0, Admin.READY, False),
        ("DRAIN", 0, Admin.DRAIN, False),
        ("UP", 256, Admin.READY, True),
    ],
)
def test_status(status: str, weight: int, admin: Admin, up: bool) -> None:
    (read,) = read_servers(table(f"web,a,0,0,{status},{weight},,7,10.0.0.1:80,0,"))

    assert read == server(admin=admin, up=up, weight=weight)


@pytest.mark.parametrize(
    ("queued", "running", "connected", "sessions"), [(0, 0, 0, 0), (2, 3, 3, 5), (0, 1, 0, 1), (0, 0, 1, 1)]
)
def test_sessions_are_all_that_still_holds_a_request(
    queued: int, running: int, connected: int, sessions: int
) -> None:
    (read,) = read_servers(table(f"web,a,{queued},{running},UP,1,,7,10.0.0.1:80,{connected},"))

    assert read.sessions == sessions


def test_all_servers_are_read_whatever_their_checks_said() -> None:
    read = read_servers(
        table(
            'web,a,0,0,UP,1,"Layer7 check, ""passed""",7,10.0.0.1:80,0,',
            "web,b,,,DOWN,1,,7,10.0.0.2:80,,",
        )
    )

    assert read == (server(), server(name="b", address="10.0.0.2:80", up=False))
    assert read_servers(table()) == ()


@pytest.mark.parametrize(
    "text", ["", "Proxy is disabled.", f"{HEADER}\nweb,a,0,0,UP", "# pxname,svname\nweb,a"]
)
def test_what_is_no_table_of_statistics_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="show stat"):
        read_servers(text)


def worker(*servers: Server, serving: bool = False) -> Process:
    return Process(Info(1, "s", stopping=not serving, uptime=99.0), servers, serving=serving)


def test_a_serving_worker_shows_its_servers_as_they_are() -> None:
    shown = as_worker(worker(server(), serving=True), successor=1.0)

    assert (shown.current, shown.servers) == (True, (server(),))


@pytest.mark.parametrize(
    ("left", "since"),
    [
        # It got requests until the reload, unless it was told to drain it before.
        (server(sessions=1), 2.0),
        (server(sessions=1, admin=Admin.DRAIN), 7.0),
        (server(sessions=1, since=1.0), 1.0),
    ],
)
def test_a_leaving_worker_shows_what_it_has_left(left: Server, since: float) -> None:
    seen = as_worker(worker(left, server(name="b", sessions=0)), successor=2.0)

    assert not seen.current
    assert seen.servers == (server(sessions=left.sessions, admin=Admin.DRAIN, up=False, since=since),)
