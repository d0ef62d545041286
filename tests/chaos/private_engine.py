"""An engine for destructive tests: a second dockerd with its own directories and network namespace.

It runs in the namespace of this process, so `apart` first starts this process in a new one. In the machine's own namespace
it would change the firewall chains of the other engine.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from tests.e2e.docker_cli import docker
from tests.e2e.waiting import until

IMAGES: Final = ("vault-reconciler/whoami:latest", "haproxy:3.0")
ARCHIVE: Final = "images.tar"
STOP_SECONDS: Final = 60.0


class PrivateEngine:
    """A dockerd whose files are below `root`. Its log is `root`/dockerd.log."""

    def __init__(self, root: Path, options: Sequence[str]) -> None:
        self._root = root
        self._options = options
        self.url = f"unix://{root}/docker.sock"
        self.process = self._spawn()

    def start(self) -> None:
        """Start it again, and wait until it answers."""
        self.process = self._spawn()
        self.wait()

    def wait(self) -> None:
        """Return when it answers."""
        until("dockerd answers", lambda: docker("version", "--format={{.Server.Version}}", check=False))

    def end(self, signum: signal.Signals) -> None:
        """Send this signal and wait for the end of the process, which may take its containers along or not."""
        self.process.send_signal(signum)
        self.process.wait(STOP_SECONDS)

    def _spawn(self) -> subprocess.Popen[bytes]:
        command = [
            "dockerd",
            f"--host={self.url}",
            f"--data-root={self._root}/data",
            f"--exec-root={self._root}/exec",
            f"--pidfile={self._root}/dockerd.pid",
            f"--config-file={self._root}/daemon.json",
            # Compose makes networks of its own; the default one would want addresses that the machine's has.
            "--bridge=none",
            *self._options,
        ]
        with (self._root / "dockerd.log").open("ab") as log:
            return subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL)


@contextmanager
def private_engine(root: Path, options: Sequence[str]) -> Iterator[PrivateEngine]:
    """An engine below `root` that has the images of `save_images`; DOCKER_HOST names it while the block runs."""
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True, timeout=10)
    (root / "daemon.json").write_text("{}")
    engine = PrivateEngine(root, options)
    os.environ["DOCKER_HOST"] = engine.url
    try:
        engine.wait()
        if not docker("images", "--quiet"):
            docker("load", "--quiet", "--input", str(root / ARCHIVE))
        yield engine
    finally:
        del os.environ["DOCKER_HOST"]
        with suppress(ProcessLookupError):
            engine.end(signal.SIGTERM)
        # dockerd mounts its own directory onto itself, and leaves that behind.
        subprocess.run(["umount", str(root / "data")], check=False, capture_output=True, timeout=10)


@contextmanager
def home_of_engines() -> Iterator[Path]:
    """A directory for private engines, one after the other, with the images that the machine's engine has."""
    # Short, because the path of a UNIX socket may have no more than 107 characters; not in /tmp, which may be in memory.
    root = Path("/var/tmp") / f"vr-{os.getpid()}"
    root.mkdir()
    try:
        docker("save", "--output", str(root / ARCHIVE), *IMAGES)
        yield root
    finally:
        shutil.rmtree(root, ignore_errors=True)
