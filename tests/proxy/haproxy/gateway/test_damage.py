"""What waits for the file of a pool that was changed or removed while HAProxies have its replicas."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from reconciler.core.assess.observation import Container, State
from reconciler.proxy.haproxy.gateway.pool_file import WrittenPool
from tests.proxy.haproxy.gateway.test_planning import (
    LONG_AGO,
    NOW,
    ON_HOST,
    ON_NODES,
    SPEC,
    Scene,
    container,
    node,
    on,
    running,
    table_of,
)

OF_FILES = "the file of pool h001 of files was changed or removed, and has to be written again first"
LOGGED = SPEC.model_copy(update={"access_log": True})


def damaged(scene: Scene, *proxies: str, **fields: Any) -> Scene:
    """The scene after the file of the pool of `files` was changed: these HAProxies have its replicas."""
    pools: dict[str, WrittenPool | None] = {**scene.written.pools, "h001": None}
    there = dict.fromkeys(proxies or ("haproxy-1",), ("h001",))
    return replace(scene, written=replace(scene.written, pools=pools), damaged=there, **fields)


def test_alone_it_changes_nothing() -> None:
    assert damaged(running()).plan() == "nothing to do"


def test_a_reload_waits_and_routes_do_not() -> None:
    scene = damaged(running(), spec=LOGGED, table=table_of("files", "wiki"))
    assert scene.plan() == (
        "[1] write 2 routes, with other pools for wiki (stale)\n"
        "[2] change routes of haproxy-1 (stale)\n"
        f"waiting: {OF_FILES}"
    )
    assert scene.planned().requeue_after == 1.0


def test_one_that_has_lost_the_replicas_as_well_is_reloaded() -> None:
    """What waits for one with the replicas does not wait for the other one."""
    scene = running(SPEC.model_copy(update={"replicas": 2}), structure="former", slots=(1, 2))
    scene.containers.append(container("haproxy-2", scene.spec))
    assert damaged(scene).plan() == f"[1] reload haproxy-2 (outdated)\nwaiting: {OF_FILES}"


def _structure(scene: Scene) -> str:
    return running(scene.spec).written.structure


def test_a_removed_file_is_not_replaced_by_one_without_servers() -> None:
    scene = damaged(running())
    removed = {name: said for name, said in scene.written.pools.items() if name != "h001"}
    scene = replace(scene, written=replace(scene.written, pools=removed, structure=""))
    assert scene.plan() == f"waiting: {OF_FILES}"


@pytest.mark.parametrize("spec", [SPEC, ON_HOST], ids=["published", "host"])
def test_another_haproxy_waits_while_one_serves_the_replicas(spec: Any) -> None:
    scene = damaged(running(spec), spec=spec.model_copy(update={"image": "haproxy:3.2"}))
    scene = replace(scene, written=replace(scene.written, structure=_structure(scene), image="haproxy:3.2"))
    assert scene.plan() == f"[1] name slots 1, 2 (stale)\nwaiting: {OF_FILES}"


def test_one_that_was_created_is_not_started() -> None:
    scene = damaged(running(SPEC.model_copy(update={"replicas": 2}), slots=(1, 2)))
    scene.containers.append(container("haproxy-2", scene.spec, state=State.CREATED))
    assert scene.plan() == f"waiting: {OF_FILES}"
    assert replace(scene, damaged={}).plan() == "[1] start haproxy-2 (missing)"


@pytest.mark.parametrize(
    "holder",
    [
        container("gateway-1", state=State.EXITED),
        container("gateway-1", started=NOW - timedelta(minutes=1)),
        container("gateway-1", id="another"),
    ],
    ids=["ended", "started again", "another one"],
)
def test_a_new_one_does_not_wait_for_one_that_no_request_comes_to(holder: Container) -> None:
    scene = damaged(running())
    scene.containers[:] = [holder, container("haproxy-1", namespace=LONG_AGO)]
    if holder.state is State.EXITED:
        scene.containers.append(container("gateway-2", id="gateway-2"))
    assert "create haproxy in slot 2" in scene.plan()
    assert OF_FILES not in scene.plan()


def test_a_node_without_one_that_serves_does_not_wait_for_another_node() -> None:
    bare = node("b", 0, container("gateway-1", ON_NODES, id="b-gateway"))
    scene = damaged(on(node("a", 1), bare), "a-haproxy")
    assert scene.plan() == (
        "[1] name slots 1 on a, 3 on b (stale)\n[2] create haproxy in slot 3 on b (missing)"
    )


def test_each_node_waits_by_itself_for_what_is_written() -> None:
    spec = ON_NODES.model_copy(update={"access_log": True})
    scene = damaged(on(node("a", 1), node("b", 2), spec=spec), "a-haproxy")
    assert scene.plan() == f"waiting: {OF_FILES}"
    written = replace(scene.written, structure=_structure(scene))
    assert (
        replace(scene, written=written, structure="former").plan()
        == f"[1] reload b-haproxy-2 on b (outdated)\nwaiting: {OF_FILES}"
    )
