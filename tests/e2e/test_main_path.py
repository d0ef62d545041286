"""The main path on a real engine: edit a manifest, and the stack, its HAProxy and the answers of curl follow."""

from __future__ import annotations

import json
import os
import signal
import socket
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.docker_cli import CALL_SECONDS, containers, docker, inspect
from tests.e2e.stage import Stage, staged
from tests.e2e.waiting import until

pytestmark = pytest.mark.docker

SAMPLES = Path(__file__).parents[1] / "plugins" / "samples"
HAPROXY_IMAGE = "haproxy:3.0"


# Without a controller: every command does its own work


def test_apply_scale_and_delete_with_commands_only(stage: Stage) -> None:
    applied = stage.apply()
    assert f"{stage.name} is Ready: http://127.0.0.1:{stage.port}/" in applied.stdout
    assert len(stage.answering(10)) == 3
    assert stage.servers_up() == 3
    assert "nothing differs" in stage.vaultctl("diff", "-f", str(stage.manifest)).stdout

    stage.write(replicas=5)
    changes = stage.vaultctl("diff", "-f", str(stage.manifest), code=1).stdout
    assert "3 containers of" in changes
    assert "5 wanted" in changes
    assert "create 2 × whoami" in changes
    assert len(stage.replicas()) == 3, "diff must change nothing"

    before = set(stage.replicas())
    stage.apply()
    assert stage.servers_up() == 5
    assert before < set(stage.replicas()), "scaling up must not replace what runs"

    stage.write(replicas=2)
    stage.apply()
    until("2 servers UP", lambda: stage.servers_up() == 2)
    until("2 containers", lambda: len(stage.replicas()) == 2)

    status = stage.status()
    assert status["observedGeneration"] == 3
    assert {c["type"]: c["status"] for c in status["conditions"]} == {
        "Ready": "True",
        "Reconciling": "False",
        "Stalled": "False",
        "Degraded": "False",
    }

    stage.vaultctl("delete", stage.name)
    assert containers(stage.project, everything=True) == []
    assert json.loads(stage.vaultctl("get", "-o", "json").stdout)["items"] == []


def test_the_plugin_of_the_developer_guide(stage: Stage) -> None:
    stage.env["VAULT_PLUGIN_PATH"] = str(SAMPLES)
    # The stand-in for its database is a real PostgreSQL, which wants a password; the guide's example passes none.
    stage.write(plugin="myservice", replicas=3)
    applied = stage.apply(code=None)
    assert len(stage.replicas("myservice-web")) == 3, applied.stderr
    assert len(stage.answering(10)) == 3
    assert len(stage.replicas("myservice-db")) == 1
    assert applied.returncode == 0, applied.stderr


def test_one_service_for_each_replica(stage: Stage) -> None:
    stage.env["VAULT_PLUGIN_PATH"] = str(SAMPLES)
    stage.write(plugin="files", replicas=2)
    stage.apply()
    assert len(stage.answering(6)) == 2
    stage.write(replicas=3)
    stage.apply()
    assert len(stage.replicas("files_web3")) == 1
    assert stage.servers_up() == 3


def test_render_writes_what_compose_and_haproxy_accept(stage: Stage) -> None:
    secret = "only-in-the-settings-file"
    settings = stage.manifests / "paperless.env"
    settings.write_text(f"PAPERLESS_SECRET_KEY={secret}\nPAPERLESS_DBPASS=pa$$word${{HOME}}\n")
    settings.chmod(0o600)
    stage.write(plugin="paperless", replicas=1, envFrom=[{"file": settings.name}])
    out = stage.root / "out"
    rendered = stage.vaultctl("render", "-f", str(stage.manifest), "-o", str(out))
    assert secret not in rendered.stdout + rendered.stderr

    compose = out / "compose.yaml"
    assert stat.S_IMODE(compose.stat().st_mode) == 0o600
    config = json.loads(docker("compose", "-f", str(compose), "config", "--format", "json"))
    web = config["services"]["paperless-web"]["environment"]
    assert web["PAPERLESS_SECRET_KEY"] == secret
    # Compose prints each dollar doubled, so that its output can be read again.
    assert web["PAPERLESS_DBPASS"].replace("$$", "$") == "pa$$word${HOME}"

    docker(
        *("run", "--rm", "--network=none", "--env=VAULT_PROXY_SLOT=1"),
        *(f"--volume={out / 'haproxy'}:/usr/local/etc/haproxy:ro", HAPROXY_IMAGE),
        *("haproxy", "-c", "-f", "/usr/local/etc/haproxy/haproxy.cfg"),
    )
    assert containers(stage.project, everything=True) == [], "render must touch no engine"


# With a controller: nobody gives a command


@pytest.fixture
def running(stage: Stage) -> Iterator[Stage]:
    with stage.controller():
        stage.converged()
        yield stage


