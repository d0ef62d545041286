"""A Swarm of several real engines on this machine, each in a network namespace of its own.

A switch, which is a bridge in one more namespace, joins them: in the namespace of the host, the packet filter of its own
engine would drop the frames between the nodes. No node has a default route or knows a name, so a pull fails at once. The
daemons die with the thread that started them; all else is removed by `laboratory` and, after a run that was killed, by
the next one.
"""

from __future__ import annotations

import ctypes
import json
import os
import secrets
import shutil
import signal
import subprocess
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Final

from reconciler.api.kinds import VAULT_GATEWAY, Ref
from reconciler.core.names import GATEWAY_PROJECT
from reconciler.engines.swarm.kept import OBJECT
from tests.e2e.docker_cli import PROJECT
from tests.e2e.waiting import until

START_SECONDS: Final = 60.0
STOP_SECONDS: Final = 60.0
CALL_SECONDS: Final = 60.0
LOAD_SECONDS: Final = 180.0
ROLE_SECONDS: Final = 120.0
NAMESPACES: Final = Path("/var/run/netns")
PREFIX: Final = "vr-swarm-"
"""The beginning of the names of namespaces; the process that made them follows."""
NODE_ADDRESS: Final = "10.215.0.{}"
POOL: Final = "10.216.0.0/16"
"""The addresses of overlay networks."""
REGISTRIES: Final = "10.215.0.0/24"
"""The addresses at which a registry may be without TLS: those of the nodes."""
LOCAL_POOL: Final = "base=10.217.0.0/16,size=24"
STACK: Final = "com.docker.stack.namespace"
CONTROLLER_STATE: Final = "/run/vault-controller"
"""A directory that each node has for itself, for the state of a controller that is a service."""
CLONE_NEWNET: Final = 0x40000000
MEMORY: Final = "2g"
"""The most that the engines of a laboratory may keep in memory; three have some 400 MB there."""

# `ip netns exec` would mount /sys anew, without the cgroups that an engine needs. What is large is not kept in memory:
# images, and what is unpacked of them. An engine that panics, which Go says by 2, is started again, as systemd would.
SCRIPT: Final = """
hostname "$1"
mkdir -p "$2/data"
# The engine would do that itself, and hide what is mounted in it.
mount --bind "$2/data" "$2/data"
for each in image overlay2 tmp; do
    mkdir -p "$3/$each" "$2/data/$each"
    mount --bind "$3/$each" "$2/data/$each"
done
mount -t tmpfs -o mode=0755 tmpfs /run
mkdir /run/vault-controller
mkdir -p /var/lib/vault-agent "$2/agent"
mount --bind "$2/agent" /var/lib/vault-agent
echo 'hosts: files' >"$2/nsswitch.conf"
mount --bind "$2/nsswitch.conf" /etc/nsswitch.conf
pid_file=$2/dockerd.pid
shift 3
code=2
while [ "$code" = 2 ]; do
    # Another process may have its number by now, and the engine would not start.
    rm -f "$pid_file"
    "$@" &
    engine=$!
    trap 'kill -TERM "$engine"' TERM
    code=0
    wait "$engine" || code=$?
    # A signal ends that wait, and not yet the engine.
    while kill -0 "$engine" 2>/dev/null; do
        code=0
        wait "$engine" || code=$?
    done
done
exit "$code"
"""


@dataclass
class Node:
    """One engine. `name` is its hostname, `address` where other nodes reach it, `engine` the program. `root` is
    in memory, and `disk` is not.
    """

    name: str
    namespace: str
    address: str
    root: Path
    disk: Path
    engine: str
    process: subprocess.Popen[bytes] = field(init=False)

    def __post_init__(self) -> None:
        for directory in (self.root, self.disk):
            directory.mkdir()
        # Older engines do not take /dev/null for an empty one.
        (self.root / "daemon.json").write_text("{}")
        self.process = _daemon(self)

    @property
    def host(self) -> str:
        """The URL of its engine."""
        return f"unix://{self.root}/docker.sock"

    def docker(self, *arguments: str, check: bool = True, seconds: float = CALL_SECONDS) -> str:
        """What a docker command prints on this node, without the last line end; with `check` it has to succeed."""
        words = ["docker", "--host", self.host, *arguments]
        done = subprocess.run(words, capture_output=True, text=True, timeout=seconds, check=False)
        ok = not check or done.returncode == 0
        assert ok, f"{self.name}: docker {' '.join(arguments)}: {done.stderr}{self.end_of_log}"
        return done.stdout.strip()

    def kill(self) -> None:
        """End all that runs on this node at once: engine, shims, containers."""
        for pid in processes_of(self.root):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.process.wait(STOP_SECONDS)
        # The kernel may keep the networks of dead containers for a while, and they would answer for the addresses of new
        # ones. A machine that starts has none.
        _remove_links(self.namespace)

    def start(self) -> None:
        """Start the engine again after `kill` or `end`."""
        self.process = _daemon(self)
        until(f"{self.name} answers", partial(_answers, self), START_SECONDS)

    def entered(self) -> AbstractContextManager[None]:
        """The calling thread, and those that it starts, use the network of this node, as a controller on it would."""
        return entered(self.namespace)

    def end(self) -> None:
        """Stop the engine, and with it its containers."""
        self.process.terminate()
        try:
            self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()

    @property
    def end_of_log(self) -> str:
        """What its engine wrote last if it has ended; empty while it runs."""
        code = self.process.poll()
        return "" if code is None else f"dockerd has ended with {code}:\n{self.log}"

    @property
    def log(self) -> str:
        """The last lines that the engine wrote."""
        return "\n".join((self.root / "dockerd.log").read_text().splitlines()[-20:])


