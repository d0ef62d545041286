"""A second dockerd for Swarm, which does not support live-restore, although our users need live-restore.

It has its own directories, addresses and bridge: without a bridge, dockerd would remove docker0 of the other engine. It
does not change the host's packet filter, because two daemons would flush each other's rules; its userland proxy publishes
ports.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

START_SECONDS: Final = 30.0
STOP_SECONDS: Final = 60.0
LOAD_SECONDS: Final = 120.0
LOOK_SECONDS: Final = 0.1
ADDRESSES: Final = "base=10.213.0.0/16,size=24"
BRIDGE: Final = "vr-bench0"
BRIDGE_ADDRESS: Final = "10.214.0.1/24"
SWARM_BRIDGE: Final = "docker_gwbridge"
"""Network devices that a Swarm creates in the host's namespace and does not remove."""


class EngineRefusedError(Exception):
    """A second engine cannot run here; has the reason."""


@contextmanager
def private_engine(images: Sequence[str]) -> Iterator[str]:
    """The URL of a separate engine with these images; it is stopped afterwards, with its containers.

    Raises EngineRefusedError.
    """
    for program in ("dockerd", "ip"):
        if shutil.which(program) is None:
            raise EngineRefusedError(f"a second engine needs `{program}`, which is not installed")
    if _ip("link", "show", SWARM_BRIDGE):
        raise EngineRefusedError("this machine is part of a Swarm already")
    root = Path(tempfile.mkdtemp(prefix="vr-engine-"))
    url = f"unix://{root}/docker.sock"
    options = (
        f"--host={url}",
        f"--data-root={root}/data",
        f"--exec-root={root}/exec",
        f"--pidfile={root}/dockerd.pid",
        "--config-file=/dev/null",
        f"--bridge={BRIDGE}",
        "--iptables=false",
        "--ip6tables=false",
        "--userland-proxy=true",
        f"--default-address-pool={ADDRESSES}",
    )
    _ip("link", "add", BRIDGE, "type", "bridge")
    _ip("address", "add", BRIDGE_ADDRESS, "dev", BRIDGE)
    _ip("link", "set", BRIDGE, "up")
    with (root / "dockerd.log").open("w") as log:
        daemon = subprocess.Popen(["dockerd", *options], stdout=log, stderr=log)
    try:
        _wait(url, daemon, root / "dockerd.log")
        _load(url, images)
        yield url
    finally:
        daemon.terminate()
        try:
            daemon.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            daemon.kill()
            daemon.wait()
        for bridge in (BRIDGE, SWARM_BRIDGE):
            _ip("link", "delete", bridge)
        shutil.rmtree(root, ignore_errors=True)


def _ip(*words: str) -> bool:
    """Whether the command succeeded; dockerd itself reports a missing bridge."""
    return subprocess.run(["ip", *words], capture_output=True, check=False).returncode == 0


def _wait(url: str, daemon: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while subprocess.run(["docker", "--host", url, "info"], capture_output=True, check=False).returncode:
        if daemon.poll() is not None or time.monotonic() > deadline:
            raise EngineRefusedError(f"a second dockerd does not start: {log.read_text().splitlines()[-1]}")
        time.sleep(LOOK_SECONDS)


def _load(url: str, images: Sequence[str]) -> None:
    with subprocess.Popen(["docker", "save", *images], stdout=subprocess.PIPE) as save:
        load = ["docker", "--host", url, "load", "--quiet"]
        done = subprocess.run(load, stdin=save.stdout, capture_output=True, timeout=LOAD_SECONDS, check=False)
    if done.returncode:
        raise EngineRefusedError(
            f"the second engine does not take the images: {done.stderr.decode().strip()}"
        )
