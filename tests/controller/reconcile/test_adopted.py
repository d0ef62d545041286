"""A manifest that names a project opens nothing; the record of its adoption opens exactly what it names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from reconciler.api import PermanentError, TemporaryError, VaultService
from reconciler.api.compose_file import ComposeFile
from reconciler.controller.reconcile.builder import Builder
from reconciler.core.admission import AdmissionError, Policy
from reconciler.core.adoption.record import Adoption, FormerContainer, Stage
from reconciler.core.compose.project import Project
from reconciler.core.desired.stack import Role, Stack
from reconciler.engines.host_files import look
from reconciler.proxy.haproxy.front import FRONT
from vault_plugins.registry import Registry

RECORD = Adoption(
    "notes",
    "shop",
    stage=Stage.ADOPTED,
    web="app",
    volumes=frozenset({"shop_data", "archive"}),
    networks=frozenset({"shop_default"}),
)


class Reader:
    """A Compose file with a database; `more` are other volumes."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.volumes: dict[str, Any] = {"data": {"name": "shop_data"}}

    def read(self, project: str, compose: ComposeFile, variables: Mapping[str, str], base: Path) -> Project:
        assert project == (compose.adopted or "vault-notes")
        networks = {"default": None}
        return Project(
            project,
            {
                "services": {
                    "app": {"image": "app:1", "build": {}, "ports": [{"target": 80}], "networks": networks},
                    "db": {
                        "image": "db:1",
                        "volumes": [
                            {"type": "volume", "source": name, "target": f"/{name}"} for name in self.volumes
                        ],
                        "networks": networks,
                    },
                },
                "volumes": self.volumes,
                "networks": {"default": {"name": f"{project}_default", "ipam": {}}},
            },
            directory=self.directory,
            image_prefix="directory",
        )


@pytest.fixture
def reader(tmp_path: Path) -> Reader:
    return Reader(tmp_path)


def built(reader: Reader, record: Adoption | None, **compose: Any) -> Stack:
    def directory(name: str) -> Path:
        path = reader.directory / "state" / name
        path.mkdir(parents=True, exist_ok=True)
        return path

    builder = Builder(
        Registry([]),
        directory,
        Policy(look=look),
        FRONT,
        key=b"key",
        projects=lambda: reader,
        adoptions=lambda name: record if name == "notes" else None,
    )
    file = {"file": str(reader.directory / "compose.yaml"), "web": "app", "port": 80, "adopted": "shop"}
    spec = {"compose": {**file, **compose}, "ports": {"http": 8080}}
    return builder.build(VaultService.model_validate({"metadata": {"name": "notes"}, "spec": spec}))


def test_volumes_and_networks_keep_their_names(reader: Reader) -> None:
    document = built(reader, RECORD).document
    assert document["volumes"] == {"data": {"name": "shop_data", "external": True}}
    assert document["networks"]["default"] == {"name": "shop_default", "external": True}
    assert set(document["services"]["app"]["networks"]) == {"default", "vault-net"}
    assert set(document["services"]["db"]["networks"]) == {"default"}


def test_an_image_that_compose_has_built_has_the_name_of_the_project(reader: Reader) -> None:
    assert built(reader, RECORD).of(Role.WEB)[0].image == "app:1"


def test_what_the_file_says_later_is_new(reader: Reader) -> None:
    reader.volumes["more"] = {"name": "shop_more"}
    volumes = built(reader, RECORD).document["volumes"]
    assert volumes == {"data": {"name": "shop_data", "external": True}, "more": {}}


@pytest.mark.parametrize(
    "body",
    [
        {"name": "shop_secrets"},
        {"name": "other_data", "external": True},
        {"name": "shop_default", "external": True},
    ],
    ids=str,
)
def test_what_the_record_does_not_name_is_refused(reader: Reader, body: dict[str, Any]) -> None:
    """`shop_secrets` is another volume of the same project, `shop_default` a network."""
    reader.volumes["other"] = body
    with pytest.raises(AdmissionError, match=r"volumes\.other\.(external|name): .*foreign-data"):
        built(reader, RECORD)


def test_a_manifest_by_itself_opens_nothing(reader: Reader) -> None:
    message = "spec.compose.adopted: project shop was not adopted as notes on this machine; run `vaultctl adopt shop`"
    for record in (None, replace(RECORD, project="elsewhere")):
        with pytest.raises(PermanentError, match=message):
            built(reader, record)


def test_a_record_opens_nothing_without_the_field(reader: Reader) -> None:
    reader.volumes = {"data": {"name": "vault-notes_data"}}
    assert built(reader, RECORD, adopted=None).document["volumes"] == {"data": {}}
    reader.volumes = {"data": {"name": "archive", "external": True}}
    with pytest.raises(AdmissionError, match="foreign-data"):
        built(reader, RECORD, adopted=None)


def test_external_volumes_of_the_project_are_kept(reader: Reader) -> None:
    reader.volumes = {"data": {"name": "archive", "external": True}}
    assert built(reader, RECORD).document["volumes"] == {"data": {"name": "archive", "external": True}}


def test_haproxy_listens_beside_until_the_old_port_is_free(reader: Reader) -> None:
    for stage, port in ((Stage.STORED, 30000), (Stage.BESIDE, 30000), (Stage.SWITCHED, 8080)):
        assert built(reader, replace(RECORD, stage=stage, beside=30000)).published == port


@pytest.mark.parametrize(
    ("record", "message"),
    [
        (
            replace(RECORD, stage=Stage.STORED, waits=True),
            "notes waits until the containers of app in project shop",
        ),
        (
            replace(RECORD, stage=Stage.UNDOING),
            "notes is going back to project shop; continue: vaultctl adopt shop",
        ),
        (replace(RECORD, stage=Stage.REMOVED, directory="/d"), "notes is being released to /d; continue"),
    ],
)
def test_a_pass_waits_while_the_other_side_has_the_data(
    reader: Reader, record: Adoption, message: str
) -> None:
    with pytest.raises(TemporaryError, match=message):
        built(reader, record)


def test_what_was_released_does_not_start_again(reader: Reader) -> None:
    released = replace(RECORD, stage=Stage.RELEASED, directory="/d")
    with pytest.raises(
        PermanentError, match="notes was released to the Compose project shop in /d, which has its data"
    ):
        built(reader, released, adopted=None)


def test_former_containers_are_in_the_stack(reader: Reader) -> None:
    record = replace(
        RECORD,
        former=(FormerContainer("1", "shop-db-1", "db"),),
        revisions={"db": "v2-x"},
        stage=Stage.MOVING,
    )
    assert [(each.container, each.revision) for each in built(reader, record).former] == [("1", "v2-x")]
    assert built(reader, replace(record, moved=("db",))).former[0].revision == ""
