"""The operators of docs/kopf.md run unchanged, are killed in the middle of their work, and go on where they were."""

from __future__ import annotations

import json
import os
import runpy
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, time, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.web.kube.cluster import ROOT, Cluster, served

OPERATORS = ROOT / "docs" / "kopf"
MANIFEST = """
apiVersion: vault.internal/v1alpha1
kind: VaultService
metadata: {name: files}
spec: {plugin: whoami, suspend: true}
"""


@contextmanager
def operator(cluster: Cluster, name: str, role: str, **environment: str) -> Iterator[None]:
    """`kopf run` of an operator, until it is killed at the end of the block."""
    words = ["run", "--standalone", "--namespace", "default", str(OPERATORS / f"{name}.py")]
    with (
        (cluster.home / "kopf.log").open("ab") as output,
        subprocess.Popen(
            [sys.executable, "-m", "kopf", *words],
            env={**os.environ, "KUBECONFIG": str(cluster.kubeconfig(role)), **environment},
            stdout=output,
            stderr=output,
        ) as process,
    ):
        try:
            yield
        finally:
            process.kill()


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    """One with a service; the operators' log is without a traceback at the end."""
    with served(tmp_path / "state", tmp_path) as found:
        found.apply(MANIFEST)
        yield found
    text = (tmp_path / "kopf.log").read_text(errors="replace")
    assert "Traceback" not in text, text


def finalizers(cluster: Cluster) -> tuple[str, ...]:
    stored = cluster.application.objects.get("files")
    return stored.api.finalizers if stored and stored.api else ()


def is_being_deleted(cluster: Cluster) -> bool:
    stored = cluster.application.objects.get("files")
    return stored is not None and stored.deletion is not None


BACKUP = """#!/bin/sh
# Fails at first, then hangs once, then works.
cd "$(dirname "$0")"
echo "$1" >>calls
case $(wc -l <calls) in
1) exit 1 ;;
2) exec sleep 600 ;;
*) echo "$1" >>done ;;
esac
"""


def test_a_backup_is_made_before_a_deletion_also_by_an_operator_that_is_killed(cluster: Cluster) -> None:
    home = cluster.home
    command = home / "backup"
    command.write_text(BACKUP)
    command.chmod(0o755)
    environment = {"BACKUP_COMMAND": str(command), "BACKUP_AGAIN_SECONDS": "0.5"}

    def calls() -> int:
        return len((home / "calls").read_text().splitlines()) if (home / "calls").exists() else 0

    with operator(cluster, "backup_before_deletion", "edit", **environment):
        cluster.until(lambda: finalizers(cluster) == ("backup.example.com/finalizer",))
        assert cluster.kubectl("delete", "vs", "files", "--wait=false", role="edit").returncode == 0
        # The first backup fails, the second one does not end.
        cluster.until(lambda: calls() == 2)
    assert not is_being_deleted(cluster), "the deletion began without a backup"
    assert not (home / "done").exists()
    with operator(cluster, "backup_before_deletion", "edit", **environment):
        cluster.until(lambda: is_being_deleted(cluster))
    assert (home / "done").read_text() == "files\n"
    assert finalizers(cluster) == ()
    assert "BackupComplete" in cluster.kubectl("events", "--for", "vs/files").stdout


@dataclass
class Chat:
    """A webhook: it refuses the first message, and holds back its answer to the second one for ever."""

    asked: list[str] = field(default_factory=list)
    taken: list[str] = field(default_factory=list)
    ended: threading.Event = field(default_factory=threading.Event)

    def answer(self, text: str) -> int:
        self.asked.append(text)
        if len(self.asked) == 1:
            return 503
        if len(self.asked) == 2:
            self.ended.wait()
            return 503
        self.taken.append(text)
        return 200


