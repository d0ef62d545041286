"""Changes of which it is not known whether they were made, with a HAProxy that is played here."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from reconciler.core.desired.stack import Site
from reconciler.proxy.base import NewServer
from reconciler.proxy.haproxy.files import prepare
from reconciler.proxy.haproxy.runtime import Runtime
from reconciler.proxy.haproxy.socket import Master

INFO = "Pid: 60\nUptime_sec: 5\ndescription: 0123456789ab\nStopping: 0\n"
HEADER = "# pxname,svname,qcur,scur,status,uweight,last_chk,lastchg,addr,used_conn_cur,\n"


class Played:
    """One worker with servers. Over its own socket it carries commands out and does not answer in time."""

    def __init__(self, site: Site) -> None:
        self.servers: dict[str, str] = {}
        self.asked: list[str] = []
        self._listeners = [
            self._listen(site.run / "master-1.sock", lambda text: text.replace("@1 ", "").splitlines(), True),
            self._listen(site.run / "admin-1.sock", lambda text: text.strip().split(";"), False),
        ]

    def close(self) -> None:
        for each in self._listeners:
            each.close()

    def _listen(self, path: Path, commands: Callable[[str], list[str]], answers: bool) -> socket.socket:
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(str(path))
        listener.listen()

        def serve() -> None:
            with suppress(OSError):
                while True:
                    connection, _ = listener.accept()
                    with connection:
                        said = b""
                        while chunk := connection.recv(4096):
                            said += chunk
                        told = "".join(self._carry_out(each) + "\n" for each in commands(said.decode()))
                        if answers:
                            connection.sendall(told.encode())

        threading.Thread(target=serve, daemon=True).start()
        return listener

    def _carry_out(self, command: str) -> str:
        self.asked.append(command)
        match command.split():
            case ["show", "info"]:
                return INFO
            case ["show", "stat", *_]:
                rows = (f"web,{name},0,0,UP,1,,5,{where},0,\n" for name, where in self.servers.items())
                return HEADER + "".join(rows)
            case ["add", "server", place, where, *_]:
                if (name := place.partition("/")[2]) in self.servers:
                    return "Already exists a server with the same name in backend.\n"
                self.servers[name] = where
                return "New server registered.\n"
        return ""


@pytest.fixture
def site(tmp_path: Path) -> Site:
    made = Site(tmp_path, os.geteuid(), os.getegid())
    prepare(made)
    return made


@pytest.fixture
def played(site: Site) -> Iterator[Played]:
    made = Played(site)
    yield made
    made.close()


def test_servers_whose_answer_was_lost_are_added(site: Site, played: Played) -> None:
    runtime = Runtime(Master(site, 1, time.monotonic() + 30), "web")
    runtime.add_servers([NewServer("one", "10.0.0.1:80", trusted=True)], lambda name: "check")
    assert played.servers == {"one": "10.0.0.1:80"}
    assert played.asked.count("add server web/one 10.0.0.1:80 check") == 2
    assert played.asked[-1] == "set server web/one state ready"
