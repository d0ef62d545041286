"""A commit is the only command: pushes, reverts and everything that goes wrong with repositories, under load."""

from __future__ import annotations

import hashlib
import hmac
import http.client
import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from reconciler.api import find_condition
from tests.e2e.load import FRESH_GET, KEPT_GET, KEPT_POST, Load
from tests.e2e.stage import VAULTCTL, Stage, free_port
from tests.e2e.waiting import PATIENCE, until
from tests.sources.git_repository import PERSON, Repository, Signing, sh
from tests.sources.git_servers import serving

pytestmark = pytest.mark.docker

SECRET = "a secret of the webhook"
HEARD = 5.0
"""Seconds from a webhook to the new spec being the wanted one; a poll would take an hour."""

MIX = (FRESH_GET, KEPT_GET, KEPT_POST)
RATE = 100.0


@dataclass
class Farm:
    """A service whose manifest is in a repository, and the controller that follows its branch."""

    stage: Stage
    repository: Repository
    port: int = field(default_factory=free_port)

    def write(self, **spec: object) -> None:
        """Write the manifest into the working copy, without a commit."""
        self.stage.write(**spec)
        shutil.copy(self.stage.manifest, self.repository.work / "apps" / self.stage.manifest.name)

    def push(self, *options: str, **spec: object) -> str:
        """Change the spec by a commit that is pushed."""
        self.write(**spec)
        return self.repository.commit({}, *options)

    def hook(self, secret: str = SECRET) -> int:
        """Tell the controller of a push, as GitHub does; returns the answer's status."""
        body = json.dumps({"ref": "refs/heads/main"}).encode()
        signature = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            headers = {"X-GitHub-Event": "push", "X-Hub-Signature-256": f"sha256={signature}"}
            connection.request("POST", "/hooks/git", body, headers)
            return connection.getresponse().status
        finally:
            connection.close()

    def push_and_hook(self, **spec: object) -> float:
        """Push, tell, and return after how many seconds the new spec was the wanted one."""
        commit = self.push(**spec)
        began = time.monotonic()
        assert self.hook() == 202
        until("the commit is wanted", lambda: self.wanted() == f"main@sha1:{commit}")
        return time.monotonic() - began

    def wanted(self) -> str:
        """The commit of the stored object."""
        stored = self.stage.application.objects.get(self.stage.name)
        return stored.origin.commit if stored else ""

    def stalled(self) -> str:
        """Why the newest state is not the one that is served."""
        conditions = self.stage.application.objects.status(self.stage.name).conditions
        stalled = find_condition(conditions, "Stalled")
        return stalled.reason if stalled and stalled.status == "True" else ""

    def ready(self) -> bool:
        conditions = self.stage.application.objects.status(self.stage.name).conditions
        ready = find_condition(conditions, "Ready")
        return ready is not None and ready.status == "True"

    @contextmanager
    def controller(self, url: str, *options: str, interval: str = "1h") -> Iterator[None]:
        secret = self.stage.root / "hook.secret"
        secret.write_text(SECRET)
        secret.chmod(0o600)
        command = [*VAULTCTL, "--state-dir", str(self.stage.state), "run", "--git", url, "--path", "apps"]
        command += ["--interval", interval, "--listen", f"127.0.0.1:{self.port}"]
        command += ["--webhook-secret-file", str(secret), *options]
        with (self.stage.root / "controller.log").open("a") as log:
            process = subprocess.Popen(command, stdout=log, stderr=log, env=os.environ | self.stage.env)
        try:
            yield
            process.send_signal(signal.SIGTERM)
            assert process.wait(PATIENCE) == 0
        finally:
            process.kill()
            process.wait()


@pytest.fixture
def farm(stage: Stage) -> Farm:
    bare, work = stage.root / "infra.git", stage.root / "work"
    sh("git", "init", "--quiet", "--bare", "--initial-branch=main", str(bare), cwd=stage.root)
    sh("git", "clone", "--quiet", str(bare), str(work), cwd=stage.root)
    (work / "apps").mkdir()
    made = Farm(stage, Repository(bare, work))
    made.push(replicas=2)
    return made


def test_pushes_reverts_and_everything_that_breaks(farm: Farm) -> None:
    stage, repository = farm.stage, farm.repository
    server = serving(stage.root)
    url = server.__enter__()
    with farm.controller(f"{url}/infra.git"):
        stage.converged()
        with Load(stage.port, RATE, MIX) as load:
            assert farm.push_and_hook(replicas=3) < HEARD
            stage.converged()
            assert len(stage.replicas()) == 3

            # A commit about something else is none of ours.
            before = farm.wanted()
            repository.commit({"README.md": "elsewhere"})
            assert farm.hook() == 202
            status = stage.status()

            repository.git("revert", "--no-edit", "HEAD~1")
            repository.push()
            assert farm.hook() == 202
            stage.write(replicas=2)
            stage.converged()
            assert status["lastAppliedRevision"] == before

            repository.git("reset", "--quiet", "--hard", "HEAD~2")
            repository.push()
            assert farm.hook() == 202
            stage.write(replicas=3)
            stage.converged()

            server.__exit__(None, None, None)
            assert farm.hook() == 202
            until("the fetch has failed", lambda: farm.stalled() == "FetchFailed")
            assert farm.ready(), "what serves goes on to be Ready"
            farm.push(replicas=2)
            (clone,) = (stage.state / "git").glob("*/repository")
            shutil.rmtree(clone / "objects")
            with serving(stage.root, port=int(url.rpartition(":")[2])):
                assert farm.hook() == 202
                stage.converged()
            assert farm.hook("guess") == 401
    assert load.lost == []
    assert load.shots
    events = stage.vaultctl("events").stdout
    assert "FetchFailed" in events


