"""Changes of other services, beside clients that stay: none of them is cut, and no request of any service is lost.

A WebSocket, a stream of events and a download of one service stay open while another one is scaled, released, and given
other routes, health paths and certificates, and a third one comes and goes. CHANGES says how many of these there are:
10 at 50 requests a second with a download of 100 MiB, or 100 at 500 with one of 2 GiB, as `make soak` does.
"""

from __future__ import annotations

import http.client
import os
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import psutil
import pytest

from reconciler.certificates.self_signed import self_signed
from tests.e2e import proof
from tests.e2e.companions import Companion, Download, Events, WebSocket
from tests.e2e.docker_cli import containers, inspect
from tests.e2e.load import Load, read_ledger
from tests.e2e.neighbour import Neighbour, neighbour
from tests.e2e.stage import HOST, Stage, free_port, staged
from tests.e2e.tls_client import served_serial
from tests.e2e.waiting import until

CHANGES: Final = int(os.environ.get("CHANGES", "10"))
IS_LONG: Final = CHANGES >= 100
BLOCKS: Final = 2048 if IS_LONG else 100
LEAST_RATE: Final = 500.0 if IS_LONG else 50.0
RATE: Final = 1.1 * LEAST_RATE
GUEST_RATE: Final = 20.0
BUSY: Final = "busy.example.org"
GUEST: Final = "guest.example.org"
GROWTH: Final = 8 << 20
"""Bytes by which the memory of all HAProxies may differ, from the first changes to the last ones."""
PLUGINS: Final = Path(__file__).parent / "plugins"
GATEWAY_NETWORKS: Final = ("published", "host") if IS_LONG else ("published",)

pytestmark = [
    pytest.mark.docker,
    pytest.mark.promise,
    pytest.mark.turns,
    pytest.mark.timeout(600 + 60 * CHANGES),
]


@dataclass
class Scene:
    """The service that is left alone, the one that changes, the one that comes and goes."""

    stage: Stage
    https: int
    network: str
    busy: Neighbour
    guest: Neighbour

    def changes(self, turn: int) -> Iterator[tuple[str, Callable[[], object]]]:
        """Does one change after the other; says what it was, and how one sees that it came true."""
        busy, guest, ready = self.busy, self.guest, self.busy.ready
        again = {"gateway": self.stage.gateway, "tls": self._files() | {"redirect": False}}
        guest.write(routes=[again | {"hostnames": [GUEST]}], replicas=1)
        yield "a service comes", guest.ready
        with Load(self.stage.port, rate=GUEST_RATE, hosts=(GUEST,)) as load:
            busy.write(replicas=3)
            yield "more replicas", ready
            busy.write(route={"hostnames": [BUSY, f"more-{turn}.example.org"], "gateway": self.stage.gateway})
            yield "another host", lambda: self.ask(f"more-{turn}.example.org") == 200
            busy.write(healthcheck={"path": f"/healthz?{turn}"})
            yield "another health path", ready
            busy.write(env=self._environment(f"b{turn}"))
            yield "a release", ready
            serial = self.renew()
            yield "another certificate", lambda: serial in served_serial(GUEST, self.https)
            prefixed = again | {"hostnames": [GUEST], "path": "/only", "stripPath": True}
            guest.write(routes=[again | {"hostnames": [GUEST]}, prefixed])
            yield "another path", lambda: self.ask(GUEST, "/only/") == 200
            route = {"hostnames": [BUSY], "compression": turn % 2 == 0, "gateway": self.stage.gateway}
            busy.write(route=route)
            yield "another pool", ready
            busy.write(replicas=2)
            yield "fewer replicas", ready
        _nothing_lost(self.stage, load)
        guest.delete()
        yield "a service goes", lambda: not guest.replicas() and self.ask(GUEST) == 404

    def start(self) -> None:
        """Write all that is there from the beginning."""
        listeners = [
            {"name": "http", "port": self.stage.port, "protocol": "HTTP"},
            {"name": "https", "port": self.https, "protocol": "HTTPS"},
        ]
        spec = {"listeners": listeners, "network": self.network, "drainSeconds": 30}
        self.stage.write_manifest("VaultGateway", self.stage.gateway, spec)
        for each in (self.busy, self.guest):
            each.spec = {"env": self._environment("1"), "strategy": proof.QUICK}
        self.renew()
        self.busy.write()

    def renew(self) -> str:
        """Write another certificate; returns its serial number."""
        made = self_signed([GUEST], datetime.now(UTC))
        for name, text in (("chain", made.chain), ("key", made.key)):
            path = self.stage.manifests / f"{name}.pem"
            path.with_suffix(".new").write_text(text)
            path.with_suffix(".new").chmod(0o600)
            path.with_suffix(".new").replace(path)
        return made.certificate.serial

    def ask(self, host: str, path: str = "/") -> int:
        """The status of one request."""
        connection = http.client.HTTPConnection(HOST, self.stage.port, timeout=60)
        try:
            connection.request("GET", path, headers={"Host": host})
            answer = connection.getresponse()
            answer.read()
            return answer.status
        finally:
            connection.close()

    def processes(self) -> list[psutil.Process]:
        """All processes of all HAProxies, oldest first."""
        masters = [psutil.Process(inspect(each)["State"]["Pid"]) for each in sorted(self.stage.proxies())]
        return [each for master in masters for each in (master, *master.children(recursive=True))]

    def _environment(self, version: str) -> dict[str, str]:
        return proof.HARSH | {"WHOAMI_LEDGER_DIR": str(self.stage.ledger), "VERSION": version}

    def _files(self) -> dict[str, Any]:
        return {"files": {"chain": "chain.pem", "key": "key.pem"}}


