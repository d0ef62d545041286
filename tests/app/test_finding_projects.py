"""From a name or a file to the plan of an adoption, and the questions that are asked instead."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from reconciler.api import VaultError, VaultService
from reconciler.api.compose_file import ComposeFile
from reconciler.app.finding_projects import Planned, Request, find_plan
from reconciler.controller.reconcile.builder import Builder
from reconciler.core.admission import Policy
from reconciler.core.adoption.found import FoundContainer, FoundProject
from reconciler.core.adoption.record import Adoption, Stage
from reconciler.core.assess.observation import State
from reconciler.core.compose.project import Project
from reconciler.core.desired.stack import Stack
from reconciler.engines.host_files import look
from reconciler.proxy.haproxy.front import FRONT
from tests.app.adoption_world import AdoptionWorld
from vault_plugins.registry import Registry


class Shop(AdoptionWorld):
    """A project of two services on a fake engine; `services` is its Compose file."""

    def __init__(self, directory: Path) -> None:
        super().__init__()
        self.file = directory / "compose.yaml"
        self.file.touch()
        self.directory = directory
        self.services: dict[str, Any] = {
            "app": {"image": "app:1", "ports": [{"target": 80, "published": "8123"}]},
            "db": {"image": "db:1", "volumes": [{"type": "volume", "source": "data", "target": "/data"}]},
        }
        self.found = FoundProject("shop", (self._container("db"), self._container("app", ports={80: 8123})))
        self.names: tuple[str, ...] = ("shop",)

    def _container(self, service: str, **more: Any) -> FoundContainer:
        ours = {"id": service, "name": f"shop-{service}-1", "service": service, "state": State.RUNNING}
        return FoundContainer(
            **{**ours, "files": (str(self.file),), "hash": "1", "version": "2.26.1", **more}
        )

    def changed(self, service: str, **more: Any) -> None:
        changed = (replace(c, **more) if c.service == service else c for c in self.found.containers)
        self.found = replace(self.found, containers=tuple(changed))

    def projects_of(self, file: Path) -> tuple[str, ...]:
        return self.names

    def find(self, project: str, *, ours: bool = False) -> FoundProject:
        return self.found if project == "shop" else FoundProject(project, ())

    def definitions(self, project: str, file: Path, profiles: Sequence[str]) -> tuple[Mapping[str, str], str]:
        return dict.fromkeys(self.services, "1"), "2.26.1"

    def existing(self, kind: str, names: Iterable[str]) -> frozenset[str]:
        return frozenset(names) - {"shop_gone"}

    def read(self, project: str, compose: ComposeFile, variables: Mapping[str, str], base: Path) -> Project:
        services = {name: {"networks": {"default": None}, **body} for name, body in self.services.items()}
        volumes = {"data": {"name": f"{project}_data"}, "gone": {"name": f"{project}_gone"}}
        networks = {"default": {"name": f"{project}_default"}}
        document = {"services": services, "volumes": volumes, "networks": networks}
        return Project(project, document, self.directory, place_of=lambda place: "compose.yaml:7")

    def built(self, service: VaultService, base: Path, record: Adoption) -> Stack:
        def directory(name: str) -> Path:
            return self.directory / "state" / name

        assert record.stage is Stage.ADOPTED, "it is built as it will be in the end"
        builder = Builder(
            Registry([]),
            directory,
            Policy(look=look),
            FRONT,
            key=b"key",
            projects=lambda: self,
            adoptions=lambda name: record,
        )
        return builder.build(service, base)

    def plan(self, **request: Any) -> Planned:
        asked = Request(**{"project": "shop", **request})
        return find_plan(asked, self, self.read, self.built)


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return Shop(tmp_path)


def test_the_manifest_says_what_was_found(shop: Shop) -> None:
    planned = shop.plan()
    assert yaml.safe_load(planned.text) == {
        "apiVersion": "vault.internal/v1alpha1",
        "kind": "VaultService",
        "metadata": {"name": "shop"},
        "spec": {
            "compose": {"file": "compose.yaml", "web": "app", "port": 80, "adopted": "shop"},
            "ports": {"http": 8123},
        },
    }
    record = planned.plan.record
    assert (record.name, record.manifest) == ("shop", str(shop.directory / "shop.yaml"))
    assert (record.volumes, record.networks) == ({"shop_data"}, {"shop_default"}), "only those that exist"
    assert record.stage is Stage.PLANNED
    assert any("moves to HAProxy" in warning for warning in planned.warnings)


def test_a_file_leads_to_its_project(shop: Shop) -> None:
    assert shop.plan(project="", file=shop.file).plan.record.project == "shop"


def test_answers_are_taken(shop: Shop) -> None:
    shop.services["db"]["ports"] = [{"target": 81}]
    with pytest.raises(
        VaultError,
        match=r"set spec\.compose\.web to one of: app \(80\), db \(81\) \(vaultctl adopt has --web",
    ):
        shop.plan()
    spec = yaml.safe_load(shop.plan(web="app", port=8000, http=9000, name="my", profiles=("a",)).text)["spec"]
    assert spec["compose"]["port"] == 8000
    assert spec["compose"]["profiles"] == ["a"]
    assert spec["ports"] == {"http": 9000}


def test_as_many_web_containers_as_run(shop: Shop) -> None:
    second = replace(shop.found.containers[1], id="2", name="shop-app-2", ports={80: 8124})
    shop.found = replace(shop.found, containers=(*shop.found.containers, second))
    planned = shop.plan()
    assert yaml.safe_load(planned.text)["spec"]["replicas"] == 2
    assert "port 8124 closes" in planned.plan.takeovers[0].text


@pytest.mark.parametrize("source", ["uploads", "/srv/uploads"])
def test_a_web_service_that_writes_waits_for_the_old_one(shop: Shop, source: str) -> None:
    kind = "bind" if source.startswith("/") else "volume"
    shop.services["app"]["volumes"] = [
        {"type": kind, "source": "data" if kind == "volume" else str(shop.directory), "target": "/x"}
    ]
    if kind == "bind":
        with pytest.raises(VaultError, match="may only be read"):
            shop.plan()
    else:
        assert shop.plan().plan.record.waits


def test_what_is_not_there_is_said(shop: Shop) -> None:
    for request, message in (
        ({"project": "other"}, "there is no container of a Compose project other"),
        ({"project": "vault-x"}, "vault-x is a project of the controller itself"),
        ({"output": shop.directory / "deep" / "x.yaml"}, "is not in .*/deep, where the manifest goes"),
    ):
        with pytest.raises(VaultError, match=message):
            shop.plan(**request)
    for names, message in (
        ((), "no project runs from it"),
        (("a", "b"), r"more than one project runs from it \(a, b\)"),
    ):
        shop.names = names
        with pytest.raises(VaultError, match=message):
            shop.plan(project="", file=shop.file)


def test_several_files_are_one_question(shop: Shop) -> None:
    shop.changed("db", files=(str(shop.file), "/srv/override.yaml"))
    with pytest.raises(
        VaultError, match=r"from several files .*include: \[\{path: \[override\.yaml, compose\.yaml\]\}\]"
    ):
        shop.plan()


def test_a_file_that_is_gone(shop: Shop) -> None:
    shop.file.unlink()
    with pytest.raises(
        VaultError, match=r"project shop: its Compose file .*compose\.yaml is not there any more"
    ):
        shop.plan()


def test_a_web_service_without_a_port_of_the_host_needs_one(shop: Shop) -> None:
    del shop.services["app"]["ports"][0]["published"]
    with pytest.raises(
        VaultError, match=r"compose\.yaml:7: services\.app: it has no port of the host; say which one"
    ):
        shop.plan()
    assert shop.plan(http=8000).plan.takeovers[0].refused == 0


def test_refusals_have_file_and_line(shop: Shop) -> None:
    shop.changed("db", hash="2")
    with pytest.raises(
        VaultError,
        match=r"project shop cannot be adopted as it is:\n  shop-db-1: .*compose\.yaml:7: services\.db",
    ):
        shop.plan()
