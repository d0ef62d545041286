"""A real ACME server: pebble, with its validation on, and its DNS server, in which each name leads where a test says."""

from __future__ import annotations

import json
import os
import socket
import ssl
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

from reconciler.api.acme import Acme
from reconciler.certificates.self_signed import self_signed

ROOT = Path(__file__).parents[2]
START_SECONDS = 20.0


@cache
def programs() -> Path:
    """The directory of pebble and its DNS server."""
    done = subprocess.run(
        [ROOT / "scripts" / "pebble"], capture_output=True, text=True, timeout=400, check=False
    )
    assert done.returncode == 0, done.stderr
    return Path(done.stdout.splitlines()[-1])


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@dataclass
class Pebble:
    """The server; `address` is where all names lead, unless `leads` says otherwise."""

    directory: Path
    address: str
    http_port: int
    tls_port: int
    binding: bool = False
    life: int = 90 * 24 * 3600
    environment: dict[str, str] = field(default_factory=dict)
    port: int = field(default_factory=free_port)
    management: int = field(default_factory=free_port)
    dns: int = field(default_factory=free_port)
    dns_management: int = field(default_factory=free_port)
    _server: subprocess.Popen[bytes] | None = None
    _dns: subprocess.Popen[bytes] | None = None

    def acme(self, **more: Any) -> Acme:
        """The account of a gateway with this server."""
        return Acme.model_validate(
            {
                "accept_terms": True,
                "server": f"https://localhost:{self.port}/dir",
                "ca_file": str(self.directory / "server.pem"),
                **more,
            }
        )

    def start(self) -> None:
        """Start it, with the DNS server when that is not there yet; all orders and accounts of before are gone."""
        if self._dns is None:
            self._dns = self._run(
                "pebble-challtestsrv", "-defaultIPv4", self.address, "-defaultIPv6", "", "-dns01", f"127.0.0.1:{self.dns}",
                "-http01", "", "-https01", "", "-tlsalpn01", "", "-doh", "",
                "-management", f"127.0.0.1:{self.dns_management}",
            )  # fmt: skip
        config = self.directory / "pebble.json"
        config.write_text(json.dumps({"pebble": self._config()}))
        self._server = self._run("pebble", "-config", str(config), "-dnsserver", f"127.0.0.1:{self.dns}")
        deadline = time.monotonic() + START_SECONDS
        while not (self._answers(self.port) and self._answers(self.dns_management)):
            assert self._server.poll() is None, (self.directory / "pebble.log").read_text()
            assert time.monotonic() < deadline, (self.directory / "pebble.log").read_text()
            time.sleep(0.05)

    def stop(self) -> None:
        """End it, as a crash would; names go on leading somewhere."""
        if self._server:
            self._server.kill()
            self._server.wait(20)
            self._server = None

    def close(self) -> None:
        """End all of it."""
        self.stop()
        if self._dns:
            self._dns.kill()
            self._dns.wait(20)

    def root(self) -> str:
        """The certificate that clients trust, in PEM."""
        context = ssl.create_default_context(cafile=str(self.directory / "server.pem"))
        with urllib.request.urlopen(
            f"https://localhost:{self.management}/roots/0", context=context, timeout=20
        ) as answer:
            return str(answer.read().decode())

    def leads(self, name: str, address: str) -> None:
        """Make a name lead elsewhere."""
        self.tell("add-a", host=f"{name}.", addresses=[address])

    def tell(self, what: str, **fields: Any) -> None:
        """Change the DNS server."""
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.dns_management}/{what}", json.dumps(fields).encode(), method="POST"
        )
        urllib.request.urlopen(request, timeout=20).close()

    def log(self) -> str:
        """What the server has written."""
        return (self.directory / "pebble.log").read_text()

    def _config(self) -> dict[str, Any]:
        if not (self.directory / "server.pem").exists():
            made = self_signed(["localhost"], datetime.now(UTC))
            (self.directory / "server.pem").write_text(made.chain)
            (self.directory / "server.key").write_text(made.key)
        bound = {
            "externalAccountMACKeys": {
                "kid-1": "zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12W"
            }
        }
        return {
            "listenAddress": f"127.0.0.1:{self.port}",
            "managementListenAddress": f"127.0.0.1:{self.management}",
            "certificate": str(self.directory / "server.pem"),
            "privateKey": str(self.directory / "server.key"),
            "httpPort": self.http_port,
            "tlsPort": self.tls_port,
            "externalAccountBindingRequired": self.binding,
            "certificateValidityPeriod": self.life,
            "profiles": {"default": {"description": "the one", "validityPeriod": self.life}},
            "retryAfter": {"authz": 1, "order": 1},
            **(bound if self.binding else {}),
        }

    def _run(self, program: str, *arguments: str) -> subprocess.Popen[bytes]:
        environment = {**os.environ, "PEBBLE_VA_NOSLEEP": "1", **self.environment}
        with (self.directory / f"{program}.log").open("ab") as log:
            return subprocess.Popen(
                [programs() / program, *arguments], stdout=log, stderr=log, env=environment
            )

    def _answers(self, port: int) -> bool:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return True
        return False


@contextmanager
def running(directory: Path, address: str, http_port: int, tls_port: int, **more: Any) -> Iterator[Pebble]:
    """A server for the time of a test."""
    made = Pebble(directory, address, http_port, tls_port, **more)
    try:
        made.start()
        yield made
    finally:
        made.close()
