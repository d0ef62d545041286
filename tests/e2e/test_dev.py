"""An author saves a plugin, breaks it and leaves: `vaultctl dev` rolls out, tells, goes on serving, and cleans up."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path
from typing import Final

import pytest

from tests.e2e.stage import VAULTCTL, Stage, staged
from tests.e2e.waiting import PATIENCE, until

pytestmark = [pytest.mark.docker, pytest.mark.turns]

PLUGIN: Final = '''\
"""A page that says which edition it is."""

from vault_plugins import VaultServicePlugin
from vault_plugins.whoami.plugin import WhoamiPlugin


class PagePlugin(VaultServicePlugin):
    metadata = VaultServicePlugin.Metadata(name="Page", slug="page", default_port=8000, healthcheck_path="/healthz")

    def build_compose(self, env):
        web = WhoamiPlugin().build_compose({**env, "VERSION": "1"})["services"]["whoami"]
        begin = "echo the page begins; exec python3 /usr/local/lib/whoami/server.py"
        return {"services": {"page": web | {"entrypoint": ["sh", "-c", begin]}}}

    def get_containers(self):
        return ["page"]
'''


def test_from_the_first_save_to_the_last() -> None:
    with staged(plugin="page", replicas=2) as stage:
        stage.write()
        plugin = stage.manifests / "page" / "plugin.py"
        plugin.parent.mkdir()
        plugin.write_text(PLUGIN)
        log = stage.root / "dev.log"
        process = begin(stage, log)
        try:
            ready = f"{stage.name} is Ready: http://127.0.0.1:{stage.port}/"
            until("it is Ready", lambda: ready in log.read_text())
            told = log.read_text()
            assert "page: there is no README.md beside plugin.py (readme)" in told
            until(
                "its log is shown",
                lambda: f"vault-{stage.name}-page-1 | the page begins\n" in log.read_text(),
            )

            plugin.write_text(PLUGIN.replace('"1"', '"2"'))
            until("the change is rolled out", lambda: log.read_text().count(ready) == 2)
            assert b'"version": "2"' in stage.get()[2]

            plugin.write_text(PLUGIN.replace("return {", "return nothing {"))
            until("the mistake is told", lambda: f"{plugin}:" in log.read_text())
            assert stage.get()[0] == 200

            process.send_signal(signal.SIGINT)
            assert process.wait(PATIENCE) == 0, log.read_text()
            assert f"{stage.name} was removed" in log.read_text()
            assert stage.replicas("page") == []
        finally:
            process.kill()
            process.wait()


def begin(stage: Stage, log: Path) -> subprocess.Popen[str]:
    """`vaultctl dev` on the stage's directory of manifests."""
    words = [*VAULTCTL, "--state-dir", str(stage.state), "dev", str(stage.manifests), "--rm"]
    with log.open("w") as stream:
        return subprocess.Popen(words, stdout=stream, stderr=stream, text=True, env=os.environ | stage.env)
