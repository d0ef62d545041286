"""`vaultctl dev` over the API: what an author saves is applied to a controller elsewhere, and its logs are shown here."""

from __future__ import annotations

import os
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cli.remote.test_over_the_api import NEW, Remote, ready
from tests.web.kube.cluster import served
from tests.web.kube.instances import FakeInstances, instance


@pytest.fixture
def remote(tmp_path: Path) -> Iterator[Remote]:
    instances = FakeInstances([instance("vault-mine-whoami-1", label="mine")], lines=[b"hello from there\n"])
    with served(tmp_path / "state", tmp_path, instances=instances) as cluster:
        yield Remote(cluster)


def read(written: Iterable[str], lines: queue.Queue[str]) -> None:
    for line in written:
        lines.put(line)


def test_a_save_is_applied_and_a_manifest_that_is_removed_removes_its_service(
    remote: Remote, tmp_path: Path
) -> None:
    work = tmp_path / "work"
    work.mkdir()
    objects: Any = remote.cluster.application.objects
    environ = {**os.environ, "VAULT_KUBECONFIG": str(remote.cluster.kubeconfig("edit"))}
    words = [sys.executable, "-m", "reconciler.cli", "dev", str(work), "--rm"]
    lines: queue.Queue[str] = queue.Queue()
    with subprocess.Popen(
        words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environ
    ) as dev:
        assert dev.stdout is not None
        reading = threading.Thread(target=read, args=(dev.stdout, lines), daemon=True)
        reading.start()

        def until(said: str) -> None:
            while said not in (line := lines.get(timeout=30)):
                assert "Traceback" not in line

        try:
            until("following")
            manifest = work / "mine.yaml"
            manifest.write_text(NEW.replace("NAME", "mine").replace("PORT", "8120"))
            until("mine created")
            until("vault-mine-whoami-1 | hello from there")
            objects.put_status("mine", ready(1))
            until("mine is Ready")
            manifest.write_text(NEW.replace("NAME", "mine").replace("PORT", "nothing"))
            until("mine.yaml:5")
            manifest.write_text(NEW.replace("NAME", "mine").replace("PORT", "8121"))
            until("mine configured")
            assert objects.get("mine").resource.spec.ports.http == 8121
            (work / "other.yaml").write_text(NEW.replace("NAME", "other").replace("PORT", "8122"))
            until("other created")
            (work / "other.yaml").unlink()
            until("other deleted")
            assert objects.get("other").deletion is not None
            dev.send_signal(signal.SIGTERM)
            remote.cluster.until(lambda: objects.get("mine").deletion is not None)
            for name in ("mine", "other"):
                objects.remove(name)
            until("mine was removed")
            assert dev.wait(30) == 0
        finally:
            dev.kill()
