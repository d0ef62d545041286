"""The lint: a good plugin has no findings, and each rule finds exactly its own mistake."""

from collections.abc import Callable
from pathlib import Path
from textwrap import dedent

import pytest

from vault_plugins.lint import RULES, Finding, lint, readme_of
from vault_plugins.loading import LoadedPlugin
from vault_plugins.registry import discover

WritePlugin = Callable[..., Path]

README = "# files\n\n## Settings\n\n## Default credentials\n\n## Security considerations\n"

SOURCE = """
    from vault_plugins import PluginSettingError, VaultServicePlugin

    class FilesPlugin(VaultServicePlugin):
        metadata = VaultServicePlugin.Metadata(name="F", slug="files", default_port=80, description="Keeps files.")
        dependencies = ("db",)
        default_environment = {"MODE": "fast"}

        def build_compose(self, env):
            web = {
                "image": "example/files:1.0",
                "environment": {"MODE": env["MODE"], "API_TOKEN": env.get("API_TOKEN", "")},
                "networks": ["vault-net"],
                "healthcheck": {"test": ["CMD", "true"]},
                "deploy": {"replicas": self.resolve_replicas(env)},
            }
            db = {"image": "host:5000/db@sha256:0a", "healthcheck": {"test": ["CMD", "true"]}}
            return {"services": {"web": web, "db": db}}

        def get_containers(self):
            return ["web"]
"""


@pytest.fixture
def load(write_plugin: WritePlugin, tmp_path: Path) -> Callable[[str], LoadedPlugin]:
    def from_source(source: str) -> LoadedPlugin:
        write_plugin("files", dedent(source))
        return discover([tmp_path / "plugins"]).get("files")

    return from_source


def test_a_good_plugin_has_no_findings(load: Callable[[str], LoadedPlugin]) -> None:
    assert lint(load(SOURCE), {"API_TOKEN": "given"}, README) == ()


MISTAKES = [
    ("description", 'description="Keeps files."', 'description=""', "metadata has no description"),
    (
        "determinism",
        '"true"]}}\n',
        '"true"]}, "labels": [str(id(web))]}\n',
        "two builds with the same settings differ in db",
    ),
    (
        "names",
        'return ["web"]',
        'return ["web", "wob"]',
        "get_containers() names 'wob', the services are: web, db",
    ),
    ("names", '("db",)', '("db", "cache")', "dependencies names 'cache', the services are: web, db"),
    ("names", 'return ["web"]', "return []", "get_containers() names no service"),
    ("replicas", "self.resolve_replicas(env)", "1", "VAULT_WEB_REPLICAS changes nothing in the fragment"),
    ("image", "files:1.0", "files:latest", "services.web: example/files:latest has a tag that can change"),
    ("image", "files:1.0", "files", "services.web: example/files has a tag that can change"),
    (
        "image",
        "example/files:1.0",
        "host:5000/files",
        "services.web: host:5000/files has a tag that can change",
    ),
    ("image", '"image": "example/files:1.0",', "", "services.web has no image"),
    ("network", '["vault-net"]', '["control-net"]', "services.web is not on vault-net"),
    ("network", '["vault-net"]', '{"control-net": {}}', "services.web is not on vault-net"),
    (
        "ports",
        '"networks"',
        '"ports": ["80:80"], "networks"',
        "services.web publishes ports, which replicas cannot share",
    ),
    ("healthcheck", '@sha256:0a", "healthcheck"', '@sha256:0a", "x"', "services.db has no healthcheck"),
    (
        "secret",
        '"API_TOKEN", ""',
        '"API_TOKEN", "changeme"',
        "services.web: API_TOKEN has a value that is not from the settings",
    ),
    (
        "secret",
        '{"MODE": env',
        '{"DB_PASS": "x", "MODE": env',
        "services.web: DB_PASS has a value that is not from the settings",
    ),
]


@pytest.mark.parametrize(("rule", "right", "wrong", "message"), MISTAKES)
def test_each_mistake_is_found_and_nothing_else(
    load: Callable[[str], LoadedPlugin], rule: str, right: str, wrong: str, message: str
) -> None:
    assert right in SOURCE
    findings = lint(load(SOURCE.replace(right, wrong)), {}, README)
    assert [(finding.rule, finding.message) for finding in findings] == [(rule, message)]
    assert findings[0].fix


