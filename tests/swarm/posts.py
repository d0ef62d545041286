"""Controllers on several nodes of a laboratory, with one directory of manifests, and a witness for each."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from reconciler.api import find_condition
from reconciler.wiring import Options, wire
from tests.e2e.stage import VAULTCTL, Stage
from tests.e2e.waiting import PATIENCE, until
from tests.swarm.laboratory import NAMESPACES, Laboratory, Node
from tests.swarm.witness import Witness

__all__ = ["AHEAD", "Post", "posts"]

AHEAD: Final = (
    *("unshare", "--time", "--fork", "--kill-child", "--boottime", "3600", "--monotonic", "3600"),
    *(sys.executable, "-m", "tests.swarm.ahead"),
)
"""`vaultctl` on a machine whose clocks are an hour ahead."""
KEY: Final = "revision.key"


@dataclass
class Post:
    """A controller on a node, with a state directory of its own."""

    node: Node
    stage: Stage
    root: Path
    command: Sequence[str] = VAULTCTL
    process: subprocess.Popen[bytes] | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        self.state.mkdir(parents=True)
        self.witness = Witness(self.root / "engine.sock", self.node.host, self.node.name)

    @property
    def state(self) -> Path:
        """Its state directory."""
        return self.root / "state"

    @property
    def log(self) -> str:
        """What it has written so far."""
        path = self.root / "controller.log"
        return path.read_text() if path.exists() else ""

    @property
    def acts(self) -> bool:
        """Whether it said last that it acts."""
        lines = [line for line in self.log.splitlines() if "the lease of the Swarm" in line]
        return bool(lines) and "this controller" in lines[-1]

    def start(self, key_of: Post | None = None) -> None:
        """Start it, with the key of revisions of another one."""
        if key_of is not None:
            shutil.copy(key_of.state / KEY, self.state / KEY)
        words = ("nsenter", f"--net={NAMESPACES / self.node.namespace}", *self.command)
        follow = ("run", "-f", str(self.stage.manifests), "--listen", "127.0.0.1:0", "--engine", "swarm")
        environment = os.environ | self.stage.env | {"DOCKER_HOST": self.witness.url}
        with (self.root / "controller.log").open("ab") as log:
            self.process = subprocess.Popen(
                [*words, "--state-dir", str(self.state), *follow], stdout=log, stderr=log, env=environment
            )

    def signal(self, number: int) -> None:
        """Send a signal to it, and to what it runs."""
        assert self.process is not None
        self.process.send_signal(number)

    def kill(self) -> None:
        """End it at once."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()

    def serves(self, version: str) -> bool:
        """Whether it says of the newest manifest that it is reached."""
        objects = wire(Options(self.state)).objects
        stored = objects.get(self.stage.name)
        if stored is None or stored.resource.spec.env.get("VERSION") != version:
            return False
        ready = find_condition(objects.status(self.stage.name).conditions, "Ready")
        return ready is not None and (ready.status, ready.observed_generation) == ("True", stored.generation)

    def reached(self, version: str, within: float = PATIENCE) -> None:
        """Wait until it has made the service as the manifest with this version says."""
        try:
            until(f"{self.node.name} has brought version {version}", lambda: self.serves(version), within)
        except AssertionError as error:
            raise AssertionError(f"{error}\n" + "\n".join(self.log.splitlines()[-60:])) from None

    def stands_by(self) -> None:
        """Wait until it says that it does not act."""
        until(
            f"{self.node.name} stands by",
            lambda: " holds the lease of the Swarm" in self.log and not self.acts,
        )

    def takes_over(self, within: float) -> float:
        """Wait until it acts; returns the seconds that this took."""
        begun = time.monotonic()
        try:
            until(f"{self.node.name} acts", lambda: self.acts, within)
        except AssertionError as error:
            raise AssertionError(f"{error}\n" + "\n".join(self.log.splitlines()[-60:])) from None
        return time.monotonic() - begun

    def close(self) -> None:
        """End it and its witness."""
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
            # `unshare` takes no notice of a request to end.
            if self.command is VAULTCTL:
                self.process.terminate()
                with suppress(subprocess.TimeoutExpired):
                    self.process.wait(PATIENCE)
            self.kill()
        self.witness.close()


@contextmanager
def posts(lab: Laboratory, stage: Stage, count: int = 2) -> Iterator[list[Post]]:
    """A controller for each of the first nodes, not started yet; all but the first have clocks an hour ahead."""
    with ExitStack() as ending:
        ending.callback(lab.remove_project, stage.project)
        found = []
        for number, node in enumerate(lab.nodes[:count]):
            post = Post(node, stage, stage.root / f"post{number + 1}", VAULTCTL if number == 0 else AHEAD)
            ending.callback(post.close)
            found.append(post)
        yield found
