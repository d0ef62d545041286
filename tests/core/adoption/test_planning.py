"""What cannot be adopted is refused by name; what can is told with the time for which it is away."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from reconciler.core.adoption.found import FoundContainer, FoundMount, FoundProject
from reconciler.core.adoption.planning import OPENING_SECONDS, AdoptionPlan, at_odds, plan_adoption, refusals
from reconciler.core.adoption.record import Adoption
from reconciler.core.assess.observation import State
from reconciler.core.compose.project import Kept
from reconciler.core.desired.stack import Role
from tests.simulation.services import Wish, build_stack

STACK = build_stack(Wish(plugin="stateful", replicas=1).service())
KEPT = Kept(frozenset({"shop_data"}), frozenset({"shop_default"}))
DOCUMENT: dict[str, Any] = {"services": {"web": {}, "database": {}, "worker": {}, "migrate": {}}}
DRAFT = Adoption("files", "shop", web="web", volumes=KEPT.volumes, networks=KEPT.networks)


def container(service: str, **more: Any) -> FoundContainer:
    return FoundContainer(
        **{
            "id": f"{service}-id",
            "name": f"shop-{service}-1",
            "service": service,
            "state": State.RUNNING,
            "files": ("/srv/shop/compose.yaml",),
            "hash": f"hash of {service}",
            "version": "2.26.1",
            "restart": "unless-stopped",
            **more,
        }
    )


MIGRATE = container("migrate", state=State.EXITED, exit_code=0, restart="no")
DATABASE = container("database", mounts=(FoundMount("shop_data", "/data"),))
WEB = container("web", ports={8000: 8080})


def project(*containers: FoundContainer, **more: Any) -> FoundProject:
    hashes = {name: f"hash of {name}" for name in DOCUMENT["services"]}
    return FoundProject("shop", containers, **{"hashes": hashes, "version": "2.26.1", **more})


def refused(found: FoundProject, *left: str, **body: Any) -> list[str]:
    document = {"services": {**DOCUMENT["services"], "worker": body}}
    return list(refusals(found, document, KEPT, left))


def test_a_project_that_runs_as_its_file_says() -> None:
    assert refused(project(DATABASE, MIGRATE, WEB, container("worker"))) == []


@pytest.mark.parametrize(
    ("found", "message"),
    [
        (container("web", hash="old"), "shop-web-1: it does not run what services.web of the present Compose file says"),
        (container("debug"), "shop-debug-1: service debug is not in the present Compose file; name its profile"),
        (
            container("web", mounts=(FoundMount("0123", "/uploads"),)),
            "shop-web-1: /uploads is an anonymous volume with data, which belongs to this container only; name the volume",
        ),
    ],
)  # fmt: skip
def test_what_would_lose_something_is_refused(found: FoundContainer, message: str) -> None:
    (said,) = refused(project(found))
    assert said.startswith(message)


def test_all_reasons_are_told_at_once() -> None:
    assert len(refused(project(container("web", hash="x"), container("debug")))) == 2


@pytest.mark.parametrize("size", [0, 4096, -1, None])
def test_only_an_anonymous_volume_with_data_matters(size: int | None) -> None:
    found = project(
        container("web", mounts=(FoundMount("0123", "/x"),)), sizes={} if size is None else {"0123": size}
    )
    assert bool(refused(found)) is (size != 0), "what the engine does not know may be data"
    assert refused(found, "web") == []


def test_a_job_that_is_done_leaves_nothing() -> None:
    assert refused(project(replace(MIGRATE, mounts=(FoundMount("0123", "/x"),)))) == []


def test_hashes_of_another_compose_are_not_compared() -> None:
    found = project(container("web", hash="x", version="2.20.0"), DATABASE)
    assert refused(found) == []
    assert "made by Compose 2.20.0 and this is 2.26.1" in planned(found).notes[0]


@pytest.mark.parametrize("key", ["network_mode", "pid", "ipc"])
def test_shared_namespaces_are_refused(key: str) -> None:
    (said,) = refused(project(DATABASE), **{key: "service:web"})
    assert said.startswith(f"services.worker.{key}: it shares a namespace of another container")


@pytest.mark.parametrize(
    ("found", "message"),
    [
        (
            container("web", state=State.EXITED, exit_code=0),
            "shop-web-1: it is exited; start it, or remove it",
        ),
        (
            container("database", state=State.EXITED, exit_code=0, restart="no"),
            "shop-database-1: it is exited",
        ),
        (container("web", state=State.PAUSED), "shop-web-1: it is paused"),
        (container("web", state=State.RESTARTING), "shop-web-1: it is restarting"),
        (container("migrate", state=State.EXITED, exit_code=1, restart="no"), "shop-migrate-1: it is exited"),
        (
            container("migrate", restart="no"),
            "shop-migrate-1: it is a job that is still running; wait for its end",
        ),
        (replace(MIGRATE, restart="on-failure"), ""),
        (MIGRATE, ""),
    ],
)
def test_what_does_not_run_is_not_started_by_the_way(found: FoundContainer, message: str) -> None:
    said = list(at_odds(project(found), STACK))
    assert len(said) == bool(message)
    assert all(text.startswith(message) for text in said)


def test_a_service_that_was_scaled_is_not_cut_down() -> None:
    found = project(DATABASE, container("worker"), container("worker", id="2"))
    (said,) = at_odds(found, STACK)
    assert said.startswith("services.worker: 2 containers run, and the Compose file says 1")


def planned(found: FoundProject, *, waits: bool = False, http: int = 8080) -> AdoptionPlan:
    return plan_adoption(found, STACK, DRAFT, waits=waits, http=http, free_port=30000)


WHOLE = project(DATABASE, MIGRATE, WEB, container("worker"))


def test_the_plan_of_a_web_service_that_runs_beside_the_old_one() -> None:
    plan = planned(WHOLE)
    assert [str(each) for each in plan.takeovers] == [
        "migrate (job): is done, and is not run again",
        "web (web): new ones become ready behind HAProxy on port 30000; then port 8080 is closed while the former "
        "containers end (at most 10 s) and HAProxy opens it (about 5 s)",
        "database (dependency): shop-database-1 ends (at most 10 s), then one of the controller starts on its volumes; "
        "requests wait in HAProxy meanwhile, at most 30 s",
        "worker (dependency): shop-worker-1 ends (at most 10 s), then one of the controller starts on its volumes",
    ]
    record = plan.record
    assert (record.waits, record.beside, record.order) == (False, 30000, ("database", "worker"))
    assert [each.name for each in record.former] == [each.name for each in WHOLE.containers]
    revisions = {w.name: w.revision for w in STACK.of(Role.DEPENDENCY, Role.JOB)}
    assert record.revisions == revisions
    assert plan.document["steps"][1] == {
        "service": "web",
        "role": "web",
        "containers": ["shop-web-1"],
        "refusedSeconds": OPENING_SECONDS + 10,
        "requestsWait": False,
        "stopsWithinSeconds": 10.0,
        "text": plan.takeovers[1].text,
    }


def test_one_that_writes_ends_first() -> None:
    plan = planned(WHOLE, waits=True)
    assert plan.takeovers[1].text == (
        "writes to a volume, so its containers end first: port 8080 is closed while they end (at most 10 s) and HAProxy "
        "starts (about 5 s), then requests wait until it is ready, at most 30 s"
    )
    assert (plan.record.waits, plan.record.beside) == (True, 0)


def test_on_another_port_no_request_is_lost_and_the_old_one_closes() -> None:
    plan = planned(WHOLE, http=9090)
    assert (plan.takeovers[1].refused, plan.record.beside) == (0, 0)
    assert plan.takeovers[1].text == (
        "new ones become ready behind HAProxy on port 9090, where no request is lost; then the former ones end; port 8080 "
        "closes with shop-web-1"
    )


def test_a_web_service_without_a_container_is_started() -> None:
    plan = planned(project(DATABASE), waits=True)
    assert plan.record.waits is False
    assert "services.web: has no container; it is started" in plan.notes
    assert [each.text for each in plan.takeovers if not each.containers][1:] == [
        "has no container, and is started"
    ] * 2


def test_ports_of_others_close() -> None:
    found = project(container("database", ports={5432: 15432}), WEB)
    assert planned(found).notes == ("services.database: port 15432 of the host, now its 5432, closes",)
