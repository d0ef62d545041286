"""Routes with `auth` on a real engine: logins change without a reload, and no request is lost while an auth service is
rolled.
"""

from __future__ import annotations

import base64
import http.client
import stat
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Final

import pytest

from reconciler.api import find_condition
from reconciler.core.desired.build import project_of
from tests.e2e.docker_cli import containers, docker
from tests.e2e.gateway_stage import gateway_stage
from tests.e2e.neighbour import neighbour
from tests.e2e.proof import HARSH, QUICK, harsh_stage, under_load
from tests.e2e.stage import HOST, Stage
from tests.e2e.test_routed import OTHER_HOST, processes
from tests.e2e.waiting import until

pytestmark = [pytest.mark.docker, pytest.mark.turns]

PASSWORD: Final = "open sesame"


@pytest.mark.promise
@pytest.mark.parametrize("replicas", [2, 1])
def test_an_auth_service_that_is_rolled_loses_no_request(replicas: int) -> None:
    with harsh_stage(routed=True, replicas=2) as stage, neighbour(stage, "sso", OTHER_HOST) as sso:
        guard = {"forward": {"service": sso.name, "timeout": "30s"}}
        stage.write(route={"hostnames": [HOST], "gateway": stage.gateway, "auth": guard})
        # One replica of the auth service that must not overlap with its successor: requests wait for it.
        strategy = QUICK if replicas > 1 else {"type": "Recreate", "progressDeadlineSeconds": 60}
        sso.write(replicas=replicas, env=HARSH, strategy=strategy)
        with stage.controller():
            until("the auth service serves", sso.ready)
            stage.converged()
            before, first = processes(stage), set(sso.replicas())
            with under_load(stage):
                sso.write(env={**HARSH, "VERSION": "2"})
                until("it is rolled", lambda: sso.ready() and first.isdisjoint(sso.replicas()))
            assert processes(stage) == before
            assert len(sso.replicas()) == replicas

            # Without it, nothing gets through.
            sso.delete()
            until("it is gone", lambda: not containers(project_of(sso.name), everything=True))
            until("the route is closed", lambda: _status(stage) == 503)
            until("it says so", lambda: _accepted(stage)[:2] == ("False", "NoAuthService"))
            assert processes(stage) == before


@pytest.fixture
def guarded(tmp_path: Path) -> Iterator[tuple[Stage, Path]]:
    """A service that is guarded by a file of logins, behind a gateway, and a controller that goes on running."""
    with harsh_stage(routed=True, replicas=1) as stage:
        file = stage.root / "users.htpasswd"
        stage.write(
            route={"hostnames": [HOST], "gateway": stage.gateway, "auth": {"basic": {"file": str(file)}}}
        )
        with stage.controller():
            yield stage, file


def test_logins_change_without_a_reload_and_are_shown_nowhere(guarded: tuple[Stage, Path]) -> None:
    stage, file = guarded
    bcrypt, other = _hash(PASSWORD, "-B"), _hash("other", "-6")
    until("it says that there is no file", lambda: _accepted(stage)[:2] == ("False", "LoginsUnusable"))
    assert f"{file}: does not exist" in _accepted(stage)[2]
    until("the route is closed", lambda: _status(stage, PASSWORD) == 503)

    _save(file, f"ada:{bcrypt}\n")
    until("ada gets in", lambda: _status(stage, PASSWORD) == 200)
    stage.converged()
    until("it is accepted", lambda: _accepted(stage)[:2] == ("True", "Accepted"))
    before = processes(stage)
    assert (_status(stage), _status(stage, "wrong"), _status(stage, "other")) == (401, 401, 401)

    _save(file, f"ada:{other}\n")
    until("another password", lambda: _status(stage, "other") == 200)
    assert _status(stage, PASSWORD) == 401

    _save(file, f"ada:{other}\nbob:{bcrypt[:-3]}\n")
    until("it names the line", lambda: f"{file}:2: has no hash" in _accepted(stage)[2])
    until("the route is closed", lambda: _status(stage, "other") == 503)
    shown = stage.vaultctl("describe", f"vg/{stage.gateway}").stdout
    assert f"{file}:2: has no hash" in " ".join(shown.split())

    _save(file, f"ada:{bcrypt}\n")
    until("ada gets in", lambda: _status(stage, PASSWORD) == 200)
    assert processes(stage) == before
    _is_shown_nowhere(stage, (bcrypt[-25:], other[-25:], PASSWORD))


