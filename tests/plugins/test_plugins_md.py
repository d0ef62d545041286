"""docs/plugins.md: every code block works, and its tables are complete."""

import re
import tomllib
from inspect import signature
from pathlib import Path
from typing import Any

import pytest
import yaml

from reconciler.api import load
from vault_plugins import VaultServicePlugin
from vault_plugins.lint import lint
from vault_plugins.registry import ENTRY_POINT_GROUP, Registry, discover

PAGE = (Path(__file__).parents[2] / "docs" / "plugins.md").read_text()
BLOCKS = [
    (match[1], match[2]) for match in re.finditer(r"^```(\w*)\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)
]
TESTS = [code for language, code in BLOCKS if language == "python" and "def test_" in code]
PLUGINS = {
    re.findall(r'slug="(.+?)"', code)[0]: code
    for language, code in BLOCKS
    if language == "python" and code not in TESTS
}
SETTINGS = {"WIKI_DB_PASSWORD": "given"}
README = "## Settings\n## Default credentials\n## Security considerations\n"


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    for slug, code in PLUGINS.items():
        path = tmp_path / "plugins" / slug / "plugin.py"
        path.parent.mkdir(parents=True)
        path.write_text(code)
    return discover([tmp_path / "plugins"])


def test_no_block_is_of_a_kind_that_nobody_checks() -> None:
    assert {language for language, _ in BLOCKS} == {"python", "toml", "yaml"}
    assert len(TESTS) == 1
    assert len(PLUGINS) == 3


@pytest.mark.parametrize("slug", PLUGINS)
def test_every_plugin_on_the_page_passes_the_lint(registry: Registry, slug: str) -> None:
    assert lint(registry.get(slug), SETTINGS, README) == ()


def test_the_wiki_asks_for_its_secret(registry: Registry) -> None:
    with pytest.raises(ValueError, match="WIKI_DB_PASSWORD must be set"):
        registry.get("wiki").create().build_compose({})


def test_the_shards_are_as_many_as_asked_for(registry: Registry) -> None:
    plugin = registry.get("shards").create()
    plugin.build_compose({"VAULT_WEB_REPLICAS": "3"})
    assert list(plugin.get_containers()) == ["shards-web1", "shards-web2", "shards-web3"]


def test_the_manifest_is_valid_and_uses_a_plugin_of_the_page(registry: Registry, tmp_path: Path) -> None:
    path = tmp_path / "notes.yaml"
    path.write_text(next(code for language, code in BLOCKS if language == "yaml"))
    (manifest,) = load(path)
    assert manifest.resource.spec.replicas == 3
    plugin = registry.get(manifest.resource.spec.plugin).plugin
    assert set(yaml.safe_load(path.read_text())["spec"]["env"]) <= set(plugin.default_environment)


def test_the_test_on_the_page_passes(
    registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    namespace: dict[str, Any] = {}
    exec(TESTS[0], namespace)  # noqa: S102 - the page is ours
    tests = [value for name, value in namespace.items() if name.startswith("test_")]
    assert len(tests) == 1
    tests[0]()


def test_the_entry_points_are_of_the_group_that_is_looked_for() -> None:
    toml = next(code for language, code in BLOCKS if language == "toml")
    assert set(tomllib.loads(toml)["project"]["entry-points"]) == {ENTRY_POINT_GROUP}


def test_the_tables_name_the_whole_contract() -> None:
    members = {name for name in vars(VaultServicePlugin) if not name.startswith("_")} - {"Metadata"}
    assert not {name for name in {*members, "metadata"} if f"`{name}" not in PAGE}
    fields = ", ".join(str(parameter).replace("'", '"') for parameter in _metadata_parameters())
    assert f"`VaultServicePlugin.Metadata({fields})`" in PAGE


def test_the_table_of_the_lint_names_every_rule() -> None:
    source = (Path(__file__).parents[2] / "vault_plugins" / "lint.py").read_text()
    rules = set(re.findall(r'Finding\(\s*"([a-z]+)"', source))
    table = PAGE.partition("## What a good plugin comes with")[2].partition("## ")[0]
    assert rules == set(
        re.findall(r"`([a-z]+)`(?=[^|]*\|)", "\n".join(re.findall(r"^\| `.*?\|", table, re.MULTILINE)))
    )


def test_every_link_within_the_page_leads_to_a_heading() -> None:
    headings = {
        re.sub(r"[^a-z -]", "", title.lower()).replace(" ", "-")
        for title in re.findall(r"^## (.+)$", PAGE, re.M)
    }
    assert set(re.findall(r"\]\(#(.+?)\)", PAGE)) == headings


def _metadata_parameters() -> list[str]:
    parameters = signature(VaultServicePlugin.Metadata).parameters.values()
    return [
        parameter.name if parameter.default is parameter.empty else f"{parameter.name}={parameter.default!r}"
        for parameter in parameters
    ]
