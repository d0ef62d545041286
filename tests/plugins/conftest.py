"""Shared fixtures: plugins that are written into a directory, as their authors would do it."""

from collections.abc import Callable
from pathlib import Path
from textwrap import dedent

import pytest

SAMPLES = Path(__file__).parent / "samples"

GOOD_PLUGIN = """
    from vault_plugins import VaultServicePlugin

    class GoodPlugin(VaultServicePlugin):
        metadata = VaultServicePlugin.Metadata(name="Good", slug="{slug}", default_port=8080)

        def build_compose(self, env):
            return {{"services": {{"good": {{"image": "example/good:1.0"}}}}}}

        def get_containers(self):
            return ("good",)
"""

WritePlugin = Callable[..., Path]


@pytest.fixture
def samples() -> Path:
    """A directory of the search path with `myservice` (the guide's) and `files` (one service per replica)."""
    return SAMPLES


@pytest.fixture
def write_plugin(tmp_path: Path) -> WritePlugin:
    """Write `<root>/<name>/plugin.py` and return its path; by default a good plugin of that name."""

    def write(
        name: str, source: str | None = None, root: Path = tmp_path / "plugins", slug: str | None = None
    ) -> Path:
        path = root / name / "plugin.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(dedent(GOOD_PLUGIN.format(slug=slug or name) if source is None else source))
        return path

    return write