@dataclass(frozen=True)
class Machine:
    """A machine on the network of the nodes that is none of them and has no engine."""

    namespace: str
    address: str

    def entered(self) -> AbstractContextManager[None]:
        """The calling thread, and those that it starts, use the network of this machine."""
        return entered(self.namespace)

    def run(self, *words: str) -> str:
        """What a command prints in its network, without the last line end; it has to succeed."""
        inside = ("nsenter", f"--net={NAMESPACES / self.namespace}", *words)
        done = subprocess.run(inside, capture_output=True, text=True, timeout=CALL_SECONDS, check=False)
        assert done.returncode == 0, f"{' '.join(words)}: {done.stdout}{done.stderr}"
        return done.stdout.strip()


@contextmanager
def entered(namespace: str) -> Iterator[None]:
    """The calling thread, and those that it starts, use this network."""
    assert threading.current_thread() is threading.main_thread(), "/proc/net is that of the main thread"
    before = os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    inside = os.open(NAMESPACES / namespace, os.O_RDONLY | os.O_CLOEXEC)
    try:
        _enter(inside)
        yield
    finally:
        _enter(before)
        os.close(inside)
        os.close(before)


@dataclass(frozen=True)
class Laboratory:
    """A Swarm of which all nodes are managers; the first one made it."""

    nodes: tuple[Node, ...]
    switch: str = ""
    _loaded: set[str] = field(default_factory=set)

    def load(self, *images: str) -> None:
        """Give all nodes images of the host's engine, unless they have them."""
        if missing := [image for image in images if image not in self._loaded]:
            archive = self.first.disk.parent / "more.tar"
            _run("docker", "save", "--output", str(archive), *missing, seconds=LOAD_SECONDS)
            _load(archive, self.nodes)
            archive.unlink()
            self._loaded.update(missing)

    @contextmanager
    def cut_off(self, node: Node) -> Iterator[None]:
        """Take a node's network cable out, and put it in again."""
        port = f"port{self.nodes.index(node) + 1}"
        _ip("-n", self.switch, "link", "set", port, "down")
        try:
            yield
        finally:
            _ip("-n", self.switch, "link", "set", port, "up")

    @contextmanager
    def machine(self, number: int, pid: int = 0) -> Iterator[Machine]:
        """One more machine, with this number among the addresses. With `pid` it has the network of that process."""
        with ExitStack() as ending:
            namespace = _namespace(ending, str(number), pid)
            machine = Machine(namespace, _joined(self.switch, namespace, number))
            ending.callback(_ip, "-n", self.switch, "link", "delete", f"port{number}")
            yield machine

    def is_whole(self) -> bool:
        """Whether each node is there, and one of them leads."""
        said = self.first.docker("node", "ls", "--format", "{{.Status}} {{.ManagerStatus}}", check=False)
        rows = said.splitlines()
        managers = {"Ready Leader", "Ready Reachable"}
        return len(rows) == len(self.nodes) and set(rows) <= managers and "Ready Leader" in rows

    @property
    def first(self) -> Node:
        """The node that a controller runs on."""
        return self.nodes[0]

    def promote(self, node: Node, by: Node) -> None:
        """Make a node a manager. Refused while it has not taken its former role yet, and while no node leads."""

        def is_manager() -> bool:
            return "manager" in by.docker("node", "promote", node.name, check=False)

        until(f"{node.name} is a manager", is_manager, ROLE_SECONDS)

    def container_of(self, service: str) -> tuple[Node, str] | None:
        """The container of the newest task of a service, and the node that it is on; None if it has none yet."""
        ids = self.first.docker("service", "ps", "--quiet", "--no-trunc", service, check=False).split()
        for task in json.loads(self.first.docker("inspect", "--type=task", *ids[:1])) if ids else ():
            if container := (task["Status"].get("ContainerStatus") or {}).get("ContainerID"):
                names = json.loads(self.first.docker("node", "inspect", task["NodeID"]))
                hostname = names[0]["Description"]["Hostname"]
                return next(node for node in self.nodes if node.name == hostname), container
        return None

    def remove_project(self, project: str) -> None:
        """Remove all that the Swarm and its nodes have of a project, whatever state a test left it in."""
        stack, compose = f"--filter=label={STACK}={project}", f"--filter=label={PROJECT}={project}"
        if services := self.first.docker("service", "ls", "--quiet", stack).split():
            self.first.docker("service", "rm", *services)
        for node in self.nodes:
            for label in (stack, compose):
                if containers := node.docker("ps", "--all", "--quiet", label).split():
                    node.docker("rm", "--force", "--volumes", *containers, check=False)
        for kind in ("secret", "config", "network", "volume"):
            self._remove(kind, stack, compose)
        self._remove("config", f"--filter=label={OBJECT}={_object_of(project)}")

    def _remove(self, kind: str, *labels: str) -> None:
        for node in self.nodes if kind == "volume" else self.nodes[:1]:
            for label in labels:
                until(f"no {kind} is left", partial(_is_empty, node, kind, label))


