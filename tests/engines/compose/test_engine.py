"""The Compose engine against the real one: what it creates, what it sees, and what it leaves alone."""

from __future__ import annotations

import json
import secrets
import subprocess
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from reconciler.core.assess.cause import Cause
from reconciler.core.assess.observation import Container, State
from reconciler.core.desired.stack import Stack
from reconciler.core.plan.operations import CreateReplicas
from reconciler.engines.compose import engine as compose
from reconciler.engines.compose.address_pools import networks_left
from reconciler.engines.compose.engine import ComposeEngine
from reconciler.engines.compose.file import dump
from reconciler.proxy.haproxy.containers import haproxy_of
from tests.e2e.docker_cli import containers, docker
from tests.e2e.waiting import until

if TYPE_CHECKING:
    from tests.engines.conftest import MakeStack

pytestmark = pytest.mark.docker

AWKWARD = {
    "DOLLAR": "$HOME ${HOME} $$ ${",
    "QUOTES": "'single' \"double\" \\back",
    "LINES": "one\ntwo\n",
    "YAML": "no: [1, 2] # 012",
    "EMPTY": "",
    "UNICODE": "grüße ☃",
}


def _create(engine: ComposeEngine, stack: Stack, workload: str, count: int = 1, existing: int = 0) -> None:
    engine.create(
        stack, (CreateReplicas(workload=workload, count=count, existing=existing, cause=Cause.MISSING),)
    )


def _seen(engine: ComposeEngine, stack: Stack, workload: str) -> list[Container]:
    mine = [c for c in engine.observe(stack).containers if c.workload == workload]
    return sorted(mine, key=lambda c: c.number)


def _run(engine: ComposeEngine, stack: Stack, workload: str, count: int = 1) -> list[Container]:
    """Create and start containers, and return them as they are observed."""
    _create(engine, stack, workload, count)
    engine.start(tuple(c.id for c in _seen(engine, stack, workload)))
    return _seen(engine, stack, workload)


def _compose(stack: Stack, *arguments: str) -> str:
    return docker("compose", "--project-name", stack.project, *arguments)


# Creating

HOSTILE = {
    "COMPOSE_REMOVE_ORPHANS": "1",
    "COMPOSE_FILE": "/nowhere/compose.yaml",
    "COMPOSE_ENV_FILES": "/nowhere/.env",
    "COMPOSE_PROJECT_NAME": "elsewhere",
    "COMPOSE_PROFILES": "other",
    "COMPOSE_COMPATIBILITY": "1",
    "COMPOSE_PARALLEL_LIMIT": "none",
    "COMPOSE_IGNORE_ORPHANS": "maybe",
    "DOCKER_DEFAULT_PLATFORM": "linux/s390x",
    "DOCKER_CONTEXT": "nowhere",
    "DOCKER_API_VERSION": "1.12",
    "BUILDKIT_HOST": "tcp://192.0.2.1:1",
}


