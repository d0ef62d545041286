"""What a gateway's pass does about certificates, and clients that verify each one they meet."""

from __future__ import annotations

import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from reconciler.api.acme import Acme
from reconciler.certificates.acme.client import AcmeServer
from reconciler.certificates.acme.dns import DnsRunner
from reconciler.certificates.keeper import Keeper, Serving
from reconciler.certificates.store import Account
from reconciler.certificates.wanted import Source, Want
from reconciler.proxy.haproxy.gateway.certificates import change_certificates
from reconciler.proxy.haproxy.gateway.tls_files import Certificates, served, write_certificates
from reconciler.proxy.haproxy.gateway.transactions import replace_map
from tests.proxy.haproxy.gateway.conftest import HTTPS, GatewayWorld

DEADLINE = 120.0


@dataclass
class Gateway:
    """The part of a gateway's pass that is about certificates, with the thread that gets new ones."""

    world: GatewayWorld
    acme: Acme
    keeper: Keeper
    wants: tuple[Want, ...] = ()
    serving: Serving | None = None
    errors: list[Exception] = field(default_factory=list)

    def look(self) -> Serving:
        """What a pass does: files, then what runs, then it says what is answered."""
        self.serving = serving = self.keeper.serve(self.wants, self.acme)
        pems = {host: held.bundle.pem for host, held in serving.hosts.items()}
        challenges = {host: each.pem for host, each in serving.challenges.items()}
        wanted = Certificates(serving.default.pem, served(pems, challenges))
        write_certificates(self.world.site, wanted)
        for slot in self.world.containers:
            change_certificates(self.world.master(slot), wanted)
            replace_map(self.world.master(slot), "acme", serving.paths)
        self.keeper.answering(serving.ids)
        return serving

    def step(self) -> float:
        """A pass and what the thread does after it; seconds until the next ones."""
        self.look()
        return self.keeper.work().seconds

    def until(self, holds: Callable[[Serving], object], within: float = DEADLINE) -> Serving:
        """Pass after pass until something holds."""
        deadline = time.monotonic() + within
        while not holds(serving := self.look()):
            assert time.monotonic() < deadline, (serving.troubles, self.errors)
            time.sleep(0.1)
        return serving


@contextmanager
def gateway(world: GatewayWorld, directory: Path, acme: Acme, **more: Any) -> Iterator[Gateway]:
    """A gateway with a thread that gets certificates; `is_stepped`: without one, and the test calls `step`."""

    def connect(account: Account, spec: Acme) -> AcmeServer:
        return AcmeServer(account, ca_file=spec.ca_file, binding=more.get("binding"))

    runner = DnsRunner(more.get("programs"), {"PATH": "/usr/bin:/bin"})
    clock = more.get("clock", lambda: datetime.now(UTC))
    made = Gateway(world, acme, Keeper(directory / "certificates", connect, runner.run, clock=clock))
    thread = threading.Thread(target=made.keeper.run, args=(made.errors.append,))
    if more.get("is_stepped"):
        yield made
        return
    thread.start()
    try:
        yield made
        assert made.errors == []
    finally:
        made.keeper.stop()
        thread.join(60)


def wants(*names: str) -> tuple[Want, ...]:
    return tuple(Want(Source.ACME, (name,), "s.0") for name in names)


def s_client(world: GatewayWorld, root: Path, host: str) -> str:
    """What openssl says of the chain that a client of this host meets."""
    done = subprocess.run(
        ["openssl", "s_client", "-connect", f"{world.address}:{HTTPS}", "-servername", host, "-verify_hostname", host,
         "-CAfile", str(root), "-verify_return_error", "-showcerts"],
        input="", capture_output=True, text=True, timeout=30,
    )  # fmt: skip
    return done.stdout + done.stderr


def curl(world: GatewayWorld, root: Path, host: str, *options: str) -> subprocess.CompletedProcess[str]:
    """A request as users make it."""
    return subprocess.run(
        ["curl", "--silent", "--show-error", "--max-time", "20", "--cacert", str(root), "--resolve",
         f"{host}:{HTTPS}:{world.address}", *options, f"https://{host}:{HTTPS}/"],
        capture_output=True, text=True, timeout=40,
    )  # fmt: skip


@dataclass
class Handshakes:
    """Clients that verify each certificate, one handshake after the other; `lost` is what failed."""

    world: GatewayWorld
    root: Path
    hosts: Sequence[str]
    made: int = 0
    lost: list[str] = field(default_factory=list)
    ended: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        context = ssl.create_default_context(cafile=str(self.root))
        while not self.ended.is_set():
            for host in self.hosts:
                try:
                    with (
                        socket.create_connection((self.world.address, HTTPS), timeout=20) as connection,
                        context.wrap_socket(connection, server_hostname=host) as secured,
                    ):
                        secured.sendall(
                            f"GET / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode()
                        )
                        answer = secured.recv(64)
                    if answer.startswith(b"HTTP/1.1 200"):
                        self.made += 1
                    else:
                        self.lost.append(f"{host}: {answer!r}")
                except OSError as error:
                    self.lost.append(f"{host}: {error!r}")


@contextmanager
def handshakes(world: GatewayWorld, root: Path, hosts: Sequence[str]) -> Iterator[Handshakes]:
    load = Handshakes(world, root, hosts)
    threads = [threading.Thread(target=load.run) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        yield load
        enough, deadline = load.made + 40, time.monotonic() + 60
        while load.made < enough and time.monotonic() < deadline:
            time.sleep(0.05)
    finally:
        load.ended.set()
        for thread in threads:
            thread.join(60)
