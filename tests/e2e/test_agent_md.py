"""The commands of docs/agent.md do what it says, one after the other, on addresses of this machine."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from tests.e2e.stage import free_ports
from tests.e2e.waiting import PATIENCE, until

pytestmark = pytest.mark.docker

PAGE = Path(__file__).parents[2] / "docs" / "agent.md"


def commands() -> list[str]:
    """The command lines of the page, in order."""
    return re.findall(r"^\$ (vaultctl .*)$", PAGE.read_text(encoding="utf-8"), re.M)


class Machines:
    """The controller's machine and the node: a state directory for each."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        (directory / "manifests").mkdir()
        enrolment, agent = free_ports(2)
        self.ports = {"10.0.0.1:9444": f"127.0.0.1:{enrolment}", "10.0.0.2:9443": f"127.0.0.1:{agent}"}

    def words(self, line: str) -> tuple[list[str], Path | None]:
        """The words of a command line, and the file that its output goes to."""
        for theirs, ours in self.ports.items():
            line = line.replace(theirs, ours)
        line, _, target = line.partition(" > ")
        name, *words = shlex.split(line)
        assert name == "vaultctl"
        is_node = words[:2] == ["agent", "run"]
        words += ["--state-dir", str(self.directory / ("node" if is_node else "state"))]
        if is_node:
            words += ["--listen", self.ports["10.0.0.2:9443"]]
        elif words[0] == "run":
            words += ["--listen", "none"]
        return [sys.executable, "-m", "reconciler.cli", *words], self.directory / target if target else None

    def run(self, line: str) -> str:
        words, target = self.words(line)
        done = subprocess.run(
            words, capture_output=True, text=True, timeout=PATIENCE, cwd=self.directory, check=True
        )
        if target:
            target.write_text(done.stdout)
        return done.stdout

    @contextmanager
    def serving(self, line: str, says: str) -> Iterator[None]:
        log = self.directory / "log"
        with log.open("wb") as file:
            process = subprocess.Popen(self.words(line)[0], stderr=file, cwd=self.directory)
        try:

            def said() -> bool:
                assert process.poll() is None, log.read_text()
                return says in log.read_text()

            until(f"it says {says}", said)
            yield
        finally:
            process.terminate()
            assert process.wait(PATIENCE) == 0, log.read_text()


def test_the_commands_of_the_page(tmp_path: Path) -> None:
    machines = Machines(tmp_path)
    controller, token, first, again, listing, removal = commands()
    with ExitStack() as running:
        running.enter_context(machines.serving(controller, "enrolment of agents on"))
        machines.run(token)
        with machines.serving(first, "agent of node node-2 on"):
            pass
        with machines.serving(again, "agent of node node-2 on"):
            header, line = machines.run(listing).splitlines()
            shown = re.search(r"^NODE .*$", PAGE.read_text(encoding="utf-8"), re.M)
            assert shown
            assert header.split() == shown[0].split()
            assert line.split()[:4] == ["node-2", machines.ports["10.0.0.2:9443"], "Answers", "in"]
            machines.run(removal)
            assert "node-2" not in machines.run(listing)