def test_environment_as_a_list_is_read_too(load: Callable[[str], LoadedPlugin]) -> None:
    source = SOURCE.replace(
        '"healthcheck": {"test": ["CMD", "true"]}}\n',
        '"healthcheck": {"x": 1}, "environment": ["A", "X_TOKEN=1"]}\n',
    )
    findings = lint(load(source), {}, README)
    assert [finding.message for finding in findings] == [
        "services.db: X_TOKEN has a value that is not from the settings"
    ]


def test_a_switch_that_is_named_like_a_secret_is_none(load: Callable[[str], LoadedPlugin]) -> None:
    assert (
        lint(load(SOURCE.replace('{"MODE": env', '{"RANDOM_PASSWORD": "yes", "MODE": env')), {}, README) == ()
    )


def test_a_job_needs_no_healthcheck(load: Callable[[str], LoadedPlugin]) -> None:
    source = SOURCE.replace(
        '@sha256:0a", "healthcheck": {"test": ["CMD", "true"]}', '@sha256:0a", "restart": "no"'
    )
    assert lint(load(source), {}, README) == ()


@pytest.mark.parametrize(("root", "rules"), [("long-enough-for-one", []), ("short", ["secret"])])
def test_a_secret_may_be_made_from_a_long_setting(
    load: Callable[[str], LoadedPlugin], root: str, rules: list[str]
) -> None:
    source = SOURCE.replace('env.get("API_TOKEN", "")', '"api:" + env["ROOT"]')
    assert [finding.rule for finding in lint(load(source), {"ROOT": root}, README)] == rules


@pytest.mark.parametrize("section", ["settings", "credentials", "security"])
def test_a_readme_needs_each_section(load: Callable[[str], LoadedPlugin], section: str) -> None:
    readme = "\n".join(line for line in README.splitlines() if section not in line.lower()) + f"\n{section}\n"
    message = f"README.md has no section about {section}"
    assert lint(load(SOURCE), {}, readme) == (
        Finding("readme", message, f"add a heading with {section!r} in it"),
    )


def test_a_plugin_needs_a_readme(load: Callable[[str], LoadedPlugin], tmp_path: Path) -> None:
    loaded = load(SOURCE)
    assert readme_of(loaded) is None
    assert [finding.rule for finding in lint(loaded, {}, readme_of(loaded))] == ["readme"]
    (loaded.path.parent / "README.md").write_text(README)
    assert readme_of(loaded) == README


def test_a_directory_should_be_named_like_its_slug(write_plugin: WritePlugin, tmp_path: Path) -> None:
    write_plugin("other", SOURCE)
    findings = lint(discover([tmp_path / "plugins"]).get("files"), {}, README)
    assert [(finding.rule, finding.message) for finding in findings] == [
        ("slug", "the directory is 'other', the slug 'files'")
    ]


@pytest.mark.parametrize(
    "failure", ["1 / 0", "raise SystemExit", "return None", 'return {"services": {"web": 1}}']
)
def test_a_plugin_that_does_not_build_is_one_finding(
    load: Callable[[str], LoadedPlugin], failure: str
) -> None:
    source = SOURCE.replace("web = {\n", f"{failure}\n            web = {{\n")
    assert [finding.rule for finding in lint(load(source), {}, README)] == ["build"]


def test_a_setting_that_is_missing_is_said_as_the_plugin_says_it(load: Callable[[str], LoadedPlugin]) -> None:
    source = SOURCE.replace("web = {\n", "raise PluginSettingError('KEY is not set')\n            web = {\n")
    fix = "lint it with the settings that it requires"
    assert lint(load(source), {}, README) == (Finding("settings", "KEY is not set", fix),)


def test_a_plugin_that_refuses_more_replicas_may_ignore_them(load: Callable[[str], LoadedPlugin]) -> None:
    refusal = """
        def resolve_replicas(self, env):
            if super().resolve_replicas(env) > 1:
                raise PluginSettingError("one only")
            return 1
    """
    assert lint(load(SOURCE + refusal), {}, README) == ()


def test_the_guides_example_runs_and_is_told_what_it_could_do_better(samples: Path) -> None:
    loaded = discover([samples]).get("myservice")
    found = {finding.rule for finding in lint(loaded, {}, readme_of(loaded))}
    assert found == {"readme", "description", "image", "ports", "healthcheck"}


def test_every_rule_is_listed_once() -> None:
    assert len(set(RULES)) == len(RULES)