@contextmanager
def laboratory(
    images: Sequence[str], size: int = 3, *, joined: bool = True, engine: str = "dockerd"
) -> Iterator[Laboratory]:
    """A Swarm of so many nodes, each with these images of the host's engine; only the engines, unless they are `joined`.
    `engine` is their program.
    """
    _sweep()
    with ExitStack() as ending:
        disk = _directory(ending)
        root = _in_memory(ending)
        archive = disk / "images.tar"
        if images:
            _run("docker", "save", "--output", str(archive), *images, seconds=LOAD_SECONDS)
        switch = _namespace(ending, "switch")
        _ip("-n", switch, "link", "add", "switch", "type", "bridge")
        _ip("-n", switch, "link", "set", "switch", "up")
        nodes = tuple(_node(ending, root, disk, switch, number, engine) for number in range(1, size + 1))
        for node in nodes:
            until(f"{node.name} answers", partial(_answers, node), START_SECONDS)
        _load(archive, nodes if images else ())
        if not joined:
            yield Laboratory(nodes, switch)
            return
        first, *others = nodes
        pool = ("--default-addr-pool", POOL, "--default-addr-pool-mask-length", "24")
        first.docker("swarm", "init", "--advertise-addr", first.address, *pool)
        token = first.docker("swarm", "join-token", "--quiet", "manager")
        for node in others:
            words = ("--token", token, "--advertise-addr", node.address, f"{first.address}:2377")
            node.docker("swarm", "join", *words)
        ready = ["Ready"] * size
        until(
            "all nodes are ready",
            lambda: first.docker("node", "ls", "--format", "{{.Status}}").split() == ready,
            START_SECONDS,
        )
        yield Laboratory(nodes, switch)


def _directory(ending: ExitStack) -> Path:
    path = Path(tempfile.mkdtemp(prefix=PREFIX))
    ending.callback(shutil.rmtree, path, ignore_errors=True)
    return path


def _in_memory(ending: ExitStack) -> Path:
    """A directory in memory. Managers of a Swarm have each step on their disk before they go on, so that three that wait
    for one busy disk lose their leader.
    """
    path = _directory(ending)
    options = f"size={MEMORY},mode=0700"
    _run("mount", "-t", "tmpfs", "-o", options, f"{PREFIX}{os.getpid()}", str(path))
    ending.callback(_run, "umount", "--lazy", str(path))
    return path


def _node(ending: ExitStack, root: Path, disk: Path, switch: str, number: int, engine: str) -> Node:
    namespace = _namespace(ending, str(number))
    address = _joined(switch, namespace, number)
    name = f"node{number}"
    node = Node(name, namespace, address, root / name, disk / name, engine)
    ending.callback(node.end)
    return node


def _joined(switch: str, namespace: str, number: int) -> str:
    """Connect a namespace to the switch, and return its address there."""
    address, port = NODE_ADDRESS.format(number), f"port{number}"
    pair = ("type", "veth", "peer", "name", "eth0", "netns", namespace)
    _ip("-n", switch, "link", "add", port, *pair)
    _ip("-n", switch, "link", "set", port, "master", "switch", "up")
    _ip("-n", namespace, "address", "add", f"{address}/24", "dev", "eth0")
    for device in ("lo", "eth0"):
        _ip("-n", namespace, "link", "set", device, "up")
    return address