@contextmanager
def answering(answer: Callable[[str], int]) -> Iterator[str]:
    """The URL of a webhook."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(answer(json.loads(body)["text"]))
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}/hook-of-secret-path"
        server.shutdown()


@pytest.mark.turns
def test_a_chat_is_told_of_each_rollback_once_also_by_an_operator_that_is_killed(cluster: Cluster) -> None:
    chat, kept = Chat(), cluster.home / "sent"
    application = cluster.application

    def roll_back(number: int, now: datetime) -> None:
        application.history.record_event("files", "Warning", "RolledBack", f"v{number} was bad", now)

    def sent() -> int:
        return len(kept.read_text().splitlines()) - 1 if kept.exists() else -1

    now = datetime.now().astimezone()
    roll_back(1, now - timedelta(hours=1))
    with answering(chat.answer) as url:
        environment = {"CHAT_URL": url, "CHAT_SENT": str(kept), "CHAT_AGAIN_SECONDS": "0.2"}
        with operator(cluster, "tell_of_rollbacks", "view", **environment):
            cluster.until(lambda: sent() == 0)
            roll_back(2, now + timedelta(seconds=60))
            application.history.record_event("files", "Normal", "Complete", "fine", now)
            # It is refused, sent again, and the operator is killed before the answer.
            cluster.until(lambda: len(chat.asked) == 2)
        assert sent() == 0
        roll_back(3, now + timedelta(seconds=61))
        with operator(cluster, "tell_of_rollbacks", "view", **environment):
            cluster.until(lambda: sent() == 2)
        # What was sent is not sent again; the next one is.
        with operator(cluster, "tell_of_rollbacks", "view", **environment):
            roll_back(4, now + timedelta(seconds=62))
            cluster.until(lambda: sent() == 3)
        chat.ended.set()
    assert sorted(chat.taken) == [f"files was rolled back: v{number} was bad" for number in (2, 3, 4)]
    assert "secret-path" not in (cluster.home / "kopf.log").read_text()


@pytest.mark.turns
def test_services_are_scaled_by_the_time_of_day_also_after_a_kill(cluster: Cluster) -> None:
    def replicas() -> int | None:
        stored = cluster.application.objects.get("files")
        assert stored is not None
        found: int | None = stored.resource.spec.replicas
        return found

    def annotate(hours: str) -> None:
        line = ("annotate", "--overwrite", "vs", "files", f"hours.example.com/replicas={hours}")
        assert cluster.kubectl(*line, role="edit").returncode == 0

    environment = {"HOURS_LOOK_SECONDS": "0.2"}
    with operator(cluster, "scale_by_time", "edit", **environment):
        annotate("00:00=4")
        cluster.until(lambda: replicas() == 4)
        # By the clock, not by the change alone.
        assert cluster.kubectl("scale", "vs/files", "--replicas=1", role="edit").returncode == 0
        cluster.until(lambda: replicas() == 4)
    annotate("00:00=five")
    with operator(cluster, "scale_by_time", "edit", **environment):
        cluster.until(lambda: "is not like" in cluster.kubectl("events", "--for", "vs/files").stdout)
        assert replicas() == 4
        annotate("00:00=5")
        cluster.until(lambda: replicas() == 5)
        # Its finalizer holds no deletion back while it runs.
        assert cluster.kubectl("delete", "vs", "files", "--wait=false", role="edit").returncode == 0
        cluster.until(lambda: is_being_deleted(cluster))


@pytest.mark.parametrize(
    ("now", "replicas"),
    [("00:00", 2), ("07:29", 2), ("07:30", 6), ("19:59", 6), ("20:00", 2), ("23:59", 2)],
)
def test_the_last_entry_that_has_begun_decides(now: str, replicas: int) -> None:
    module = runpy.run_path(str(OPERATORS / "scale_by_time.py"))
    assert module["replicas_at"]("20:00=2 07:30=6", time.fromisoformat(now)) == replicas


@pytest.mark.parametrize("hours", ["", "6", "07:30", "07:30=", "25:00=1", "07:30=-1", "07:30=6, 20:00=2"])
def test_what_is_no_schedule_is_refused(hours: str) -> None:
    module = runpy.run_path(str(OPERATORS / "scale_by_time.py"))
    with pytest.raises(ValueError):  # noqa: PT011
        module["replicas_at"](hours, time(12, 0))


def test_the_page_tells_of_each_operator() -> None:
    page = (ROOT / "docs" / "kopf.md").read_text()
    assert [path.name for path in sorted(OPERATORS.glob("*.py")) if f"(kopf/{path.name})" not in page] == []
