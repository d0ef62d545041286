"""A served state directory without a controller, and the real kubectl."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

from click.testing import CliRunner

from reconciler.api import parse
from reconciler.cli.api_options import ApiFlags
from reconciler.cli.api_serving import serving_api
from reconciler.cli.root import root
from reconciler.cli.session import Session
from reconciler.store.base import Origin
from reconciler.wiring import Application, Options, wire
from tests.web.kube.instances import FakeEngine, FakeInstances, FakeRegistries

ROOT = Path(__file__).parents[3]
SECONDS = 60.0
NOW = datetime(2026, 5, 1, 12, 0, tzinfo=UTC)


@cache
def program() -> Path:
    """Debian's kubectl."""
    done = subprocess.run(
        [ROOT / "scripts" / "kubectl"], capture_output=True, text=True, timeout=400, check=False
    )
    assert done.returncode == 0, done.stderr
    return Path(done.stdout.splitlines()[-1])


@dataclass(frozen=True)
class Cluster:
    """A state directory and the API over it."""

    application: Application
    url: str
    home: Path

    @property
    def state(self) -> Path:
        return self.application.options.state_dir

    def vaultctl(self, *words: str) -> str:
        """The output of a verb that is to succeed."""
        session = Session(state_dir=self.state)
        done = CliRunner().invoke(root, list(words), obj=session, catch_exceptions=False)
        assert done.exit_code == 0, done.output
        return done.stdout

    def kubeconfig(self, role: str) -> Path:
        """A kubeconfig with that role, made once."""
        path = self.home / f"{role}.kubeconfig"
        if not path.exists():
            path.write_text(self.vaultctl("kubeconfig", "--role", role, "--user", role, "--server", self.url))
        return path

    def kubectl(self, *words: str, role: str = "admin", stdin: str = "") -> subprocess.CompletedProcess[str]:
        """The result of a command line of kubectl."""
        return subprocess.run(
            self.line(*words, role=role),
            input=stdin,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=SECONDS,
            check=False,
            env=self.environment(),
        )

    def follow(self, *words: str, role: str = "admin") -> subprocess.Popen[str]:
        """A command line of kubectl that goes on."""
        return subprocess.Popen(
            self.line(*words, role=role),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            env=self.environment(),
        )

    def apply(self, text: str, origin: str = "apply") -> None:
        """Store manifests as `vaultctl apply` or a source does."""
        path = self.home / "manifest.yaml"
        for manifest in parse(text, path):
            resource = manifest.resource
            objects = self.application.objects.of(resource.of_kind)
            objects.apply(resource, Origin(origin, f"{origin}-place", path, manifest.line))  # type: ignore[arg-type]

    def until(self, what: Callable[[], Any]) -> Any:
        """The first true result."""
        deadline = time.monotonic() + SECONDS
        while not (found := what()):
            assert time.monotonic() < deadline, "it did not come"
            time.sleep(0.05)
        return found

    def line(self, *words: str, role: str = "admin") -> list[str]:
        """A command line of kubectl."""
        return [str(program()), "--kubeconfig", str(self.kubeconfig(role)), *words]

    def environment(self) -> dict[str, str]:
        """Its environment."""
        return {"HOME": str(self.home), "PATH": os.environ["PATH"], "KUBE_EDITOR": str(self.home / "editor")}


@contextmanager
def served(
    state: Path,
    home: Path,
    listen: str = "127.0.0.1:0",
    instances: FakeInstances | None = None,
    flags: ApiFlags | None = None,
) -> Iterator[Cluster]:
    """A cluster, until the block ends; containers are those of a list."""
    state.mkdir(mode=0o711, exist_ok=True)
    application = wire(Options(state_dir=state))
    application.__dict__["engine"] = FakeEngine(instances or FakeInstances())
    application.__dict__["registries"] = FakeRegistries()
    with serving_api(application, listen, flags=flags) as url:
        yield Cluster(application, url, home)
