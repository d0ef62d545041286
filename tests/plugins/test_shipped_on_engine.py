"""The fragments of the shipped plugins on a real engine: Compose accepts them, and their containers become healthy."""

import json
import subprocess
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.catalogue.applications import applications
from vault_plugins.registry import discover

pytestmark = pytest.mark.docker

SECRETS = {"PAPERLESS_SECRET_KEY": "key", "PAPERLESS_DBPASS": "password"}
DEADLINE_SECONDS = 120


def _compose(project: str, file: Path, *arguments: str) -> str:
    command = ["docker", "compose", "--project-name", project, "--file", str(file), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=DEADLINE_SECONDS)
    assert done.returncode == 0, done.stderr
    return done.stdout


def _write(path: Path, slug: str, env: dict[str, str]) -> Path:
    fragment: dict[str, Any] = discover([]).get(slug).create().build_compose(env)  # type: ignore[assignment]
    networks = {**fragment.get("networks", {}), "vault-net": {}}
    path.write_text(json.dumps({**fragment, "networks": networks}))
    return path


@pytest.fixture
def project(tmp_path: Path) -> Iterator[str]:
    name = f"test-plugins-{uuid.uuid4().hex[:8]}"
    yield name
    _compose(name, tmp_path / "compose.yaml", "down", "--volumes", "--timeout", "5")


@pytest.mark.parametrize("slug", tuple(discover([]).plugins))
def test_compose_accepts_the_fragment(tmp_path: Path, slug: str) -> None:
    settings = applications()[slug].settings if slug in applications() else SECRETS
    doubled = {name: value.replace("$", "$$") for name, value in settings.items()}
    file = _write(tmp_path / "compose.yaml", slug, doubled)
    config = json.loads(_compose("test-plugins", file, "config", "--format", "json"))
    assert set(config["services"]) == set(json.loads(file.read_text())["services"])


def test_whoami_runs_with_so_few_rights_and_writes_its_ledger(tmp_path: Path, project: str) -> None:
    ledger = tmp_path / "ledger"
    ledger.mkdir()
    # The server's user is none of the host's.
    ledger.chmod(0o777)
    env = {"VAULT_WEB_REPLICAS": "2", "VAULT_WEB_PORT": "9000", "WHOAMI_LEDGER_DIR": str(ledger)}
    file = _write(tmp_path / "compose.yaml", "whoami", env)
    _compose(project, file, "up", "--detach", "--wait", "--wait-timeout", "60")
    answer = _compose(
        project, file, "exec", "--index", "2", "whoami", "curl", "-fsS", "http://127.0.0.1:9000/"
    )
    request = json.loads(answer)
    assert (ledger / "requests.log").read_text().split()[:2] == [request["request_id"], "GET"]


def test_the_database_and_the_broker_of_paperless_turn_healthy(tmp_path: Path, project: str) -> None:
    file = _write(tmp_path / "compose.yaml", "paperless", SECRETS)
    _compose(
        project, file, "up", "--detach", "--wait", "--wait-timeout", "90", "paperless-db", "paperless-redis"
    )
    query = ("psql", "-h", "127.0.0.1", "-U", "paperless", "-d", "paperless", "-Atc", "select 40 + 2")
    answer = _compose(project, file, "exec", "--env", "PGPASSWORD=password", "paperless-db", *query)
    assert answer.strip() == "42"
