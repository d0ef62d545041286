"""A commit is the only command: pushes, reverts and everything that goes wrong with repositories, under load."""

from __future__ import annotations

import json
import shutil
import time
from pathlib import Path

import pytest

from tests.controller.chat import Chat, listening
from tests.e2e.farm import Farm
from tests.e2e.load import FRESH_GET, KEPT_GET, KEPT_POST, Load
from tests.e2e.stage import Stage
from tests.e2e.waiting import until
from tests.sources.git_repository import PERSON, Signing, sh
from tests.sources.git_servers import find_sshd, serving, serving_ssh

pytestmark = [pytest.mark.docker, pytest.mark.turns]

PUSHES = 50
HUGE = b" " * 10_000_000
MIX = (FRESH_GET, KEPT_GET, KEPT_POST)
RATE = 100.0


@pytest.fixture
def farm(stage: Stage) -> Farm:
    """Nothing here looks by itself more than once an hour, so what happens is the webhook's doing."""
    return Farm.made(stage)


@pytest.fixture(scope="module")
def sshd(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    return find_sshd(tmp_path_factory.mktemp("sshd"))


def test_pushes_reverts_and_everything_that_breaks(farm: Farm) -> None:
    stage, repository = farm.stage, farm.repository
    server = serving(stage.root)
    url = server.__enter__()
    with farm.controller(f"{url}/infra.git"):
        stage.converged()
        with Load(stage.port, RATE, MIX) as load:
            farm.push(replicas=5)
            assert farm.hook() == 202
            stage.converged()
            assert len(stage.replicas()) == stage.servers_up() == 5

            # A commit about something else is none of ours.
            before = farm.wanted()
            repository.commit({"README.md": "elsewhere"})
            assert farm.hook() == 202
            status = stage.status()

            repository.git("revert", "--no-edit", "HEAD~1")
            repository.push()
            assert farm.hook() == 202
            stage.write(replicas=3)
            stage.converged()
            assert status["lastAppliedRevision"] == before

            repository.git("reset", "--quiet", "--hard", "HEAD~2")
            repository.push()
            assert farm.hook() == 202
            stage.write(replicas=5)
            stage.converged()

            server.__exit__(None, None, None)
            assert farm.hook() == 202
            until("the fetch has failed", lambda: farm.stalled() == "FetchFailed")
            assert farm.ready(), "what serves goes on to be Ready"
            farm.push(replicas=3)
            (clone,) = (stage.state / "git").glob("*/repository")
            shutil.rmtree(clone / "objects")
            with serving(stage.root, port=int(url.rpartition(":")[2])):
                assert farm.hook() == 202
                stage.converged()
            assert farm.hook("guess") == 401
            assert farm.hook(body=HUGE) == 413
    assert load.lost == []
    assert load.shots
    events = stage.vaultctl("events").stdout
    assert "FetchFailed" in events


def test_many_pushes_end_at_the_last_with_few_rollouts(farm: Farm) -> None:
    stage, git = farm.stage, farm.repository.git
    commits = []
    for number in range(PUSHES):
        farm.write(env={"NUMBER": str(number)})
        git("commit", "--quiet", "--all", "--message", f"Number {number}")
        commits.append(git("rev-parse", "HEAD"))
    with farm.controller(f"file://{farm.repository.bare}"):
        stage.write(env={"NUMBER": None})
        stage.converged()
        with Load(stage.port, RATE, MIX) as load:
            began = time.monotonic()
            for commit in commits:
                git("push", "--quiet", "origin", f"{commit}:refs/heads/main")
                assert farm.hook() == 202
            seconds = time.monotonic() - began
            stage.write(env={"NUMBER": str(PUSHES - 1)})
            stage.converged()
    assert farm.wanted() == f"main@sha1:{commits[-1]}"
    assert load.lost == []
    history = stage.application.history.revisions(stage.name)
    assert json.loads(history[-1].spec)["env"] == {"NUMBER": str(PUSHES - 1)}
    assert history[-1].commit == f"main@sha1:{commits[-1]}"
    # One fetch a second is what there can be, and not every one of them finds a replica that has been replaced.
    assert len(history) <= seconds + 3


def test_polling_over_ssh_without_any_webhook(farm: Farm, sshd: list[str]) -> None:
    stage = farm.stage
    with serving_ssh(sshd, stage.root / "ssh", farm.repository.bare) as ssh:
        options = ("--ssh-key", str(ssh.key), "--known-hosts", str(ssh.known_hosts))
        with farm.controller(ssh.url, *options, interval="1s"):
            stage.converged()
            farm.push(replicas=5)
            stage.converged()
            assert len(stage.replicas()) == stage.servers_up() == 5
            farm.repository.git("revert", "--no-edit", "HEAD")
            farm.repository.push()
            stage.write(replicas=3)
            stage.converged()
            assert len(stage.replicas()) == 3


def test_a_commit_that_nobody_signed_is_refused_and_the_old_state_serves_on(farm: Farm) -> None:
    stage, signing = farm.stage, Signing(farm.stage.root / "keys")
    good = farm.push(*signing.options("ada"))
    trust = ("--verify-signatures", "--allowed-signers", str(signing.allow("ada")))
    with farm.controller(f"file://{farm.repository.bare}", *trust):
        stage.converged()
        for options in ((), signing.options("mallory")):
            farm.push(*options, replicas=4)
            assert farm.hook() == 202
            until("the commit was refused", lambda: farm.stalled() == "UntrustedCommit")
            assert (farm.wanted(), farm.ready()) == (f"main@sha1:{good}", True)
            assert len(stage.replicas()) == 3
        assert "UntrustedCommit" in stage.vaultctl("events").stdout
        farm.push(*signing.options("ada"), replicas=4)
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


def test_scale_is_a_commit_of_one_line_that_comes_back_by_a_push(farm: Farm) -> None:
    stage, path = farm.stage, f"apps/{farm.stage.manifest.name}"
    stage.env.update({key: value for key, value in PERSON.items() if key.startswith("GIT_")})
    # As people write: with comments, in an order of their own, aligned by hand, and quoted where it need not be.
    odd = (
        f"# Ours.\nkind: VaultService   # of the vault\nspec:\n    replicas:   3   # enough at night\n"
        f"    ports:   {{http: {stage.port} }}\n    'plugin': \"whoami\"\n\n\n"
        f"metadata:   {{ name: '{stage.name}' }}\napiVersion: vault.internal/v1alpha1\n"
    )
    farm.repository.commit({path: odd})
    stage.write(envFrom=[])
    with farm.controller(f"file://{farm.repository.bare}"):
        stage.converged()
        stage.vaultctl("scale", stage.name, "--replicas", "5", "--push")
        assert farm.hook() == 202
        stage.write(replicas=5)
        stage.converged()
        subject = sh("git", "log", "-1", "--format=%s", "main", cwd=farm.repository.bare)
        assert subject == f"scale({stage.name}): replicas 3 -> 5"
        stat = sh("git", "diff", "--stat", "main~1", "main", cwd=farm.repository.bare)
        assert "1 file changed, 1 insertion(+), 1 deletion(-)" in stat
        assert sh("git", "show", f"main:{path}", cwd=farm.repository.bare) + "\n" == odd.replace(
            "replicas:   3", "replicas:   5"
        )
        assert stage.status()["lastAppliedRevision"] == farm.wanted()
        assert farm.wanted() in stage.vaultctl("describe", stage.name).stdout


def test_a_commit_shows_on_its_server_what_became_of_it(farm: Farm) -> None:
    stage, path = farm.stage, f"apps/{farm.stage.manifest.name}"
    token = stage.root / "token"
    token.write_text("a token of the test")
    token.chmod(0o600)
    with listening() as server:
        options = ("--commit-status-url", server.url, "--commit-status-token-file", str(token))
        with farm.controller(f"file://{farm.repository.bare}", *options):
            good = farm.repository.git("rev-parse", "HEAD")
            until("it is said to be well", lambda: told(server, good) == "success")
            bad = farm.repository.commit({path: stage.manifest.read_text().replace("plugin:", "plugn:")})
            assert farm.hook() == 202
            until("the mistake is told", lambda: told(server, bad) == "failure")
            description = server.messages[-1]["description"]
            assert description.startswith(f"{stage.manifest.name}:5:1: spec.plugin: is required")
            assert stage.get()[0] == 200
    assert {message["context"] for message in server.messages} == {"vault-reconciler"}
    assert "a token of the test" not in (stage.root / "controller.log").read_text()


def told(server: Chat, commit: str) -> str:
    """The last state of a commit that the server was told."""
    states = [
        message["state"]
        for (path, _), message in zip(server.calls, server.messages, strict=True)
        if path.endswith(commit)
    ]
    return str(states[-1]) if states else ""


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
            "all replicas are new", lambda: len(stage.replicas()) == 3 and not before & set(stage.replicas())
        )
