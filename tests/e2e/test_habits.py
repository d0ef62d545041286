"""The verbs that people know from kubectl, on a real engine, with a controller that does the work."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from tests.e2e.docker_cli import containers
from tests.e2e.stage import Stage

pytestmark = [pytest.mark.docker, pytest.mark.turns]


@pytest.fixture
def running(stage: Stage) -> Iterator[Stage]:
    stage.write(replicas=2)
    with stage.controller():
        yield stage


def test_a_day_with_kubectls_verbs(running: Stage) -> None:
    stage, name = running, running.name
    created = stage.vaultctl("wait", name, "--for=create", "--timeout", "60s")
    assert created.stdout == f"vaultservice/{name} created\n"
    ready = stage.vaultctl("wait", "-f", str(stage.manifest), "--for=condition=Ready", "--timeout", "120s")
    assert ready.stdout == f"vaultservice/{name} condition met\n"
    serving = "jsonpath='{.status.replicas.serving}'=2"
    assert stage.vaultctl("wait", name, f"--for={serving}").returncode == 0
    late = stage.vaultctl("wait", name, "--for=condition=Ready=False", "--timeout", "1s", code=1)
    assert f"timed out after 1 s waiting for condition=Ready=False of {name}" in late.stderr

    inside = stage.vaultctl("exec", name, "--", "sh", "-c", "hostname; echo told >&2; exit 7", code=7)
    assert inside.stderr == "told\n"
    assert any(container.startswith(inside.stdout.strip()) for container in stage.replicas())
    assert stage.vaultctl("exec", name, "-i", "--", "cat", input="through\n").stdout == "through\n"
    proxy = stage.vaultctl("exec", name, "-c", "haproxy", "--", "haproxy", "-v")
    assert proxy.stdout.startswith("HAProxy version")
    one = stage.vaultctl("exec", name, "-c", f"{stage.project}-whoami-2", "--", "true")
    assert one.returncode == 0
    missing = stage.vaultctl("exec", name, "--", "no-such-command", code=None)
    assert missing.returncode in (126, 127)

    before = stage.replicas()
    again = stage.vaultctl("get", name, "-o", "yaml").stdout
    assert "creationTimestamp: " in again
    applied = stage.vaultctl("apply", "-f", "-", "--wait", input=again)
    assert applied.stdout.splitlines()[0].startswith(f"vaultservice/{name} ")
    assert json.loads(stage.vaultctl("get", name, "-o", "json").stdout)["metadata"]["generation"] == 1
    assert stage.replicas() == before, "what was printed and applied again replaces nothing"


def test_what_a_manifest_names_is_deleted(stage: Stage) -> None:
    stage.apply()
    deleted = stage.vaultctl("delete", "-f", str(stage.manifest), "--timeout", "60s")
    assert deleted.stdout == f"vaultservice/{stage.name} deleted\n"
    assert containers(stage.project, everything=True) == []
    assert stage.vaultctl("wait", stage.name, "--for=delete", "--timeout", "0s").stdout.endswith(" deleted\n")
    stage.vaultctl("delete", "-f", str(stage.manifest), code=1)
    stage.vaultctl("delete", "-f", str(stage.manifest), "--ignore-not-found")
