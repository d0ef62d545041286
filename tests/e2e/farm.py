"""A service whose manifest is in a Git repository: pushes, webhooks, and the controller that follows the branch."""

from __future__ import annotations

import hashlib
import hmac
import http.client
import json
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final

from reconciler.api import find_condition
from tests.e2e.stage import VAULTCTL, Stage, free_port
from tests.e2e.waiting import PATIENCE
from tests.sources.git_repository import Repository, made_in

SECRET: Final = "a secret of the webhook"
PUSHED: Final = json.dumps({"ref": "refs/heads/main"}).encode()


@dataclass
class Farm:
    """A service whose manifest is in a repository, and the controller that follows its branch."""

    stage: Stage
    repository: Repository
    port: int = field(default_factory=free_port)

    @classmethod
    def made(cls, stage: Stage, **spec: object) -> Farm:
        """A farm whose first commit holds the service with this spec."""
        farm = cls(stage, made_in(stage.root))
        (farm.repository.work / "apps").mkdir()
        farm.push(**spec)
        return farm

    def write(self, **spec: object) -> None:
        """Write the manifest into the working copy, without a commit."""
        self.stage.write(**spec)
        shutil.copy(self.stage.manifest, self.repository.work / "apps" / self.stage.manifest.name)

    def push(self, *options: str, **spec: object) -> str:
        """Change the spec by a commit that is pushed."""
        self.write(**spec)
        return self.repository.commit({}, *options)

    def hook(self, secret: str = SECRET, body: bytes = PUSHED) -> int:
        """Tell the controller of a push, as GitHub does; returns the answer's status."""
        signature = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            headers = {"X-GitHub-Event": "push", "X-Hub-Signature-256": f"sha256={signature}"}
            connection.request("POST", "/hooks/git", body, headers)
            return connection.getresponse().status
        finally:
            connection.close()

    def wanted(self) -> str:
        """The commit of the stored object."""
        stored = self.stage.application.objects.get(self.stage.name)
        return stored.origin.commit if stored else ""

    def generation(self) -> int:
        """How often the stored spec has changed."""
        stored = self.stage.application.objects.get(self.stage.name)
        return stored.generation if stored else 0

    def stalled(self) -> str:
        """Why the newest state is not the one that is served."""
        conditions = self.stage.application.objects.status(self.stage.name).conditions
        stalled = find_condition(conditions, "Stalled")
        return stalled.reason if stalled and stalled.status == "True" else ""

    def ready(self) -> bool:
        """Whether the stored spec is what serves."""
        conditions = self.stage.application.objects.status(self.stage.name).conditions
        ready = find_condition(conditions, "Ready")
        return ready is not None and ready.status == "True" and ready.observed_generation == self.generation()

    @contextmanager
    def controller(self, url: str, *options: str, interval: str = "1h") -> Iterator[None]:
        self.stage.secrets.mkdir(exist_ok=True)
        secret = self.stage.secrets / "hook.secret"
        secret.write_text(SECRET)
        secret.chmod(0o600)
        command = [*VAULTCTL, "--state-dir", str(self.stage.state), "run", "--git", url, "--path", "apps"]
        command += ["--interval", interval, "--listen", f"127.0.0.1:{self.port}"]
        command += ["--webhook-secret-file", str(secret), "--secrets-dir", str(self.stage.secrets), *options]
        with (self.stage.root / "controller.log").open("a") as log:
            process = subprocess.Popen(command, stdout=log, stderr=log, env=os.environ | self.stage.env)
        try:
            yield
            process.send_signal(signal.SIGTERM)
            assert process.wait(PATIENCE) == 0
        finally:
            process.kill()
            process.wait()