@pytest.mark.parametrize("network", ["published", "host"])
def test_both_networks_ask_and_check(network: str) -> None:
    with gateway_stage(network) as stage, stage.controller():
        until("ready", stage.ready)
        users = stage.root / "users.htpasswd"
        _save(users, f"ada:{_hash(PASSWORD, '-6')}\n")
        sso = {"service": f"{stage.name}-sso", "path": "/healthz"}
        for name, route in (
            ("sso", {}),
            ("asked", {"auth": {"forward": sso}}),
            ("named", {"auth": {"basic": {"file": str(users)}}}),
        ):
            stage.serve(name, **route)
            stage.start(name)
        until("a request is let through", lambda: stage.serves("asked"))
        before = stage.workers()
        until("a login is asked for", lambda: stage.get("named")[0] == 401)
        login = base64.b64encode(f"ada:{PASSWORD}".encode()).decode()
        let_in = partial(stage.get, "named", Authorization=f"Basic {login}")
        until("the replica can be reached", lambda: let_in() == (200, "named"))
        stage.serve("asked", auth={"forward": {**sso, "path": "/no-such-path"}})
        until("the answer is the client's", lambda: stage.get("asked")[0] == 404)
        stage.drop("sso")
        until("the route is closed", lambda: stage.get("asked")[0] == 503)
        assert stage.workers() == before


def _is_shown_nowhere(stage: Stage, secrets: tuple[str, ...]) -> None:
    verbs = [
        verb
        for name in (stage.name, f"vg/{stage.gateway}")
        for verb in (("get", name, "-o", "yaml"), ("describe", name), ("events", name))
    ]
    told = [
        stage.vaultctl(*verb, code=None).stdout for verb in (*verbs, ("diff", "-f", str(stage.manifests)))
    ]
    told.append((stage.root / "controller.log").read_text())
    told += [docker("logs", each) + docker("inspect", each) for each in (*stage.proxies(), *stage.replicas())]
    assert not [secret for secret in secrets for text in told if secret in text]
    for path in filter(Path.is_file, stage.state.rglob("*")):
        content = path.read_bytes()
        if any(secret.encode() in content for secret in secrets):
            assert path.name == "users.map", path
            assert not _is_open(path), path


def _is_open(path: Path) -> bool:
    """Whether all users can read a file by its name."""
    if not path.stat().st_mode & stat.S_IROTH:
        return False
    return all(each.stat().st_mode & stat.S_IXOTH for each in path.parents)


def _hash(password: str, kind: str) -> str:
    """A hash, by the programs that the documentation names, as far as they are there."""
    salt = "$2b$05$abcdefghijklmnopqrstuu" if kind == "-B" else "$6$saltsalt"
    # perl-base is in each image of Debian; its crypt is that of the C library.
    script = 'print crypt($ENV{"PASSWORD"}, $ENV{"SALT"})'
    environment = [f"--env=PASSWORD={password}", f"--env=SALT={salt}"]
    made = docker("run", "--rm", *environment, "--entrypoint=perl", "haproxy:3.0", "-e", script)
    assert made.startswith(salt)
    return made


def _save(file: Path, text: str) -> None:
    new = file.with_suffix(".new")
    new.write_text(text)
    new.chmod(0o600)
    new.replace(file)


def _status(stage: Stage, password: str = "") -> int:
    login = base64.b64encode(f"ada:{password}".encode()).decode()
    headers = {"Authorization": f"Basic {login}"} if password else {}
    connection = http.client.HTTPConnection(HOST, stage.port, timeout=60)
    try:
        connection.request("GET", "/", headers=headers)
        return connection.getresponse().status
    except OSError:
        return 0
    finally:
        connection.close()


def _accepted(stage: Stage) -> tuple[str, str, str]:
    found = find_condition(stage.application.objects.status(stage.name).conditions, "Accepted")
    return (found.status, found.reason, found.message) if found else ("", "", "")
