"""Plugins of the original's later dialect run as they are."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from reconciler.api import VaultService
from reconciler.core.desired.build import build
from reconciler.core.desired.stack import Role, Site
from reconciler.proxy.haproxy.front import FRONT
from tests.plugins.conftest import WritePlugin
from vault_plugins.registry import discover

LATER = '''
    from common.constants import REPO_ROOT
    from common.env import resolve_env_file_name

    from vault_plugins import VaultServicePlugin


    class FilesPlugin(VaultServicePlugin):
        name = "old_files"
        replicas = 3
        min_replicas = 2
        web_port = 8081
        healthcheck_path = "health"
        dependencies = ("old_files_db",)

        def build_compose(self, env):
            self.setup(env)
            web = {
                "build": {"context": str(REPO_ROOT / "docker" / "files")},
                "env_file": [resolve_env_file_name(REPO_ROOT)],
                "environment": {"SECRET": "${OLD_SECRET:?set OLD_SECRET}", "MODE": "${OLD_MODE:-plain}"},
                "volumes": ["old-files:/srv"],
                "networks": ["vault-net"],
                "depends_on": {
                    "haproxy": {"condition": "service_healthy"},
                    "docker-proxy": {"condition": "service_healthy"},
                    "old_files_db": {"condition": "service_started"},
                },
            }
            services = {each: {**web, "container_name": each} for each in self.get_containers()}
            services["old_files_db"] = {
                "image": "postgres:16", "container_name": "db", "depends_on": ["haproxy"],
                "env_file": ".env", "environment": ["POSTGRES_DB=files", "OLD_MODE=own", "OLD_SECRET"],
            }
            return {"services": services, "volumes": {"old-files": {}}}
'''  # fmt: skip


def service(**spec: Any) -> VaultService:
    written = {"plugin": "old-files", "env": {"OLD_SECRET": "s$1"}, **spec}
    return VaultService.model_validate({"metadata": {"name": "files"}, "spec": written})


def stack_of(path: Path, **spec: Any) -> Any:
    plugin = discover([path.parents[1]]).get("old-files").create()
    return build(service(**spec), plugin, Site(Path("/state"), 99, 99), front=FRONT)


@pytest.fixture
def path(write_plugin: WritePlugin, tmp_path: Path) -> Path:
    return write_plugin("old_files", LATER, tmp_path / "Leyzen" / "vault_plugins")


def test_its_metadata_are_made_of_its_attributes(path: Path) -> None:
    metadata = discover([path.parents[1]]).get("old-files").plugin.metadata
    assert (metadata.name, metadata.slug, metadata.default_port) == ("old_files", "old-files", 8081)
    assert (metadata.healthcheck_path, metadata.healthcheck_host) == ("/health", "localhost")


@pytest.mark.parametrize(("wanted", "names"), [(None, 3), (1, 2), (2, 2), (4, 4)])
def test_there_is_one_service_for_each_replica(path: Path, wanted: int | None, names: int) -> None:
    stack = stack_of(path, **({} if wanted is None else {"replicas": wanted}))
    assert [each.name for each in stack.of(Role.WEB)] == [f"old_files_web{n}" for n in range(1, names + 1)]
    assert stack.replicas == names


def test_its_fragment_is_one_of_this_stack(path: Path) -> None:
    stack = stack_of(
        path, env={"OLD_SECRET": "s$1", "OLD_OTHER": "x", "VAULT_HTTP_PORT": "1", "DOCKER_PROXY_TOKEN": "y"}
    )
    web = stack.document["services"]["old_files_web1"]
    assert web["image"] == "leyzen-old_files_web1"
    assert web["depends_on"] == {"old_files_db": {"condition": "service_started", "required": True}}
    assert (web["environment"]["SECRET"], web["environment"]["MODE"]) == ("s$1", "plain")
    assert "build" not in web
    assert "env_file" not in web
    database = stack.document["services"]["old_files_db"]
    assert database["environment"] == {
        "OLD_SECRET": "s$1",
        "OLD_OTHER": "x",
        "POSTGRES_DB": "files",
        "OLD_MODE": "own",
    }
    assert not database.get("depends_on")
    assert not [text for text in stack.warnings if "old_files_web1.container_name" in text]


def test_its_properties_follow_the_settings(path: Path) -> None:
    plugin: Any = discover([path.parents[1]]).get("old-files").create()
    plugin.setup({})
    assert (plugin.active_replicas, plugin.backend_healthcheck_path) == (3, "/health")
    plugin.setup(
        {"VAULT_WEB_REPLICAS": "many", "VAULT_WEB_HEALTHCHECK_PATH": "up", "VAULT_WEB_HEALTHCHECK_HOST": "h"}
    )
    assert (plugin.active_replicas, plugin.backend_healthcheck_path, plugin.backend_healthcheck_host) == (
        2,
        "/up",
        "h",
    )
    assert list(plugin.get_containers()) == ["old_files_web1", "old_files_web2"]


def test_a_required_setting_is_asked_for(path: Path) -> None:
    with pytest.raises(Exception, match="OLD_SECRET is required: set OLD_SECRET"):
        stack_of(path, env={})


def test_the_modules_of_the_original_are_there_for_the_import_alone(path: Path) -> None:
    discover([path.parents[1]]).get("old-files")
    assert not [name for name in sys.modules if name.partition(".")[0] == "common"]
    with pytest.raises(ImportError):
        import common  # type: ignore[import-not-found]  # noqa: F401


def test_a_module_of_ones_own_is_preferred(
    write_plugin: WritePlugin, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = tmp_path / "lib" / "common"
    own.mkdir(parents=True)
    (own / "__init__.py").write_text("WORD = 'mine'\n")
    monkeypatch.syspath_prepend(str(own.parent))
    source = """
        from common import WORD
        from vault_plugins import VaultServicePlugin

        class P(VaultServicePlugin):
            name = "p"
            word = WORD

            def build_compose(self, env):
                return {"services": {}}
    """
    path = write_plugin("p", source)
    plugin: Any = discover([path.parents[1]]).get("p").plugin
    assert plugin.word == "mine"


def test_a_class_with_neither_name_nor_metadata_says_what_is_missing(write_plugin: WritePlugin) -> None:
    source = """
        from vault_plugins import VaultServicePlugin

        class P(VaultServicePlugin):
            def build_compose(self, env):
                return {}

            def get_containers(self):
                return []
    """
    path = write_plugin("p", source)
    assert "it has no metadata" in str(discover([path.parents[1]]).broken["p"])
