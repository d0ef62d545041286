"""A canary in a settings file: looked for in everything that is printed, served, logged or written afterwards."""

from __future__ import annotations

import secrets
import stat
import subprocess
import urllib.request
from pathlib import Path

import pytest

from tests.e2e.docker_cli import docker, inspect
from tests.e2e.stage import VAULTCTL, Stage, free_port
from tests.e2e.waiting import until

pytestmark = pytest.mark.docker

COMPOSE_FILE = "compose.yaml"
CARELESS_PLUGIN = """
from vault_plugins import VaultServicePlugin

class Careless(VaultServicePlugin):
    metadata = VaultServicePlugin.Metadata(name="Careless", slug="careless", default_port=80)

    def build_compose(self, env):
        return {"services": {"web": {"image": "x", "scale": int(env["TOKEN"])}}}

    def get_containers(self):
        return ["web"]
"""


@pytest.fixture
def canary(stage: Stage) -> str:
    """A secret of the stage's service; its replicas get it as TOKEN."""
    value = f"canary-{secrets.token_hex(6)}"
    settings = stage.manifests / "secret.env"
    settings.write_text(f"TOKEN={value}\nOTHER='{value}$x'\n")
    settings.chmod(0o600)
    stage.write(replicas=1, envFrom=[{"file": "secret.env"}])
    return value


def written(root: Path, canary: str) -> dict[Path, int]:
    """The files below `root` that hold the canary, and their modes."""
    files = (path for path in root.rglob("*") if path.is_file())
    return {path: stat.S_IMODE(path.stat().st_mode) for path in files if canary.encode() in path.read_bytes()}


def test_the_canary_is_in_no_output_and_only_in_private_compose_files(stage: Stage, canary: str) -> None:
    manifest, out = str(stage.manifest), stage.root / "out"
    said = [
        stage.vaultctl(*words, code=None)
        for words in (
            ["validate", "-f", manifest],
            ["diff", "-f", manifest, "--debug"],
            ["render", "-f", manifest, "-o", str(out)],
            ["apply", "-f", manifest, "--wait", "--debug", "--log-format", "json", "-o", "yaml"],
            ["diff", "-f", manifest, "-o", "json"],
            ["get", "-o", "json"],
            ["get", "-o", "yaml", stage.name],
            ["get", "-o", "wide"],
            ["describe", stage.name],
            ["events", stage.name],
            ["doctor"],
            ["logs", stage.name],
        )
    ]
    environment = inspect(stage.replicas()[0])["Config"]["Env"]
    assert f"TOKEN={canary}" in environment, "the replica needs it"
    assert f"OTHER={canary}$x" in environment, "and as it was written"
    labels = inspect(stage.replicas()[0])["Config"]["Labels"]
    assert canary not in str(labels)

    (stage.manifests / "secret.env").write_text(f"TOKEN={canary}-2\n")
    port = free_port()
    log = stage.root / "run.log"
    with log.open("w") as stream:
        process = subprocess.Popen(
            [
                *(*VAULTCTL, "--state-dir", str(stage.state), "--debug"),
                *("run", "-f", str(stage.manifests), "--listen", f"127.0.0.1:{port}"),
            ],
            stdout=stream,
            stderr=stream,
        )
        try:
            until("the secret is rolled out", lambda: _has(stage, f"TOKEN={canary}-2"))
            pages = [_page(port, path) for path in ("/metrics", "/healthz", "/readyz")]
        finally:
            process.terminate()
            process.wait(60)
    pages.append(log.read_text())
    pages += [each.stdout + each.stderr for each in said]
    assert [page for page in pages if canary in page] == []

    (stage.manifests / "secret.env").unlink()
    found = written(stage.root, canary)
    assert found, "the Compose file needs it"
    assert {path.name for path in found} == {COMPOSE_FILE}
    assert set(found.values()) == {0o600}


def test_what_a_careless_plugin_quotes_is_hidden(stage: Stage, canary: str) -> None:
    plugin = stage.root / "plugins" / "careless" / "plugin.py"
    plugin.parent.mkdir(parents=True)
    plugin.write_text(CARELESS_PLUGIN)
    stage.env["VAULT_PLUGIN_PATH"] = str(plugin.parent.parent)
    stage.write(plugin="careless")
    for words in (["diff"], ["apply", "--wait"], ["render", "-o", str(stage.root / "out")]):
        done = stage.vaultctl(words[0], "-f", str(stage.manifest), "--debug", *words[1:], code=None)
        assert done.returncode != 0
        assert "plugin 'careless' is broken" in done.stderr
        assert "[secret]" in done.stderr
        assert canary not in done.stdout + done.stderr


def test_values_reach_a_container_as_they_were_written(stage: Stage) -> None:
    """Through YAML, through Compose's interpolation, and not through any shell."""
    hostile = {
        "A": "$HOME ${HOME} $$ ${X:-y} ${X:?z}",
        "B": "'\"`id` $(id) ; # & | \\ \\n",
        "C": "line\nservices:\n  evil:\n    image: x",
        "D": "%[env(HOME)] {{ 7*7 }} *alias &anchor !!tag",
        "E": "\x1b[2J\t\u202eü💥",
    }
    stage.write(replicas=1, env=hostile)
    stage.apply()
    environment = inspect(stage.replicas()[0])["Config"]["Env"]
    for name, value in hostile.items():
        assert f"{name}={value}" in environment
    project = f"label=com.docker.compose.project={stage.project}"
    names = docker("ps", "-a", "--filter", project, "--format", '{{.Label "com.docker.compose.service"}}')
    assert set(names.split()) == {"gateway", "haproxy", "whoami"}


def _has(stage: Stage, variable: str) -> bool:
    return any(variable in inspect(replica)["Config"]["Env"] for replica in stage.replicas())


def _page(port: int, path: str) -> str:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=10) as answer:
        text: str = answer.read().decode()
        return text
