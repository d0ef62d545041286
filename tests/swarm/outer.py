"""What leads clients to the nodes of a gateway, as docs/swarm.md configures it: keepalived, DNS, a balancer in front."""

from __future__ import annotations

import asyncio
import json
import os
import re
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

import yaml

from tests.certificates.pebble import programs
from tests.e2e.docker_cli import docker
from tests.e2e.load import Connection, Load, LostError, Shot
from tests.e2e.page_commands import DOCS
from tests.e2e.waiting import until
from tests.swarm.laboratory import NAMESPACES, Laboratory, Machine, Node

__all__ = [
    "READY_PATH",
    "VIRTUAL",
    "behind_balancer",
    "clients",
    "gateway_spec",
    "keepalived",
    "nameserver",
    "outer_haproxy",
    "provided",
    "resolving",
]

ROOT: Final = Path(__file__).parents[2]
TEXT: Final = (DOCS / "swarm.md").read_text(encoding="utf-8")
SECTION: Final = TEXT[TEXT.index("### Which node clients use") : TEXT.index("## Nodes\n")]
FILES: Final = {
    text.partition("\n")[0].strip("#; "): text
    for text in re.findall(r"^```conf\n(.*?)^```", SECTION, re.MULTILINE | re.DOTALL)
}
"""The files of the page, by their first line."""
MANIFESTS: Final = [
    yaml.safe_load(text) for text in re.findall(r"^```yaml\n(.*?)^```", SECTION, re.MULTILINE | re.DOTALL)
]
READY_PATH: Final = str(MANIFESTS[0]["spec"]["readiness"]["path"])
BALANCER: Final = 10
"""The last number of the balancer's address, on the page and in the laboratory."""
VIRTUAL: Final = "10.215.0.100"
THEIRS: Final = re.compile(r"\b10\.0\.0\.(\d+)")
PROVIDING_SECONDS: Final = 400.0
ENDING_SECONDS: Final = 20.0
CONNECT_SECONDS: Final = 1.0
"""For how long a client waits for a connection to one of several addresses."""
PATIENCE: Final = 20.0
"""For how long a client waits for an answer: a node that is gone does not say that there will be none."""


def ours(text: str, port: int) -> str:
    """A file of the page with the addresses of the laboratory, and the port of a gateway instead of 80."""
    here = THEIRS.sub(r"10.215.0.\1", text)
    return re.sub(r"(?<=bind ):80$|(?<=\d):80$", f":{port}", here, flags=re.MULTILINE).replace(
        f"127.0.0.1{READY_PATH}", f"127.0.0.1:{port}{READY_PATH}"
    )


def gateway_spec() -> Mapping[str, Any]:
    """What the gateway of the page says for all three."""
    return {"readiness": MANIFESTS[0]["spec"]["readiness"]}


def behind_balancer(port: int) -> Mapping[str, Any]:
    """What the gateway of the page says behind the balancer."""
    spec = MANIFESTS[1]["spec"]
    return {
        "trustedProxies": [ours(each, port) for each in spec["trustedProxies"]],
        "listeners": [{**each, "port": port} for each in spec["listeners"]],
    }


class Clients(Load):
    """Clients that try one address after the other, and keep no idle connection once one of them has failed."""

    async def _connect(self) -> Connection:
        first = self.addresses.index(next(self._turns))
        for address in self.addresses[first:] + self.addresses[:first]:
            try:
                async with asyncio.timeout(CONNECT_SECONDS if len(self.addresses) > 1 else None):
                    return Connection(*await asyncio.open_connection(address, self.port), address)
            except OSError:
                self._let_go(address)
        raise LostError("no address gives a connection")

    async def _request(self, shot: Shot) -> None:
        try:
            await super()._request(shot)
        except (OSError, EOFError):
            self._let_go(*self.addresses)
            raise

    def _let_go(self, *addresses: str) -> None:
        for connection in self._idle:
            if connection.address in addresses:
                connection.close()
        self._idle = [each for each in self._idle if each.address not in addresses]


@contextmanager
def clients(machine: Machine, port: int, rate: float, *addresses: str) -> Iterator[Load]:
    """Load from a machine that is no node."""
    load = Clients(port, rate, patience=PATIENCE, addresses=addresses)
    with ExitStack() as ending:
        with machine.entered():
            # Its thread keeps this network.
            ending.enter_context(load)
        yield load


# keepalived


