"""kubectl and a real controller: what is applied runs, what is deleted goes, and a watch goes on over a restart."""

from __future__ import annotations

from contextlib import closing
from typing import Any

import pytest
import yaml

from tests.e2e.docker_cli import containers
from tests.e2e.kubectl import Api
from tests.e2e.stage import Stage, free_port
from tests.e2e.waiting import PATIENCE, until

pytestmark = [pytest.mark.docker, pytest.mark.turns]


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
