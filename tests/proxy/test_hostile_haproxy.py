"""A HAProxy that was taken over: what it puts into its directory, and what it answers, harms nothing but its own service.

Nothing here needs an engine: the directories are those of a service, and this process plays the HAProxy. What is owned
by another user needs root.
"""

from __future__ import annotations

import os
import socket
import stat
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from reconciler.core.desired.stack import Site
from reconciler.proxy.errors import ProxyAwayError, ProxyError
from reconciler.proxy.haproxy.config import CONFIG_FILE, EVENTS_SOCKET, state_file
from reconciler.proxy.haproxy.directory import read_file
from reconciler.proxy.haproxy.events import ServerEvents
from reconciler.proxy.haproxy.files import MAX_FILE, handed_over, prepare, read_files, write_files
from reconciler.proxy.haproxy.runtime import MAX_OLD_WORKERS, Runtime
from reconciler.proxy.haproxy.socket import TIMEOUT, Master, ask, converse
from reconciler.proxy.haproxy.stats import MAX_SERVERS, old_pids, read_info, read_servers

INFO = "Pid: 60\nUptime_sec: 5\ndescription: 0123456789ab\nStopping: 0\n"
HEADER = "# pxname,svname,qcur,scur,status,uweight,last_chk,lastchg,addr,used_conn_cur,"
ROW = "web,one,0,0,UP,1,,5,10.0.0.1:80,0,"
DONE = b"\n"

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files to another user")


@pytest.fixture
def site(tmp_path: Path) -> Site:
    made = Site(tmp_path / "mine", os.geteuid(), os.getegid())
    prepare(made)
    return made


@pytest.fixture
def precious(tmp_path: Path) -> Path:
    """A file that is none of HAProxy's business."""
    path = tmp_path / "precious"
    path.write_text("precious")
    path.chmod(0o600)
    return path


def untouched(precious: Path) -> bool:
    return precious.read_text() == "precious" and stat.S_IMODE(precious.stat().st_mode) == 0o600


def master(site: Site, seconds: float = 5.0) -> Master:
    return Master(site, 1, time.monotonic() + seconds)


@pytest.fixture
def listen() -> Iterator[Callable[..., list[bytes]]]:
    """Listen at a path and do something with each connection; the list is what was asked."""
    listeners: list[socket.socket] = []

    def start(path: Path, speak: Callable[[socket.socket], object]) -> list[bytes]:
        asked: list[bytes] = []
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(str(path))
        listener.listen()
        listeners.append(listener)

        def serve() -> None:
            with suppress(OSError):
                while True:
                    connection, _ = listener.accept()
                    with connection, suppress(OSError):
                        said = b""
                        while chunk := connection.recv(4096):
                            said += chunk
                        asked.append(said)
                        speak(connection)

        threading.Thread(target=serve, daemon=True).start()
        return asked

    yield start
    for listener in listeners:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()


# Its directory


def test_a_link_to_the_socket_of_another_service_is_not_followed(
    site: Site, tmp_path: Path, listen: Callable[..., list[bytes]]
) -> None:
    other = Site(tmp_path / "other", site.uid, site.gid)
    prepare(other)
    asked = listen(other.run / "master-1.sock", lambda connection: connection.sendall(b"\n"))
    assert ask(master(other), ["show proc"]) == ("",)
    asked.clear()

    (site.run / "master-1.sock").symlink_to(other.run / "master-1.sock")
    with pytest.raises(ProxyError, match=r"master-1\.sock in .* is no socket"):
        ask(master(site), ["show proc"])
    (site.run / "master-1.sock").unlink()
    site.run.rmdir()
    site.run.symlink_to(other.run)
    with pytest.raises(ProxyError, match="cannot be asked"):
        ask(master(site), ["show proc"])
    assert asked == []