@pytest.mark.parametrize("where", ["environment", "file"])
def test_no_setting_of_compose_leaks_in(
    where: str,
    engine: ComposeEngine,
    make_stack: MakeStack,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """Neither from the environment of the controller nor from a `.env` where it was started or beside engine.yaml."""
    stack = make_stack()
    (orphan,) = _run(engine, stack, "box")
    only_web = replace(
        stack, document={**stack.document, "services": {"web": stack.document["services"]["web"]}}
    )
    if where == "environment":
        for name, value in HOSTILE.items():
            monkeypatch.setenv(name, value)
    else:
        here = tmp_path_factory.mktemp("started")
        for directory in (here, stack.site.directory):
            (directory / ".env").write_text("".join(f"{name}={value}\n" for name, value in HOSTILE.items()))
        monkeypatch.chdir(here)
    _create(engine, only_web, "web")
    (created,) = _seen(engine, stack, "web")
    assert created.name == f"{stack.project}-web-1"
    assert [c.id for c in _seen(engine, stack, "box")] == [orphan.id]


def test_what_an_image_declares_as_volumes_is_told(engine: ComposeEngine, make_stack: MakeStack) -> None:
    plain = make_stack()
    assert engine.observe(plain).volumes == {}
    tag = f"{plain.project}-keeps:1"
    made = docker("create", plain.web[0].image)
    try:
        docker("commit", "--change", "VOLUME /b", "--change", "VOLUME /a", made, tag)
        assert engine.observe(make_stack(IMAGE=tag)).volumes == {tag: ("/a", "/b")}
    finally:
        docker("rm", made)
        docker("image", "rm", tag)


def test_a_dependency_is_recreated_from_what_its_tag_meant_before(
    engine: ComposeEngine, make_stack: MakeStack
) -> None:
    stack = make_stack()
    (before,) = _run(engine, stack, "box")
    other = engine.observe(stack).images[haproxy_of(stack).image]
    docker("stop", "--time=0", before.id)
    engine.recreate(stack, "box", other)
    (after,) = _seen(engine, stack, "box")
    assert (after.image, after.revision) == (other, before.revision)
    assert after.id != before.id


# Ending


def test_a_container_that_was_asked_to_stop_is_seen_as_stopping(
    engine: ComposeEngine, make_stack: MakeStack
) -> None:
    stack = make_stack(replicas=1)
    (web,) = _run(engine, stack, "web")
    until("it answers", lambda: _all(_seen(engine, stack, "web"), lambda c: c.is_ready))
    docker("exec", "--detach", web.id, "curl", "-s", "http://127.0.0.1:8000/slow?ms=2000")
    engine.stop((web.id,), 10)
    (stopping,) = _seen(engine, stack, "web")
    assert (stopping.state, stopping.stopping) == (State.RUNNING, True)
    (ended,) = until(
        "it has ended", lambda: _all(_seen(engine, stack, "web"), lambda c: c.state is State.EXITED)
    )
    assert ended.exit_code == 0
    assert ended.stopping, "an end that we asked for is told from a death"


def _labelled(stack: Stack, kind: str) -> list[str]:
    label = f"--filter=label=com.docker.compose.project={stack.project}"
    return docker(kind, "ls", "--format={{.Name}}", label).split()


# Looking


def test_only_our_project_is_seen_and_no_command_of_a_person(
    engine: ComposeEngine, make_stack: MakeStack
) -> None:
    stack = make_stack()
    (web,) = _run(engine, stack, "web")
    file = str(stack.site.directory / "compose.yaml")
    _compose(stack, "--file", file, "run", "--detach", "--no-deps", "--entrypoint", "sleep 60", "web")
    assert len(containers(stack.project)) == 2
    assert [c.id for c in engine.observe(stack).containers] == [web.id]


def test_logs_are_the_last_lines_of_both_streams(engine: ComposeEngine, make_stack: MakeStack) -> None:
    stack = make_stack(replicas=1, FAIL="exit")
    (web,) = _run(engine, stack, "web")
    until("it has ended", lambda: engine.logs(web.id, 1))
    assert engine.logs(web.id, 1).strip() == "whoami: FAIL=exit: this release does not start"


def test_what_the_engine_says_of_itself(engine: ComposeEngine) -> None:
    info = engine.info()
    assert info.version == docker("version", "--format", "{{.Server.Version}}")
    assert info.parts["compose"] == docker("compose", "version", "--short").lstrip("v")


def test_a_network_takes_a_subnet_of_the_address_pools(
    engine: ComposeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Others make and remove networks meanwhile, so both counts are of one listing: with this network, and without it."""
    name = f"t-{secrets.token_hex(4)}-pools"
    without = []

    def count(pools: Any, networks: Any) -> int:
        without.append(networks_left(pools, [row for row in networks if row["Name"] != name]))
        return networks_left(pools, networks)

    monkeypatch.setattr(compose, "networks_left", count)
    docker("network", "create", name)
    try:
        left = engine.info().networks_left
    finally:
        docker("network", "rm", name)
    assert [left + 1] == without


# Side by side with people


def test_people_use_docker_compose_on_it_as_on_their_own(
    engine: ComposeEngine, make_stack: MakeStack
) -> None:
    stack = make_stack(replicas=2, FAIL="exit")
    running = _run(engine, stack, "web", 2)
    rows = [json.loads(line) for line in _compose(stack, "ps", "--all", "--format", "json").splitlines()]
    assert {row["ID"] for row in rows} == {c.short for c in running}
    assert {(row["Service"], row["Name"]) for row in rows} == {("web", c.name) for c in running}
    until("both have said it", lambda: _compose(stack, "logs").count("this release does not start") >= 2)
    _compose(stack, "down", "--timeout", "1")
    assert engine.observe(stack).containers == ()
    assert _labelled(stack, "network") == []


def test_every_value_survives_compose(make_stack: MakeStack) -> None:
    stack = make_stack(**AWKWARD)
    done = subprocess.run(
        ["docker", "compose", "--file", "-", "config", "--format", "json"],
        input=dump(stack.document),
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    environment = json.loads(done.stdout)["services"]["web"]["environment"]
    # Compose prints each dollar doubled, so that its output can be read again.
    assert AWKWARD.items() <= {key: value.replace("$$", "$") for key, value in environment.items()}.items()


def _all(found: list[Container], holds: Callable[[Container], bool]) -> list[Container]:
    """What was found, if there is something and all of it holds; otherwise nothing."""
    return found if all(map(holds, found)) else []
