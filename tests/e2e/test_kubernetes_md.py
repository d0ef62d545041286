"""The first commands of docs/kubernetes-api.md are run as they stand there."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

import pytest

from tests.e2e.docker_cli import containers
from tests.e2e.page_commands import DOCS, STOP, blocks, run
from tests.e2e.stage import Stage, free_port
from tests.e2e.waiting import until
from tests.web.kube.cluster import program

pytestmark = [pytest.mark.docker, pytest.mark.turns]

PAGE = DOCS / "kubernetes-api.md"


def test_they_lead_from_a_kubeconfig_to_a_service_and_back(stage: Stage, tmp_path: Path) -> None:
    serving, commands, *_ = blocks(PAGE)
    port = free_port()
    answers = f"until curl --silent --insecure https://127.0.0.1:{port}/healthz; do sleep 0.2; done\n"
    script = f"{serving.strip()} &\n{STOP}{answers}{commands}stat -c %a ~/.kube/vault\n"
    script = script.replace("kubeconfig --role", f"kubeconfig --server https://127.0.0.1:{port} --role")
    script = script.replace("6443", str(port)).replace("8080", str(stage.port))
    script = re.sub(r"\bfiles\b", stage.name, script)
    path = f"{Path(sys.executable).parent}:{program().parent}:{os.environ['PATH']}"
    done = run(script, stage, tmp_path, HOME=str(tmp_path), PATH=path)
    service = f"vaultservice.vault.internal/{stage.name}"
    for said in (f"{service} created", f"{service} condition met", f"pod/vault-{stage.name}-whoami-3 "):
        assert said in done.stdout
    assert "RolloutComplete" in done.stdout
    assert done.stdout.splitlines()[-1] == "600"
    until("the controller is gone", lambda: not stage.application.controller_is_running())
    assert containers(stage.project, everything=True) == []
