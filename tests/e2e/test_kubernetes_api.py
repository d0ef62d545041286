"""kubectl and a real controller: what is applied runs, what is deleted goes, and a watch goes on over a restart."""

from __future__ import annotations

import http.client
import json
import ssl
import subprocess
from collections.abc import Generator, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.e2e.docker_cli import containers
from tests.e2e.stage import Stage, free_port
from tests.e2e.waiting import PATIENCE, until

pytestmark = [pytest.mark.docker, pytest.mark.turns]

ROOT = Path(__file__).parents[2]
LIST = "/apis/vault.internal/v1alpha1/namespaces/default/vaultservices"


@dataclass
class Api:
    """The API of a stage's controller."""

    stage: Stage
    port: int

    def kubeconfig(self) -> Path:
        path = self.stage.root / "kubeconfig"
        if not path.exists():
            until("the API's certificate", (self.stage.state / "api" / "tls.crt").exists)
            url = f"https://127.0.0.1:{self.port}"
            path.write_text(self.stage.vaultctl("kubeconfig", "--role", "edit", "--server", url).stdout)
            until(
                "the API answers", lambda: self.kubectl("get", "--raw", "/healthz", code=None).stdout == "ok"
            )
        return path

    def kubectl(self, *words: str, code: int | None = 0, input: str = "") -> subprocess.CompletedProcess[str]:
        program = subprocess.run(
            [ROOT / "scripts" / "kubectl"], capture_output=True, text=True, timeout=400, check=True
        )
        done = subprocess.run(
            [program.stdout.splitlines()[-1], "--kubeconfig", str(self.stage.root / "kubeconfig"), *words],
            input=input,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
            env={"HOME": str(self.stage.root), "PATH": "/usr/bin:/bin"},
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


@pytest.fixture
def api(stage: Stage) -> Api:
    port = free_port()
    stage.env["VAULT_API"] = f"127.0.0.1:{port}"
    # What comes from a directory is written in its files; here clients make the services.
    stage.manifest.unlink()
    return Api(stage, port)


def manifest(stage: Stage, **spec: Any) -> str:
    document = {
        "apiVersion": "vault.internal/v1alpha1",
        "kind": "VaultService",
        "metadata": {"name": stage.name},
        "spec": {"plugin": "whoami", "replicas": 2, "ports": {"http": stage.port}, **spec},
    }
    return yaml.safe_dump(document)


def test_kubectl_makes_changes_and_deletes_a_service(api: Api) -> None:
    stage = api.stage
    with stage.controller():
        api.kubeconfig()
        api.kubectl("apply", "-f", "-", input=manifest(stage))
        api.kubectl("wait", "--for=condition=Ready", f"vs/{stage.name}", f"--timeout={PATIENCE:g}s")
        assert len(stage.answering(10)) == 2
        api.kubectl("scale", f"vs/{stage.name}", "--replicas=3")
        serving = "jsonpath={.status.replicas.serving}=3"
        api.kubectl("wait", f"--for={serving}", f"vs/{stage.name}", f"--timeout={PATIENCE:g}s")
        assert len(stage.replicas()) == 3
        assert "RolloutComplete" in api.kubectl("describe", "vs", stage.name).stdout
        # A finalizer of a client holds the deletion back: the service runs on.
        finalizers = '{"metadata":{"finalizers":["example.com/backup"]}}'
        api.kubectl("patch", "vs", stage.name, "--type=merge", "-p", finalizers)
        api.kubectl("delete", "vs", stage.name, "--wait=false")
        assert stage.get()[0] == 200
        assert len(stage.replicas()) == 3
        api.kubectl("patch", "vs", stage.name, "--type=merge", "-p", '{"metadata":{"finalizers":null}}')
        api.kubectl("wait", "--for=delete", f"vs/{stage.name}", f"--timeout={PATIENCE:g}s")
        assert containers(stage.project, everything=True) == []


def test_a_watch_goes_on_over_a_killed_controller_and_misses_nothing(api: Api) -> None:
    stage = api.stage
    other = f"{stage.name}-other"
    with stage.controller() as controller:
        api.kubeconfig()
        for name in (stage.name, other):
            suspended = manifest(stage, suspend=True).replace(f"name: {stage.name}\n", f"name: {name}\n")
            api.kubectl("apply", "-f", "-", input=suspended)
        with closing(api.events(api.list()["metadata"]["resourceVersion"])) as events:
            api.kubectl("label", "vs", stage.name, "a=b")
            number = next(each[2] for each in events if each[:2] == ("MODIFIED", stage.name))
        controller.kill()
        controller.wait()
    # Without a watch and without a server: `vaultctl` removes one of them.
    stage.vaultctl("delete", other)
    with stage.controller():
        until("the API answers", lambda: api.kubectl("get", "--raw", "/healthz", code=None).stdout == "ok")
        api.kubectl("label", "vs", stage.name, "c=d")
        seen = []
        with closing(api.events(number)) as events:
            for event in events:
                seen.append(event[:2])
                if event[:2] == ("MODIFIED", stage.name) and ("DELETED", other) in seen:
                    break
        assert ("DELETED", other) in seen
        listed = api.list()["items"]
        assert [each["metadata"]["name"] for each in listed] == [stage.name]
        api.kubectl("delete", "vs", stage.name)
