"""The Compose file of a service up to its stack: what the operator's rules say, and what is kept for a rollback."""

from __future__ import annotations

import stat
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from reconciler.api import PermanentError, VaultService
from reconciler.api.compose_file import ComposeFile
from reconciler.controller.reconcile.builder import Builder
from reconciler.controller.reconcile.compose_project import KEPT, with_content
from reconciler.core.admission import HostRoot, Policy
from reconciler.core.compose.project import Project
from reconciler.core.desired.stack import Role, Stack
from reconciler.engines.errors import EngineError
from reconciler.engines.host_files import look
from reconciler.proxy.haproxy.front import FRONT
from vault_plugins.registry import Registry

PASSWORD = "hunter22-of-the-file"


class Reader:
    """Reads what a test wrote."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.app: dict[str, Any] = {"image": "app:1", "ports": [{"target": 80}]}
        self.variables: dict[str, str] = {}

    def read(self, project: str, compose: ComposeFile, variables: Mapping[str, str], base: Path) -> Project:
        self.variables = dict(variables)
        return Project(
            name=project,
            document={"services": {"app": self.app}},
            directory=self.directory,
            secrets=frozenset({PASSWORD}),
            place_of=lambda place: "compose.yaml:7" if place.startswith("services.app") else "",
            image_prefix="app",
        )


@pytest.fixture
def reader(tmp_path: Path) -> Reader:
    directory = tmp_path / "app"
    directory.mkdir()
    return Reader(directory)


@pytest.fixture
def builder(tmp_path: Path, reader: Reader) -> Builder:
    def directory(name: str) -> Path:
        path = tmp_path / "state" / name
        path.mkdir(parents=True, exist_ok=True)
        return path

    return Builder(
        Registry([]), directory, Policy(look=look), FRONT, key=b"key", projects=lambda: reader, keeps=True
    )


def service(compose: Mapping[str, Any] | None = None, **spec: Any) -> VaultService:
    written = {"compose": {"file": "/x/compose.yaml", **(compose or {})}, **spec}
    return VaultService.model_validate({"metadata": {"name": "notes"}, "spec": written})


def image(stack: Stack) -> str:
    return stack.of(Role.WEB)[0].image


def test_it_is_built_like_a_plugin(builder: Builder, reader: Reader) -> None:
    stack = builder.build(service(replicas=3, env={"A": "1"}))
    (web,) = stack.of(Role.WEB)
    assert (web.name, web.port, web.replicas) == ("app", 80, 3)
    assert reader.variables == {"A": "1"}
    assert any(
        text.startswith("compose.yaml:7: services.app: is asked on port 80") for text in stack.warnings
    )


def test_replicas_are_those_of_the_manifest_then_those_of_the_file(builder: Builder, reader: Reader) -> None:
    reader.app["deploy"] = {"replicas": 2}
    assert builder.build(service()).replicas == 2
    assert builder.build(service(replicas=5)).replicas == 5


def test_a_refusal_names_file_and_line_and_no_secret(builder: Builder, reader: Reader) -> None:
    reader.app["volumes"] = [{"type": "bind", "source": f"/root/{PASSWORD}", "target": "/x"}]
    with pytest.raises(PermanentError) as refused:
        builder.build(service())
    assert "compose.yaml:7: services.app.volumes[0]: " in str(refused.value)
    assert "--host-path" in str(refused.value)
    assert PASSWORD not in str(refused.value)


def test_the_directory_of_the_file_may_be_read_and_no_more(builder: Builder, reader: Reader) -> None:
    mount = {"type": "bind", "source": str(reader.directory), "target": "/x", "read_only": True}
    reader.app["volumes"] = [mount]
    builder.build(service())
    mount["read_only"] = False
    with pytest.raises(PermanentError, match=r"may only be read \(writable-path\); .* --host-path for it"):
        builder.build(service())
    opened = replace(builder.policy, host_roots=(HostRoot(str(reader.directory.parent)),))
    replace(builder, policy=opened).build(service())
    closed = replace(builder.policy, host_roots=(HostRoot(str(reader.directory), False),))
    with pytest.raises(PermanentError, match="may only be read"):
        replace(builder, policy=closed).build(service())


@pytest.mark.parametrize("path", ["..", "../beside", "link", "link/x"])
def test_what_is_outside_of_the_directory_may_not_be_read(
    builder: Builder, reader: Reader, path: str
) -> None:
    beside = reader.directory.parent / "beside"
    beside.mkdir()
    (beside / "x").touch()
    (reader.directory / "link").symlink_to(beside)
    source = str(reader.directory / path)
    reader.app["volumes"] = [{"type": "bind", "source": source, "target": "/x", "read_only": True}]
    with pytest.raises(PermanentError, match="a path of the host that the operator has not opened"):
        builder.build(service())


def test_a_file_elsewhere_than_below_the_manifest_is_refused(builder: Builder) -> None:
    for file in ("../compose.yaml", "a/../../compose.yaml"):
        with pytest.raises(PermanentError, match=r"spec.compose.file: .* is not beside the manifest"):
            builder.build(service({"file": file}), Path("/manifests"))
    builder.build(service({"file": "a/../compose.yaml"}), Path("/manifests"))


def test_a_former_content_runs_again(builder: Builder, reader: Reader, tmp_path: Path) -> None:
    before = builder.build(service())
    reader.app["image"] = "app:2"
    after = builder.build(service())
    assert (image(before), image(after)) == ("app:1", "app:2")
    assert before.content != after.content
    recorded = with_content(service().spec, before.content)
    again = builder.build(service().model_copy(update={"spec": recorded}))
    assert (again.revision, again.content, image(again)) == (before.revision, before.content, "app:1")
    for path in (tmp_path / "state").rglob("compose.yaml"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_an_image_that_compose_builds_runs_by_its_id(builder: Builder, reader: Reader) -> None:
    images = {"app-app": "sha256:" + "a" * 64}
    builder = replace(builder, image_id=lambda name: images.get(name, ""))
    reader.app = {"build": {"context": "."}, "ports": [{"target": 80}]}
    before = builder.build(service())
    assert image(before) == "sha256:" + "a" * 64
    assert not any("build" in text for text in before.warnings)
    images["app-app"] = "sha256:" + "b" * 64
    after = builder.build(service())
    assert image(after) == "sha256:" + "b" * 64
    assert after.revision != before.revision
    # A rollback has the image that was built before.
    recorded = with_content(service().spec, before.content)
    again = builder.build(service().model_copy(update={"spec": recorded}))
    assert (again.revision, image(again)) == (before.revision, image(before))
    # The manifest's image wins, and the one of the file is not asked for.
    images.clear()
    assert image(builder.build(service(images={"app": "other:1"}))) == "other:1"


def test_an_image_that_was_never_built_is_asked_for_with_the_command(
    builder: Builder, reader: Reader
) -> None:
    reader.app = {"build": {"context": "."}, "image": "r.test/notes:1", "ports": [{"target": 80}]}
    with pytest.raises(PermanentError) as refused:
        builder.build(service())
    assert str(refused.value) == (
        "compose.yaml:7: services.app.build: the controller does not build, and this machine has no image r.test/notes:1; "
        f"run `docker compose build app` in {reader.directory}"
    )
    # For `validate`, perhaps on another machine, it is a warning.
    looked_at = replace(builder, keeps=False).build(service())
    assert image(looked_at) == "r.test/notes:1"
    assert any("run `docker compose build app`" in text for text in looked_at.warnings)


def test_an_engine_that_is_away_changes_no_image(builder: Builder, reader: Reader) -> None:
    def away(name: str) -> str:
        raise EngineError("the engine does not answer")

    builder = replace(builder, image_id=away)
    reader.app = {"build": {"context": "."}, "ports": [{"target": 80}]}
    with pytest.raises(EngineError):
        builder.build(service())
    assert image(replace(builder, keeps=False).build(service())) == "app-app"


def test_a_name_that_no_image_can_have_is_not_asked_for(builder: Builder, reader: Reader) -> None:
    asked: list[str] = []

    def ask(name: str) -> str:
        asked.append(name)
        return ""

    reader.app = {"build": {"context": "."}, "image": "../../info", "ports": [{"target": 80}]}
    with pytest.raises(PermanentError, match="image must be an image reference"):
        replace(builder, image_id=ask).build(service())
    assert asked == []


def test_a_content_that_is_not_kept_is_named(builder: Builder) -> None:
    with pytest.raises(PermanentError, match=r"spec.compose.content: v1-0123456789ab is not kept any more"):
        builder.build(service({"content": "v1-0123456789ab"}))


def test_as_many_contents_are_kept_as_are_needed(builder: Builder, reader: Reader, tmp_path: Path) -> None:
    for number in range(KEPT + 3):
        reader.app["image"] = f"app:{number}"
        builder.build(service())
    assert len([*(tmp_path / "state" / "notes" / "contents").iterdir()]) == KEPT


def test_a_look_keeps_nothing(builder: Builder, tmp_path: Path) -> None:
    stack = replace(builder, keeps=False).build(service())
    assert stack.content
    assert not (tmp_path / "state" / "notes" / "contents").exists()


def test_a_plugin_of_that_name_is_one_as_before(builder: Builder) -> None:
    named = VaultService.model_validate({"metadata": {"name": "notes"}, "spec": {"plugin": "compose"}})
    with pytest.raises(
        PermanentError, match=r"there is no plugin 'compose'.*spec\.compose says which Compose file"
    ):
        builder.build(named)