@pytest.mark.parametrize("kind", ["file", "fifo", "directory", "device"])
def test_what_is_no_socket_is_told_at_once(site: Site, kind: str) -> None:
    path = site.run / "master-1.sock"
    if kind == "file":
        path.write_text("")
    elif kind == "fifo":
        os.mkfifo(path)
    elif kind == "directory":
        path.mkdir()
    elif os.geteuid() == 0:
        os.mknod(path, stat.S_IFCHR | 0o666, os.makedev(1, 5))
    else:
        pytest.skip("only root can make a device")
    with pytest.raises(ProxyError, match="is no socket") as raised:
        ask(master(site, 1), ["show proc"])
    assert not isinstance(raised.value, ProxyAwayError), "it may have traffic"


@as_root
def test_a_socket_of_another_user_is_not_asked(tmp_path: Path, listen: Callable[..., list[bytes]]) -> None:
    site = Site(tmp_path / "mine", 99, 99)
    prepare(site)
    path = site.run / "master-1.sock"
    asked = listen(path, lambda connection: connection.sendall(b"\n"))
    with pytest.raises(ProxyError, match="belongs to user 0, not to HAProxy's, 99"):
        ask(master(site), ["show proc"])
    # HAProxy's file, but not HAProxy that listens.
    os.chown(path, 99, 99)
    with pytest.raises(ProxyError, match="belongs to user 0, not to HAProxy's, 99"):
        ask(master(site), ["show proc"])
    assert not any(asked)


def test_nothing_is_written_where_haproxy_can_write(site: Site) -> None:
    events = ServerEvents()
    events.follow()
    events.listen("mine", site)
    write_files(site.config, {CONFIG_FILE: "global\n"}, site)
    with handed_over(site, 1, "states"):
        assert not list(site.run.iterdir())
    events.close()
    assert not list(site.run.iterdir())


@pytest.mark.parametrize("which", ["config", "run"])
def test_a_directory_that_was_swapped_for_a_link_is_not_used(site: Site, tmp_path: Path, which: str) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir(mode=0o700)
    directory = getattr(site, which)
    directory.rmdir()
    directory.symlink_to(elsewhere)
    with pytest.raises(OSError, match=r"symbolic link|Not a directory"):
        prepare(site)
    assert stat.S_IMODE(elsewhere.stat().st_mode) == 0o700
    if which == "config":
        with pytest.raises(OSError, match=r"symbolic link|Not a directory"):
            write_files(site.config, {CONFIG_FILE: "global\n"}, site)
    assert not list(elsewhere.iterdir())


def test_a_link_or_a_second_name_in_the_place_of_a_file_is_replaced_and_not_written_to(
    site: Site, precious: Path
) -> None:
    (site.config / CONFIG_FILE).symlink_to(precious)
    (site.config / f".{CONFIG_FILE}.new").symlink_to(precious)
    os.link(precious, site.config / "hold.lua")
    (site.config / state_file(1)).symlink_to(precious)
    (site.config / EVENTS_SOCKET).symlink_to(precious)

    assert CONFIG_FILE not in read_files(site.config), "a link is not read"
    files = {CONFIG_FILE: "global\n", "hold.lua": "return\n"}
    write_files(site.config, files, site)
    with handed_over(site, 1, "states"):
        assert (site.config / state_file(1)).read_text() == "states\n"
    events = ServerEvents()
    events.follow()
    events.listen("mine", site)
    events.close()

    assert read_files(site.config) == files
    assert untouched(precious)