def test_many_pushes_end_at_the_last_with_few_rollouts(farm: Farm) -> None:
    stage = farm.stage
    with farm.controller(f"file://{farm.repository.bare}"):
        stage.converged()
        with Load(stage.port, RATE, MIX) as load:
            began = time.monotonic()
            for number in range(50):
                commit = farm.push(env={"NUMBER": str(number)})
                assert farm.hook() == 202
            seconds = time.monotonic() - began
            stage.converged()
    assert farm.wanted() == f"main@sha1:{commit}"
    assert load.lost == []
    history = stage.application.history.revisions(stage.name)
    assert json.loads(history[-1].spec)["env"] == {"NUMBER": "49"}
    assert history[-1].commit == f"main@sha1:{commit}"
    assert len(history) <= seconds + 3


def test_polling_without_any_webhook(farm: Farm) -> None:
    with farm.controller(str(farm.repository.bare), interval="1s"):
        farm.stage.converged()
        farm.push(replicas=3)
        farm.stage.converged()
        assert len(farm.stage.replicas()) == 3


def test_a_commit_that_nobody_signed_is_refused_and_the_old_state_serves_on(farm: Farm) -> None:
    stage, signing = farm.stage, Signing(farm.stage.root / "keys")
    good = farm.push(*signing.options("ada"), replicas=2)
    trust = ("--verify-signatures", "--allowed-signers", str(signing.allow("ada")))
    with farm.controller(f"file://{farm.repository.bare}", *trust):
        stage.converged()
        for options in ((), signing.options("mallory")):
            farm.push(*options, replicas=3)
            assert farm.hook() == 202
            until("the commit was refused", lambda: farm.stalled() == "UntrustedCommit")
            assert (farm.wanted(), farm.ready()) == (f"main@sha1:{good}", True)
            assert len(stage.replicas()) == 2
        assert "UntrustedCommit" in stage.vaultctl("events").stdout
        farm.push(*signing.options("ada"), replicas=3)
        assert farm.hook() == 202
        stage.converged()
        assert farm.stalled() == ""


def test_a_commit_that_deletes_everything_deletes_nothing_and_says_why(farm: Farm) -> None:
    stage = farm.stage
    with farm.controller(f"file://{farm.repository.bare}"):
        stage.converged()
        before = stage.replicas()
        farm.repository.commit({f"apps/{stage.manifest.name}": None, "apps/.keep": ""})
        assert farm.hook() == 202
        until("the deletion was refused", farm.stalled)
        status = stage.status()
        (stalled,) = (each for each in status["conditions"] if each["type"] == "Stalled")
        assert "has lost all its services" in stalled["message"]
        assert stage.get()[0] == 200
        assert stage.replicas() == before
        farm.push()
        assert farm.hook() == 202
        until("all is well again", farm.ready)
        assert stage.replicas() == before


def test_scale_is_a_commit_that_comes_back_by_a_push(farm: Farm, monkeypatch: pytest.MonkeyPatch) -> None:
    stage = farm.stage
    stage.env.update({key: value for key, value in PERSON.items() if key.startswith("GIT_")})
    with farm.controller(f"file://{farm.repository.bare}"):
        stage.converged()
        stage.vaultctl("scale", stage.name, "--replicas", "3", "--push")
        farm.hook()
        stage.write(replicas=3)
        stage.converged()
        subject = sh("git", "log", "-1", "--format=%s", "main", cwd=farm.repository.bare)
        assert subject == f"scale({stage.name}): replicas 2 -> 3"
        assert stage.status()["lastAppliedRevision"] == farm.wanted()
        assert farm.wanted() in stage.vaultctl("describe", stage.name).stdout


def test_a_file_of_the_repository_that_changes_is_a_change_of_its_services(farm: Farm) -> None:
    stage = farm.stage
    (farm.repository.work / "apps/files.env").write_text("GREETING=one\n")
    farm.push(envFrom=[{"file": "files.env"}])
    Path(stage.manifests / "files.env").write_text("GREETING=one\n")
    with farm.controller(f"file://{farm.repository.bare}"):
        until("it is Ready", farm.ready)
        before = set(stage.replicas())
        farm.repository.commit({"apps/files.env": "GREETING=two\n"})
        assert farm.hook() == 202
        until(
            "all replicas are new", lambda: len(stage.replicas()) == 2 and not before & set(stage.replicas())
        )
