"""A canary in an encrypted settings file, on the real engine: it reaches its replicas and nothing else, it changes by
another file, and a file that cannot be decrypted changes nothing.
"""

from __future__ import annotations

import json
import secrets
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from reconciler.api import find_condition
from tests.e2e.docker_cli import containers, docker
from tests.e2e.stage import Stage
from tests.e2e.waiting import until
from tests.sealed.sops_writer import Sops
from tests.sealed.tools import AgeKey, age, keygen

pytestmark = pytest.mark.docker

PLUGIN = """
from vault_plugins import VaultServicePlugin

class Keeper(VaultServicePlugin):
    metadata = VaultServicePlugin.Metadata(name="Keeper", slug="keeper", default_port=8000, healthcheck_path="/healthz")

    def build_compose(self, env):
        image = "vault-reconciler/whoami:latest"
        return {
            "services": {
                "web": {"image": image, "environment": {"TOKEN": env["TOKEN"]}},
                "beside": {"image": image, "environment": {"OTHER": env.get("OTHER", "")}},
            }
        }

    def get_containers(self):
        return ["web"]
"""


def canary() -> str:
    return f"canary-{secrets.token_hex(8)}"


def write_sealed(stage: Stage, text: str, key: AgeKey) -> None:
    """An encrypted settings file beside the manifest, as Git would have it."""
    path = stage.manifests / "secret.env.age"
    new = path.with_suffix(".new")
    new.write_bytes(age("--encrypt", "--armor", "-r", key.recipient, content=text.encode()))
    new.chmod(0o644)
    new.replace(path)


def holders(stage: Stage, value: str) -> set[str]:
    """The workloads of the project whose containers Docker shows the value for; it may be in their environment only."""
    found = set()
    for details in _inspected(stage):
        environment = details["Config"].pop("Env")
        assert value not in json.dumps(details), "it is nothing but an environment variable"
        if any(value in variable for variable in environment):
            found.add(details["Config"]["Labels"]["com.docker.compose.service"])
    return found


def _inspected(stage: Stage) -> list[dict[str, Any]]:
    details: list[dict[str, Any]] = json.loads(
        # One that goes meanwhile is left out.
        docker("inspect", *containers(stage.project, everything=True), check=False)
    )
    return details


def files_with(root: Path, value: str) -> list[Path]:
    """The files below a directory that hold the value."""
    return [path for path in root.rglob("*") if path.is_file() and value.encode() in path.read_bytes()]


@contextmanager
def watched_processes(*values: str) -> Iterator[list[str]]:
    """What was seen of the values on the command line of any process of this machine meanwhile."""
    seen: list[str] = []
    stop = threading.Event()

    def look() -> None:
        while not stop.wait(0.03):
            for path in Path("/proc").glob("[0-9]*/cmdline"):
                try:
                    content = path.read_bytes().decode(errors="replace")
                    seen.extend(content for value in values if value in content)
                except OSError:
                    continue

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield seen
    finally:
        stop.set()
        thread.join()


@pytest.fixture
def key(stage: Stage) -> AgeKey:
    """The controller's key, in a directory of keys."""
    plugin = stage.root / "plugins" / "keeper" / "plugin.py"
    plugin.parent.mkdir(parents=True)
    plugin.write_text(PLUGIN)
    stage.env["VAULT_PLUGIN_PATH"] = str(plugin.parent.parent)
    keys = stage.root / "keys"
    keys.mkdir(mode=0o700)
    stage.env["VAULT_AGE_KEYS"] = str(keys)
    stage.write(plugin="keeper", replicas=1, envFrom=[{"file": "secret.env.age"}])
    return keygen(keys / "controller.key")


def rolled_out(stage: Stage, value: str, former: str) -> None:
    """Wait until all web replicas have the value, and none the former one."""
    try:
        until(
            "another value is rolled out",
            lambda: holders(stage, value) == {"web"} and not holders(stage, former),
        )
    except AssertionError as error:
        raise AssertionError(f"{error}\n{stage.story()}") from None


def condition(stage: Stage) -> Mapping[str, str]:
    """Reason and message of Ready."""
    ready = find_condition(stage.application.objects.status(stage.name).conditions, "Ready")
    assert ready is not None
    return {"status": ready.status, "reason": ready.reason, "message": ready.message}


