"""A sidecar lives in its owner's namespaces, also after the owner was replaced or restarted."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import pytest

from tests.e2e.docker_cli import docker
from tests.e2e.stage import Stage, staged
from tests.e2e.waiting import until

PLUGINS: Final = Path(__file__).parent / "plugins"

pytestmark = [pytest.mark.docker, pytest.mark.turns, pytest.mark.timeout(240)]


@pytest.mark.parametrize(("key", "namespace"), [("network_mode", "net"), ("pid", "pid"), ("ipc", "ipc")])
def test_a_sidecar_follows_its_owner(key: str, namespace: str) -> None:
    with staged(plugin="tunnel", replicas=1, env={"VAULT_SHARED": key}) as stage:
        stage.env["VAULT_PLUGIN_PATH"] = str(PLUGINS)
        with stage.controller():
            stage.converged()
            assert _shared(stage, namespace)
            (owner,), (sidecar,), web = (stage.replicas(name) for name in ("vpn", "sidecar", "whoami"))

            stage.write(env={"VAULT_VPN_TUNING": "more", "VAULT_SHARED": key})
            stage.converged()
            assert _shared(stage, namespace)
            assert stage.replicas("vpn") != [owner]
            assert stage.replicas("sidecar") != [sidecar]

            (owner,) = stage.replicas("vpn")
            docker("restart", "--time=0", owner)
            until("the sidecar is in the new namespace", lambda: _shared(stage, namespace))
            stage.converged()
            assert stage.replicas("vpn") == [owner]
            assert stage.replicas() == web


def _shared(stage: Stage, namespace: str) -> bool:
    """Whether both containers run in one namespace of this kind."""
    look = ("readlink", f"/proc/self/ns/{namespace}")
    found = {
        docker("exec", container, *look, check=False)
        for name in ("vpn", "sidecar")
        for container in stage.replicas(name)
    }
    return len(found) == 1 and len(stage.replicas("sidecar")) == 1 and "" not in found
