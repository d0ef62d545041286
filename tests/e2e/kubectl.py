"""kubectl, and a client that reads lists and watches as they come, for the API of a stage's controller."""

from __future__ import annotations

import http.client
import json
import ssl
import subprocess
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

from tests.e2e.stage import Stage
from tests.e2e.waiting import PATIENCE, until

ROOT: Final = Path(__file__).parents[2]
LIST: Final = "/apis/vault.internal/v1alpha1/namespaces/default/vaultservices"


@dataclass
class Api:
    """The API of a stage's controller."""

    stage: Stage
    port: int
    role: str = "edit"

    def kubeconfig(self) -> Path:
        path = self.stage.root / "kubeconfig"
        if not path.exists():
            until("the API's certificate", (self.stage.state / "api" / "tls.crt").exists)
            url = f"https://127.0.0.1:{self.port}"
            path.write_text(self.stage.vaultctl("kubeconfig", "--role", self.role, "--server", url).stdout)
            until(
                "the API answers", lambda: self.kubectl("get", "--raw", "/healthz", code=None).stdout == "ok"
            )
        return path

    @property
    def environment(self) -> dict[str, str]:
        return {"HOME": str(self.stage.root), "PATH": "/usr/bin:/bin"}

    def line(self, *words: str) -> list[str]:
        """A command line of kubectl."""
        program = subprocess.run(
            [ROOT / "scripts" / "kubectl"], capture_output=True, text=True, timeout=400, check=True
        )
        config = str(self.stage.root / "kubeconfig")
        return [program.stdout.splitlines()[-1], "--kubeconfig", config, *words]

    @contextmanager
    def going_on(self, *words: str) -> Iterator[subprocess.Popen[str]]:
        """A kubectl that runs until the block ends."""
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
        with subprocess.Popen(self.line(*words), text=True, env=self.environment, **pipes) as program:  # type: ignore[call-overload]
            try:
                yield program
            finally:
                program.kill()

    def kubectl(self, *words: str, code: int | None = 0, input: str = "") -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            self.line(*words),
            input=input,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
            env=self.environment,
        )
        assert code is None or done.returncode == code, f"kubectl {words}: {done.stdout}{done.stderr}"
        return done

    @contextmanager
    def get(self, path: str) -> Iterator[http.client.HTTPResponse]:
        config = yaml.safe_load(self.kubeconfig().read_text())
        context = ssl.create_default_context(cafile=str(self.stage.state / "api" / "ca.crt"))
        connection = http.client.HTTPSConnection("127.0.0.1", self.port, timeout=PATIENCE, context=context)
        connection.request(
            "GET", path, headers={"Authorization": f"Bearer {config['users'][0]['user']['token']}"}
        )
        try:
            answer = connection.getresponse()
            assert answer.status == 200, answer.read()
            yield answer
            answer.close()
        finally:
            connection.close()

    def list(self) -> dict[str, Any]:
        """The list of services."""
        with self.get(LIST) as answer:
            found: dict[str, Any] = json.load(answer)
            return found

    def events(self, number: str) -> Generator[tuple[str, str, str]]:
        """Type, name and version of each change after a version, until the connection ends."""
        with self.get(f"{LIST}?watch=1&allowWatchBookmarks=true&resourceVersion={number}") as answer:
            while line := answer.readline():
                event: dict[str, Any] = json.loads(line)
                metadata = event["object"]["metadata"]
                yield event["type"], metadata.get("name", ""), metadata["resourceVersion"]