def test_a_replica_that_was_removed_is_replaced(running: Stage) -> None:
    victim = running.replicas()[0]
    docker("rm", "--force", victim)
    until("three others", lambda: len(running.replicas()) == 3 and victim not in running.replicas())
    running.converged()
    assert len(running.answering()) == 3


def test_a_haproxy_that_was_stopped_is_back(running: Stage) -> None:
    (victim,) = running.proxies()
    docker("stop", victim)
    until("HAProxy runs", running.proxies)
    running.converged()
    assert len(running.answering()) == 3


def test_a_replica_that_lost_its_network_is_replaced(running: Stage) -> None:
    victim = running.replicas()[0]
    network = f"{running.project}_vault-net"
    docker("network", "disconnect", "--force", network, victim)
    until("it is gone or back", lambda: victim not in running.replicas() or _attached(victim, network))
    running.converged()
    assert len(running.answering()) == 3


def test_a_manifest_that_is_edited_is_followed(running: Stage) -> None:
    running.write(replicas=4, env={"VERSION": "2"})
    running.converged()
    assert running.servers_up() == 4
    assert _version(running) == "2"


def test_a_controller_that_was_killed_catches_up(stage: Stage) -> None:
    with stage.controller() as controller:
        stage.converged()
        controller.send_signal(signal.SIGKILL)
        controller.wait(CALL_SECONDS)
    assert len(stage.answering()) == 3, "services run on without a controller"
    stage.write(replicas=2, env={"VERSION": "2"})
    with stage.controller():
        stage.converged()
    assert _version(stage) == "2"
    assert len(stage.replicas()) == 2


def test_apply_hands_over_to_a_controller_that_runs(running: Stage) -> None:
    with staged(plugin="whoami", replicas=1) as other:
        applied = running.vaultctl("apply", "-f", str(other.manifest), "--wait")
        assert "converging here" not in applied.stderr
        assert f"{other.name} is Ready" in applied.stdout
        assert other.get()[0] == 200
        running.vaultctl("delete", other.name)
        assert containers(other.project, everything=True) == []


# Bad input


def test_an_unknown_plugin_is_answered_with_the_nearest(stage: Stage) -> None:
    stage.write(plugin="whomai")
    done = stage.apply(code=1)
    assert "whoami" in done.stderr
    assert "filebrowser" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("host", ["0.0.0.0", "127.0.0.1"])
def test_a_taken_port_names_its_owner_and_starts_nothing(stage: Stage, host: str) -> None:
    with socket.create_server((host, stage.port)):
        done = stage.apply("--timeout", "5s", code=1)
    assert str(stage.port) in done.stderr
    assert f"pid {os.getpid()}" in done.stderr
    assert containers(stage.project, everything=True) == []


def test_a_port_of_another_stack_names_it(stage: Stage) -> None:
    stage.write(replicas=1)
    stage.apply()
    with staged(plugin="whoami", replicas=1) as other:
        other.write(ports={"http": stage.port})
        done = other.apply("--timeout", "5s", code=1)
        assert stage.project in done.stderr
        assert containers(other.project, everything=True) == []


def test_a_missing_image_is_named_with_its_remedy(stage: Stage) -> None:
    image = f"nowhere.invalid/{stage.name}:1"
    stage.write(env={"WHOAMI_IMAGE": image})
    done = stage.apply("--timeout", "20s", code=1)
    assert image in done.stderr
    assert f"docker pull {image}" in done.stderr
    assert "Traceback" not in done.stderr


def test_an_engine_that_is_away_is_one_line(stage: Stage) -> None:
    stage.env["DOCKER_HOST"] = f"unix://{stage.root}/no-engine.sock"
    done = stage.apply("--timeout", "2s", code=1)
    assert "dockerd" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_broken_manifest_stops_nothing(running: Stage) -> None:
    before = set(running.replicas())
    good = running.manifest.read_text()
    running.manifest.write_text(good.replace("replicas", "replcas"))
    until("it is said", lambda: "replcas" in json.dumps(running.status()))
    stalled = next(c for c in running.status()["conditions"] if c["type"] == "Stalled")
    assert stalled["status"] == "True"
    assert f"{running.manifest}:" in stalled["message"]
    assert set(running.replicas()) == before
    assert len(running.answering()) == 3

    running.manifest.write_text(good)
    until(
        "it is forgotten",
        lambda: (
            next(c for c in running.status()["conditions"] if c["type"] == "Stalled")["status"] == "False"
        ),
    )
    assert set(running.replicas()) == before


def test_a_directory_that_is_emptied_deletes_nothing(running: Stage) -> None:
    running.manifest.unlink()
    until("it is said", lambda: "lost all its services" in json.dumps(running.status()))
    assert len(running.answering()) == 3


def _attached(container: str, network: str) -> bool:
    return network in inspect(container)["NetworkSettings"]["Networks"]


def _version(stage: Stage) -> str:
    version = json.loads(stage.get()[2])["version"]
    assert isinstance(version, str)
    return version
