"""Plugins are checked by the lint and by admission, and described for programs."""

from __future__ import annotations

from pathlib import Path

import pytest

from reconciler.app.plugins import finding_documents, lint_plugins, plugin_document
from vault_plugins.contract import PluginError
from vault_plugins.registry import discover

MOUNTS = """
from vault_plugins import VaultServicePlugin

class Mounts(VaultServicePlugin):
    metadata = VaultServicePlugin.Metadata(name="Mounts", slug="mounts", default_port=8080)

    def build_compose(self, env):
        return {"services": {"web": {"image": "example/web:1", "privileged": True}}}

    def get_containers(self):
        return ["web"]
"""


def test_what_admission_refuses_is_a_finding_too(tmp_path: Path) -> None:
    (tmp_path / "mounts").mkdir()
    (tmp_path / "mounts" / "plugin.py").write_text(MOUNTS)
    registry = discover([tmp_path])
    found = lint_plugins(registry, ["mounts"], {})
    assert list(found) == ["mounts"]
    assert any("privileged" in each["message"] for each in finding_documents(found))
    assert plugin_document(registry.get("mounts"))["port"] == 8080


def test_an_unknown_plugin_is_an_error() -> None:
    with pytest.raises(PluginError, match="whoam"):
        lint_plugins(discover([]), ["whoam"], {})