def test_the_canary_is_where_it_is_needed_and_nowhere_else(stage: Stage, key: AgeKey) -> None:
    """One in an age file, and another one in a SOPS file."""
    value, other, manifest = canary(), canary(), str(stage.manifest)
    write_sealed(stage, f"TOKEN={value}\n", key)
    (stage.manifests / "secret.sops.yaml").write_text(Sops([key]).yaml({"OTHER": other}))
    stage.write(envFrom=[{"file": "secret.env.age"}, {"file": "secret.sops.yaml"}])
    with watched_processes(value, other) as seen:
        said = [
            stage.vaultctl(*words, code=None)
            for words in (
                ["validate", "-f", manifest],
                ["diff", "-f", manifest, "--debug"],
                ["render", "-f", manifest, "-o", str(stage.root / "out")],
                ["apply", "-f", manifest, "--wait", "--debug", "--log-format", "json", "-o", "yaml"],
                ["diff", "-f", manifest, "-o", "json"],
                ["get", "-o", "json"],
                ["describe", stage.name],
                ["events", stage.name],
                ["doctor"],
                ["logs", stage.name],
            )
        ]
    assert seen == []
    printed = [each.stdout + each.stderr for each in said]
    assert [text for text in printed if value in text or other in text] == []
    assert "can be read by" not in said[0].stderr, "all may read what is encrypted"
    assert holders(stage, value) == {"web"}
    assert holders(stage, other) == {"web", "beside"}
    assert files_with(stage.root, value) == files_with(stage.root, other) == []
    assert "[secret]" in (stage.state / "services" / stage.name / "compose.yaml").read_text()


@pytest.mark.turns
def test_it_changes_for_its_consumers_and_stays_while_it_cannot_be_read(stage: Stage, key: AgeKey) -> None:
    first, second, third = canary(), canary(), canary()
    stranger = keygen(stage.root / "stranger.key")
    write_sealed(stage, f"TOKEN={first}\n", key)
    log = stage.root / "controller.log"
    with stage.controller() as controller:
        stage.converged()
        limits = Path(f"/proc/{controller.pid}/limits").read_text()
        assert [line.split()[4:6] for line in limits.splitlines() if line.startswith("Max core")] == [
            ["1", "1"]
        ]
        beside = stage.replicas("beside")

        write_sealed(stage, f"TOKEN={second}\n", key)
        rolled_out(stage, second, first)
        stage.converged()
        assert stage.replicas("beside") == beside, "it does not have the secret"

        serving = stage.replicas("web")
        write_sealed(stage, f"TOKEN={third}\n", stranger)
        until("it is told", lambda: condition(stage)["reason"] == "CannotDecrypt")
        place = f"{stage.manifests / 'secret.env.age'}:1:1: "
        assert place in condition(stage)["message"]
        assert f"the keys here are {key.recipient}" in condition(stage)["message"]
        assert stage.replicas("web") == serving
        assert stage.get()[0] == 200
        docker("rm", "--force", serving[0])
        until("the replica is healed", lambda: stage.replicas("web") not in ([], serving) and _serves(stage))
        assert holders(stage, second) == {"web"}

        stranger.path.rename(key.path.parent / "stranger.key")
        # A new key wakes no pass by itself; the file is as good as touched by any commit.
        (stage.manifests / "secret.env.age").touch()
        rolled_out(stage, third, second)
        stage.converged()
        told = stage.vaultctl("events", stage.name).stdout
    for value in (first, second, third):
        assert value not in log.read_text() + told
        assert files_with(stage.root, value) == []


def _serves(stage: Stage) -> bool:
    return stage.get()[0] == 200


def test_a_controller_without_a_usable_key_does_not_start(stage: Stage, key: AgeKey) -> None:
    write_sealed(stage, f"TOKEN={canary()}\n", key)
    key.path.chmod(0o644)
    done = stage.vaultctl("run", "-f", str(stage.manifests), "--listen", "none", code=1)
    assert f"{key.path}: holds keys that other users may read; run: chmod 600" in done.stderr
