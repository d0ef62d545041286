"""The first apply of a stack of five services: `vaultctl apply --wait` compared with `docker compose up -d --wait`.

    .venv/bin/python benchmarks/first_apply.py

A web service waits for four others to be healthy. Compose has the same five and an HAProxy; ours also has a gateway and
validates HAProxy's configuration with its binary.
"""

from __future__ import annotations

import json
import secrets
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from benchmarks.harness import page
from benchmarks.harness.contestants import HAPROXY, PLUGINS, PROXY_IMAGE
from benchmarks.harness.lab import Lab
from benchmarks.harness.rounds import command, timed
from benchmarks.harness.row import SECONDS, Goal, Row
from tests.e2e.docker_cli import remove_project
from tests.e2e.stage import free_port, staged
from vault_plugins.registry import discover

ROUNDS: Final = 3
CONTAINERS: Final = 7


def rows(lab: Lab) -> Iterator[Row]:
    """One."""
    ours, theirs = [], []
    for _ in range(ROUNDS):
        ours.append(_ours())
        theirs.append(_compose())
    what, peer = "first apply of 5 services from nothing", "`docker compose up -d --wait`"
    limit = f"two starts after each other, and {lab.rate(CONTAINERS)}"
    yield Row(what, SECONDS, tuple(ours), limit, peer, tuple(theirs), Goal(ratio_at_most=1.2))


def _ours() -> float:
    with staged(plugin="five") as stage:
        stage.env["VAULT_PLUGIN_PATH"] = str(PLUGINS)
        return timed(stage.apply)


def _compose() -> float:
    project = f"t-bench-{secrets.token_hex(3)}"
    fragment = discover((PLUGINS,)).get("five").create().build_compose({})
    for service in fragment["services"].values():
        del service["networks"]
    with tempfile.TemporaryDirectory(prefix="vr-") as directory:
        root = Path(directory)
        # For HAProxy's user, which does not exist on this machine.
        root.chmod(0o755)
        run = root / "run"
        run.mkdir()
        run.chmod(0o777)
        (root / "haproxy.cfg").write_text(HAPROXY.format(host="web", slots=1))
        proxy = {
            "image": PROXY_IMAGE,
            "ports": [f"127.0.0.1:{free_port()}:8080"],
            "volumes": [f"{root}:/usr/local/etc/haproxy:ro", f"{run}:/run/bench"],
        }
        services = fragment["services"] | {"haproxy": proxy}
        file = root / "compose.yaml"
        file.write_text(json.dumps({"name": project, "services": services}))
        try:
            return timed(command("docker", "compose", "--file", str(file), "up", "--detach", "--wait"))
        finally:
            remove_project(project)


if __name__ == "__main__":
    with Lab() as lab:
        print(page.text(rows(lab)))
