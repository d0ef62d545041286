"""A plugin that others can change is not loaded."""

from pathlib import Path

import pytest

from vault_plugins.failures import BrokenPluginError
from vault_plugins.permissions import open_to_others
from vault_plugins.registry import discover

PLUGIN = """
from vault_plugins import VaultServicePlugin

class Mine(VaultServicePlugin):
    metadata = VaultServicePlugin.Metadata(name="Mine", slug="mine", default_port=80)

    def build_compose(self, env):
        return {"services": {"web": {"image": "x"}}}

    def get_containers(self):
        return ["web"]
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A search path with one plugin that only its owner can write to."""
    (tmp_path / "around" / "path" / "mine").mkdir(parents=True)
    (tmp_path / "around" / "path" / "mine" / "plugin.py").write_text(PLUGIN)
    for each in (tmp_path, *tmp_path.rglob("*")):
        each.chmod(0o755)
    return tmp_path / "around" / "path"


def test_a_plugin_of_its_owner_is_loaded(root: Path) -> None:
    assert open_to_others(root / "mine") is None
    assert discover([root]).get("mine").slug == "mine"


@pytest.mark.parametrize("place", ["mine/plugin.py", "mine", ".", ".."])
def test_one_that_every_user_can_change_is_refused_with_the_place(root: Path, place: str) -> None:
    path = (root / place).resolve()
    path.chmod(0o777)
    with pytest.raises(BrokenPluginError) as refused:
        discover([root]).get("mine")
    assert f"may write to {path}, " in str(refused.value)
    assert f"chmod -R o-w {path}" in str(refused.value)


def test_a_sticky_directory_around_is_no_reason_but_a_sticky_search_path_is(root: Path) -> None:
    root.parent.chmod(0o1777)
    assert discover([root]).get("mine").slug == "mine"
    root.chmod(0o1777)
    with pytest.raises(BrokenPluginError):
        discover([root]).get("mine")
