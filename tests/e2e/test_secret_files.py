"""spec.secrets on the real engine: files below /run/secrets, in memory, for the workloads that need them."""

from __future__ import annotations

import json
import shutil
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.docker_cli import containers, docker
from tests.e2e.stage import Stage
from tests.e2e.test_sealed import canary, files_with, key, watched_processes, write_sealed
from tests.e2e.waiting import until
from tests.sealed.tools import AgeKey, age

__all__ = ["key"]

pytestmark = pytest.mark.docker


@pytest.fixture
def memory(stage: Stage) -> Iterator[Path]:
    """The directory of files in memory."""
    directory = Path(tempfile.mkdtemp(prefix="vr-", dir="/dev/shm"))
    stage.env["VAULT_RUNTIME_DIR"] = str(directory)
    yield directory
    shutil.rmtree(directory)


def content(container: str, name: str) -> str:
    """A file below /run/secrets, as the container sees it; "" if it has none."""
    return docker("exec", container, "cat", f"/run/secrets/{name}", check=False)


def shows(stage: Stage, *values: str) -> list[str]:
    """The containers of the project for which Docker shows one of the values."""
    details = json.loads(docker("inspect", *containers(stage.project, everything=True), check=False))
    return [each["Name"] for each in details if any(value in json.dumps(each) for value in values)]


def test_a_file_in_memory_for_those_that_need_it(stage: Stage, key: AgeKey, memory: Path) -> None:
    first, second, whole = canary(), canary(), f"{canary()}\n\x00"
    write_sealed(stage, f"TOKEN={first}\n", key)
    (stage.manifests / "whole.age").write_bytes(age("--encrypt", "-r", key.recipient, content=whole.encode()))
    stage.write(
        env={"TOKEN": "none"},
        envFrom=[],
        secrets=[
            {"name": "token", "file": "secret.env.age", "key": "TOKEN"},
            {"name": "whole.bin", "file": "whole.age", "workloads": ["beside"]},
        ],
    )
    with stage.controller(), watched_processes(first, second) as seen:
        stage.converged()
        (web,), (beside,) = stage.replicas("web"), stage.replicas("beside")
        assert content(web, "token") == first
        assert content(web, "whole.bin") == content(beside, "token") == ""
        assert content(beside, "whole.bin") == whole
        assert "Read-only file system" in _refused(web)
        assert stat.S_IMODE(memory.stat().st_mode) == 0o700, "no other user passes through"

        write_sealed(stage, f"TOKEN={second}\n", key)
        until("the new value is there", lambda: _contents(stage) == [second])
        stage.converged()
        assert stage.replicas("beside") == [beside], "what it has did not change"
        until("the former value is gone", lambda: files_with(memory, first) == [])

        # As after a reboot: memory is empty, and the engine cannot start what mounts it.
        for each in memory.iterdir():
            shutil.rmtree(each)
        docker("kill", *stage.replicas("web"))
        until("what was killed is back", lambda: _contents(stage) == [second])
        assert stage.get()[0] == 200
        assert shows(stage, first, second, whole[:20]) == []
        assert files_with(stage.root, first) == files_with(stage.root, second) == []
    assert seen == []
    stage.vaultctl("delete", stage.name)
    assert [path for path in memory.rglob("*") if path.is_file()] == []
    log = (stage.root / "controller.log").read_text()
    assert first not in log
    assert second not in log


def _contents(stage: Stage) -> list[str]:
    return [content(each, "token") for each in stage.replicas("web")]


def _refused(container: str) -> str:
    return docker(
        "exec",
        container,
        "sh",
        "-c",
        "echo x 2>&1 > /run/secrets/token || true; touch /run/secrets/x 2>&1 || true",
    )