@contextmanager
def scene(network: str) -> Iterator[Scene]:
    """Three services behind one gateway; what they run is removed afterwards."""
    with ExitStack() as stack:
        env = proof.HARSH | {"BOOT_SECONDS": "0"}
        stage = stack.enter_context(staged(routed=True, plugin="streamer", replicas=2))
        stage.env["VAULT_PLUGIN_PATH"] = str(PLUGINS)
        stage.write(env=env | {"WHOAMI_LEDGER_DIR": str(stage.ledger)})
        others = [
            stack.enter_context(neighbour(stage, suffix, host))
            for suffix, host in (("busy", BUSY), ("guest", GUEST))
        ]
        made = Scene(stage, free_port(), network, *others)
        made.start()
        yield made


@pytest.mark.parametrize("network", GATEWAY_NETWORKS)
def test_changes_of_other_services_cut_nothing(network: str, capsys: pytest.CaptureFixture[str]) -> None:
    with scene(network) as there, there.stage.controller():
        stage = there.stage
        stage.converged()
        until("the busy one serves", there.busy.ready)
        # The first one is not counted: HAProxy keeps the memory that its load asks for.
        download = Download(HOST, stage.port, blocks=BLOCKS)
        companions: list[Companion] = [WebSocket(HOST, stage.port), Events(HOST, stage.port), download]
        fronts = containers(stage.front_project)
        sizes: list[int] = []
        began, done = time.monotonic(), 0
        with Load(stage.port, rate=RATE, hosts=(HOST, BUSY)) as load:
            processes = there.processes()
            while done < CHANGES:
                for name, seen in there.changes(done):
                    since = time.monotonic()
                    until(f"change {done}: {name}", seen)
                    done += 1
                    download.share = done / CHANGES
                    sizes.append(sum(each.memory_info().rss for each in processes))
                    _tell(capsys, f"{done}: {name}, {time.monotonic() - since:.1f} s, {sizes[-1] >> 20} MiB")
                    assert not [each.cut for each in companions if each.cut], stage.story()
            assert there.processes() == processes, "HAProxy was reloaded"
        cut = [each.end(300) for each in companions]
        assert not any(cut), cut
        assert download.count == BLOCKS
        assert containers(stage.front_project) == fronts
        _nothing_lost(stage, load)
        assert len(load.shots) >= LEAST_RATE * load.seconds
        third = max(1, len(sizes) // 3)
        # The least of each third: what a burst of requests asks for, HAProxy gives back.
        assert min(sizes[-third:]) - min(sizes[:third]) < GROWTH, sizes
        _tell(
            capsys,
            f"{network}: {done} changes in {time.monotonic() - began:.0f} s, {len(load.shots):,} requests, 0 lost, "
            f"{len(load.shots) / load.seconds:.0f}/s, HAProxy {sizes[0] >> 20} to {sizes[-1] >> 20} MiB, "
            f"{companions[0].count} echoes, {companions[1].count} events, {download.count} MiB",
        )


def _nothing_lost(stage: Stage, load: Load) -> None:
    faults = load.faults(read_ledger(stage.ledger))
    assert not faults, f"{len(faults)} of {len(load.shots)}:\n" + "\n".join([*faults[:20], stage.story()])


def _tell(capsys: pytest.CaptureFixture[str], line: str) -> None:
    with capsys.disabled():
        print(line, flush=True)