@dataclass
class Keepalived:
    """keepalived on each node; those that come first in `nodes` have the higher priority."""

    nodes: Sequence[Node]
    port: int
    processes: dict[str, subprocess.Popen[bytes]]

    def start(self, node: Node) -> None:
        """Start that of a node, which has booted: it has none of the addresses that move."""
        if former := self.processes.get(node.name):
            former.wait(ENDING_SECONDS)
        home = node.root / "keepalived"
        home.mkdir(exist_ok=True)
        here = ("ip", "-n", node.namespace, "address", "delete", f"{VIRTUAL}/32", "dev", "eth0")
        subprocess.run(here, capture_output=True, timeout=ENDING_SECONDS, check=False)
        priority = 100 - 10 * list(self.nodes).index(node)
        text = ours(FILES["/etc/keepalived/keepalived.conf"], self.port)
        (home / "keepalived.conf").write_text(text.replace("priority 100", f"priority {priority}"))
        pids = (f"--pid={home}/pid", f"--vrrp_pid={home}/vrrp.pid", f"--checkers_pid={home}/checkers.pid")
        words = (
            "nsenter", f"--net={NAMESPACES / node.namespace}", _program(),
            "--dont-fork", "--log-console", "--vrrp", f"--use-file={home}/keepalived.conf", *pids,
        )  # fmt: skip
        with (home / "log").open("ab") as log:
            self.processes[node.name] = subprocess.Popen(words, stdout=log, stderr=log)

    def holder(self) -> Node | None:
        """The node that has the address, if it is one only."""
        found = [node for node in self.nodes if self._has_it(node)]
        return found[0] if len(found) == 1 else None

    def _has_it(self, node: Node) -> bool:
        process = self.processes.get(node.name)
        words = ("ip", "-n", node.namespace, "-o", "address", "show", "to", VIRTUAL)
        done = subprocess.run(words, capture_output=True, timeout=ENDING_SECONDS, check=True)
        return bool(done.stdout) and process is not None and process.poll() is None

    def log(self) -> str:
        """What they have written."""
        return "\n".join(
            f"{node.name}:\n{(node.root / 'keepalived' / 'log').read_text()[-3000:]}" for node in self.nodes
        )


@contextmanager
def keepalived(nodes: Sequence[Node], port: int) -> Iterator[Keepalived]:
    """keepalived on these nodes, of which the first one gets the address."""
    made = Keepalived(nodes, port, {})
    try:
        made.start(nodes[0])
        until("the first node has the address", lambda: made.holder() is nodes[0])
        for node in nodes[1:]:
            made.start(node)
        yield made
    finally:
        for process in made.processes.values():
            process.terminate()
        for process in made.processes.values():
            process.wait(ENDING_SECONDS)


@cache
def _program() -> str:
    """The path of keepalived."""
    words = [ROOT / "scripts" / "keepalived"]
    found = subprocess.run(words, capture_output=True, text=True, timeout=PROVIDING_SECONDS, check=False)
    assert found.returncode == 0, found.stderr
    return found.stdout.splitlines()[-1]


def provided() -> None:
    """Have the programs; the first time they are fetched, which a namespace without a network cannot."""
    _program()
    programs()


# DNS


@contextmanager
def nameserver(machine: Machine, directory: Path, name: str, addresses: Sequence[str]) -> Iterator[None]:
    """A DNS server on a machine that knows these addresses of a name."""
    words = [
        "nsenter", f"--net={NAMESPACES / machine.namespace}", str(programs() / "pebble-challtestsrv"),
        "-defaultIPv4", "", "-defaultIPv6", "", "-dns01", f"{machine.address}:53",
        "-http01", "", "-https01", "", "-tlsalpn01", "", "-doh", "", "-management", "127.0.0.1:8055",
    ]  # fmt: skip
    (directory / "resolv.conf").write_text(f"nameserver {machine.address}\noptions timeout:2\n")
    (directory / "nsswitch.conf").write_text("hosts: files dns\n")
    with (directory / "dns.log").open("ab") as log:
        process = subprocess.Popen(words, stdout=log, stderr=log)
    try:
        record = json.dumps({"host": f"{name}.", "addresses": list(addresses)})
        ask = ("curl", "--silent", "--retry", "10", "--retry-connrefused", "--max-time", "30")
        machine.run(*ask, "--data", record, "http://127.0.0.1:8055/add-a")
        yield
    finally:
        process.kill()
        process.wait()


RESOLVING: Final = """
mount --bind "$1/resolv.conf" /etc/resolv.conf
mount --bind "$1/nsswitch.conf" /etc/nsswitch.conf
shift
exec "$@"
"""


def resolving(machine: Machine, directory: Path, *words: str) -> str:
    """What a command prints on a machine that asks this DNS server."""
    return machine.run("unshare", "--mount", "sh", "-ec", RESOLVING, "sh", str(directory), *words)


# A balancer in front


ENGINE: Final = os.environ.get("DOCKER_HOST", "unix:///var/run/docker.sock")
"""The engine of this machine, also while commands reach that of a node."""
CONFIG: Final = "/usr/local/etc/haproxy/haproxy.cfg"


@contextmanager
def outer_haproxy(lab: Laboratory, port: int, directory: Path) -> Iterator[Machine]:
    """The HAProxy of the page on a machine of its own."""
    text = directory / "haproxy.cfg"
    text.write_text(ours(FILES["/etc/haproxy/haproxy.cfg"], port))
    text.chmod(0o644)
    name = f"vr-outer-{os.getpid()}"
    here = ("--host", ENGINE)
    docker(*here, "run", "--detach", f"--name={name}", "--network=none", "haproxy:3.0", "sleep", "infinity")
    try:
        pid = int(docker(*here, "inspect", "--format={{.State.Pid}}", name))
        with lab.machine(BALANCER, pid) as machine:
            docker(*here, "cp", str(text), f"{name}:{CONFIG}")
            docker(*here, "exec", name, "haproxy", "-c", "-f", CONFIG)
            docker(*here, "exec", "--detach", name, "haproxy", "-W", "-db", "-f", CONFIG)
            yield machine
    finally:
        docker(*here, "rm", "--force", name)