def test_pages_that_are_a_link_are_not_written_to(site: Site, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (site.config / "pages").symlink_to(elsewhere)
    with pytest.raises(OSError, match=r"symbolic link|Not a directory"):
        write_files(site.config, {"pages/503.html": "<p>\n"}, site)
    assert not list(elsewhere.iterdir())


def test_a_fifo_a_device_or_a_huge_file_is_not_read_for_ever(site: Site) -> None:
    os.mkfifo(site.config / CONFIG_FILE)
    assert read_files(site.config) == {}
    (site.config / CONFIG_FILE).unlink()
    with (site.config / CONFIG_FILE).open("wb") as file:
        file.truncate(64 * 1024**3)
    assert len(read_files(site.config)[CONFIG_FILE]) == MAX_FILE
    descriptor = os.open("/dev", os.O_RDONLY)
    try:
        assert read_file(descriptor, "zero", 10) is None
    finally:
        os.close(descriptor)


def test_states_are_gone_when_the_reload_has_failed(site: Site) -> None:
    with (
        pytest.raises(ProxyError),
        handed_over(site, 1, "half \ufffd of a character"),
    ):
        raise ProxyError("not reloaded")
    assert not list(site.config.iterdir())


# Its answers


def answers(*texts: str) -> bytes:
    return "".join(f"{text.rstrip()}\n\n" for text in texts).encode()


def proc(pids: Iterator[int] | range) -> str:
    rows = "".join(f"{pid} worker 1 0d 3.0\n" for pid in pids)
    return (
        f"#<PID> <type>\n1 master 0 0d 3.0\n# workers\n60 worker 0 0d 3.0\n# old workers\n{rows}# programs\n"
    )


def test_an_answer_that_comes_byte_by_byte_gets_no_more_time(
    site: Site, listen: Callable[..., list[bytes]]
) -> None:
    def drip(connection: socket.socket) -> None:
        for _ in range(200_000):
            connection.sendall(b"x")
            time.sleep(0.0005)

    listen(site.run / "master-1.sock", drip)
    began = time.monotonic()
    with pytest.raises(ProxyError, match=r'did not answer "show proc" in 0\.3 s'):
        converse(master(site), ["show proc"], timeout=0.3)
    assert time.monotonic() - began < 50


def test_many_workers_that_are_slow_take_no_longer_than_one_look(
    site: Site, listen: Callable[..., list[bytes]]
) -> None:
    first = answers(proc(range(100, 140)), INFO, f"{HEADER}\n{ROW}")

    def slow(connection: socket.socket) -> None:
        if len(asked) > 1:
            time.sleep(1.9)
        connection.sendall(first)

    asked = listen(site.run / "master-1.sock", slow)
    began = time.monotonic()
    with pytest.raises(ProxyError, match="did not answer"):
        Runtime(master(site, 1), "web").processes()
    assert time.monotonic() - began < 50
    assert len(asked) < 10


def test_more_workers_than_there_can_be_are_not_asked(site: Site, listen: Callable[..., list[bytes]]) -> None:
    forged = answers(proc(range(100, 101 + MAX_OLD_WORKERS)), INFO, f"{HEADER}\n{ROW}")
    asked = listen(site.run / "master-1.sock", lambda connection: connection.sendall(forged))
    with pytest.raises(ProxyError, match=f"{MAX_OLD_WORKERS + 1} old workers"):
        Runtime(master(site), "web").processes()
    assert len(asked) == 1


def test_forged_pids_are_few_and_small() -> None:
    assert old_pids(proc(iter([7, 7, 7, 8]))) == (7, 8)
    assert (
        old_pids(proc(range(0)).replace("# programs", f"{'9' * 5000} worker\n٣ worker\n-1 worker\n#")) == ()
    )


@pytest.mark.parametrize(
    "row",
    [
        ROW.replace("one", "o ne"),
        ROW.replace("one", "x" * 200),
        ROW.replace("one", "\x1b[2J"),
        ROW.replace("one", ""),
        ROW.replace("10.0.0.1:80", "10.0.0.1:80\x1b]0;"),
        ROW.replace("10.0.0.1:80", "1" * 1000),
        ROW.replace(",5,", f",{'9' * 400},"),
        ROW.replace(",5,", f",{'9' * 5000},"),
        ROW.replace(",5,", ",-5,"),
        ROW.replace(",5,", ",٣,"),
        ROW.replace(",5,", ",nan,"),
        f'web,"{"x" * 200_000}",0,0,UP,1,,5,10.0.0.1:80,0,',
        "\n".join([ROW] * (MAX_SERVERS + 1)),
    ],
)
def test_a_forged_row_is_refused_in_few_words(row: str) -> None:
    with pytest.raises(ValueError, match=r".") as raised:
        read_servers(f"{HEADER}\n{row}")
    assert len(str(raised.value)) < 1000


@pytest.mark.parametrize("uptime", ["nan", "inf", "-1", "1e400", "9" * 400, "9" * 5000])
def test_a_forged_uptime_is_refused(uptime: str) -> None:
    with pytest.raises(ValueError, match="not a number"):
        read_info(INFO.replace("Uptime_sec: 5", f"Uptime_sec: {uptime}"))


def test_a_forged_structure_is_none() -> None:
    assert read_info(INFO.replace("0123456789ab", "\x1b[2J" + "x" * 100_000)).structure == ""


def test_what_it_says_is_quoted_in_part(site: Site, listen: Callable[..., list[bytes]]) -> None:
    def loud(connection: socket.socket) -> None:
        if b"show info" in asked[-1]:
            connection.sendall(answers(INFO, f"{HEADER}\n{ROW}"))
        else:
            commands = asked[-1].count(b"\n")
            connection.sendall(b"begin" + b"x" * 1_000_000 + b"end\n\n" + DONE * (commands - 1))

    asked = listen(site.run / "master-1.sock", loud)
    runtime = Runtime(master(site), "web")
    for change in (lambda: runtime.drain_servers(["one"]), lambda: runtime.reload("0123456789ab")):
        with pytest.raises(ProxyError, match=r"begin.*\[…\].*end") as raised:
            change()
        assert len(str(raised.value)) < 3000


def test_forged_sessions_add_no_command(site: Site, listen: Callable[..., list[bytes]]) -> None:
    """What names a session goes back to HAProxy in a command."""
    first = answers(proc(range(100, 101)), INFO, f"{HEADER}\n{ROW}")
    old = answers(INFO.replace("60", "100"), f"{HEADER}\n{ROW.replace('one,0,0', 'one,0,1')}")
    sessions = b"@1 help: be=web srv=one \n0x55: be=web srv=one \n"

    def speak(connection: socket.socket) -> None:
        question = asked[-1]
        if b"show proc" in question:
            connection.sendall(first)
        elif b"show sess" in question:
            connection.sendall(sessions)
        else:
            connection.sendall(old)

    asked = listen(site.run / "master-1.sock", speak)
    with suppress(ProxyError):
        Runtime(master(site), "web").delete_servers(["one"], force=True)
    cuts = [question for question in asked if b"shutdown session " in question]
    assert cuts == [b"@!100 shutdown session 0x55\n"]


LEAVING = (
    b"set table closing key web data.gpt0 1",
    b"wait 1 srv-removable web/one",
    b"set server web/one state maint",
    b"set table closing key web data.gpt0 0",
)
"""What drains a server."""


def _says_another(connection: socket.socket) -> None:
    connection.sendall(answers(INFO.replace("Pid: 60", "Pid: 61")) + DONE)


def _says_nothing(connection: socket.socket) -> None:
    connection.sendall(b"")


def _is_too_busy(connection: socket.socket) -> None:
    time.sleep(TIMEOUT + 0.5)


@pytest.mark.parametrize("worker", [_says_another, _says_nothing, _is_too_busy])
def test_what_the_worker_does_not_take_goes_over_its_master(
    site: Site, listen: Callable[..., list[bytes]], worker: Callable[[socket.socket], None]
) -> None:
    def speak(connection: socket.socket) -> None:
        observed = b"show info" in asked[-1]
        connection.sendall(answers(INFO, f"{HEADER}\n{ROW}") if observed else DONE * len(LEAVING))

    asked = listen(site.run / "master-1.sock", speak)
    told = listen(site.run / "admin-1.sock", worker)
    Runtime(master(site), "web").drain_servers(["one"])
    assert told == [b";".join([b"show info", *LEAVING]) + b"\n"]
    assert asked[-1] == b"".join(b"@1 " + command + b"\n" for command in LEAVING)


def test_what_the_worker_takes_is_not_said_twice(site: Site, listen: Callable[..., list[bytes]]) -> None:
    asked = listen(
        site.run / "master-1.sock", lambda connection: connection.sendall(answers(INFO, f"{HEADER}\n{ROW}"))
    )
    listen(
        site.run / "admin-1.sock", lambda connection: connection.sendall(answers(INFO) + DONE * len(LEAVING))
    )
    Runtime(master(site), "web").drain_servers(["one"])
    assert [b"maint" in each for each in asked] == [False]