def _remove_links(namespace: str) -> None:
    """Remove the bridges and cables that an engine has made, but not the node's own cable."""
    ip = ("ip", "-n", namespace)
    for kind in ("bridge", "veth"):
        said = subprocess.run(
            [*ip, "-json", "link", "show", "type", kind], capture_output=True, check=True, timeout=30
        )
        for name in {link["ifname"] for link in json.loads(said.stdout or "[]")} - {"eth0"}:
            # It may go by itself just now.
            subprocess.run([*ip, "link", "delete", name], capture_output=True, check=False, timeout=30)


def _daemon(node: Node) -> subprocess.Popen[bytes]:
    home = node.root
    options = (
        f"--host={node.host}",
        # Where containers of this node find it, from its first moment: else an agent would be led to the host's engine.
        "--host=unix:///run/docker.sock",
        f"--data-root={home}/data",
        f"--exec-root={home}/exec",
        f"--pidfile={home}/dockerd.pid",
        f"--config-file={home}/daemon.json",
        "--userland-proxy=false",
        f"--default-address-pool={LOCAL_POOL}",
        f"--insecure-registry={REGISTRIES}",
    )
    words = ["setpriv", "--pdeathsig", "TERM", "nsenter", f"--net={NAMESPACES / node.namespace}"]
    words += ["unshare", "--mount", "--uts", "sh", "-ec", SCRIPT, "sh", node.name, str(home), str(node.disk)]
    with (home / "dockerd.log").open("ab") as log:
        return subprocess.Popen(
            [*words, node.engine, *options], stdout=log, stderr=log, start_new_session=True
        )


def processes_of(*roots: Path) -> set[int]:
    """The processes that name one of these directories, such as that of a node, and all that they have started."""
    found = set()
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            words = path.read_bytes()
            if any(f"{root}/".encode() in words for root in roots):
                found.add(int(path.parent.name))
    return _with_descendants(found - {os.getpid()})


def _with_descendants(pids: set[int]) -> set[int]:
    parents = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            parents[int(path.parent.name)] = int(path.read_text().rpartition(")")[2].split()[1])
    found = set(pids)
    while more := {pid for pid, parent in parents.items() if parent in found} - found:
        found |= more
    return found


def _load(archive: Path, nodes: Sequence[Node]) -> None:
    """Give images to nodes, side by side."""
    loads = [
        subprocess.Popen(
            ["docker", "--host", node.host, "load", "--quiet", "--input", str(archive)],
            stdout=subprocess.DEVNULL,
        )
        for node in nodes
    ]
    failed = [load.args for load in loads if load.wait(LOAD_SECONDS)]
    assert not failed, f"an image was not loaded: {failed}"


def _object_of(project: str) -> str:
    """The label of the object that a project is of."""
    if project.startswith(GATEWAY_PROJECT):
        return Ref(VAULT_GATEWAY, project.removeprefix(GATEWAY_PROJECT)).label
    return project.removeprefix("vault-")


def _is_empty(node: Node, kind: str, label: str) -> bool:
    """Whether a node has none of these after another try to remove them: a task that ends may still use them."""
    if names := node.docker(kind, "ls", "--quiet", label).split():
        node.docker(kind, "rm", *names, check=False)
    return not names


def _answers(node: Node) -> bool:
    assert node.process.poll() is None, f"dockerd of {node.name} has ended: {node.log}"
    return bool(node.docker("version", "--format", "{{.Server.Version}}", check=False))


def _namespace(ending: ExitStack, name: str, pid: int = 0) -> str:
    full = f"{PREFIX}{os.getpid()}-{name}-{secrets.token_hex(2)}"
    _ip("netns", *(("attach", full, str(pid)) if pid else ("add", full)))
    ending.callback(_ip, "netns", "delete", full)
    return full


def _sweep() -> None:
    """Remove the namespaces and the memory of runs that were killed; their engines have ended with them."""
    for path in NAMESPACES.glob(f"{PREFIX}*"):
        if _has_ended(path.name):
            _ip("netns", "delete", path.name)
    for line in Path("/proc/mounts").read_text().splitlines():
        source, directory, *_ = line.split()
        if source.startswith(PREFIX) and _has_ended(source):
            _run("umount", "--lazy", directory)
            shutil.rmtree(directory, ignore_errors=True)


def _has_ended(name: str) -> bool:
    """Whether the process that made something of this name is gone."""
    try:
        os.kill(int(name.removeprefix(PREFIX).partition("-")[0]), 0)
    except ProcessLookupError:
        return True
    except ValueError:
        return False
    return False


def _enter(descriptor: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.setns(descriptor, CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), "setns")


def _ip(*words: str) -> None:
    _run("ip", *words)


def _run(*words: str, seconds: float = CALL_SECONDS) -> None:
    done = subprocess.run(words, capture_output=True, text=True, timeout=seconds, check=False)
    assert done.returncode == 0, f"{' '.join(words)}: {done.stderr}"
