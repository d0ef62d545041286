"""The shipped plugins: their fragments as snapshots, and the statements of their READMEs."""

import re
from pathlib import Path

import pytest
import yaml

from tests.plugins.settings import SETTINGS
from vault_plugins import PluginSettingError
from vault_plugins.lint import lint, readme_of
from vault_plugins.registry import discover

SNAPSHOTS = sorted((Path(__file__).parent / "fragments").glob("*.yaml"))
SECRETS = SETTINGS["paperless"]
SHIPPED = tuple(discover([]).plugins)


@pytest.mark.parametrize("path", SNAPSHOTS, ids=lambda path: path.stem)
def test_fragment(path: Path) -> None:
    """The first document is the settings, the second the fragment that they come to. A file is named SLUG or SLUG+CASE."""
    settings, expected = yaml.safe_load_all(path.read_text())
    plugin = discover([]).get(path.stem.partition("+")[0]).create()
    assert plugin.build_compose(settings) == expected


def test_every_shipped_plugin_has_a_snapshot() -> None:
    assert {path.stem.partition("+")[0] for path in SNAPSHOTS} == set(SHIPPED)


@pytest.mark.parametrize("slug", SHIPPED)
def test_the_lint_has_nothing_to_say(slug: str) -> None:
    loaded = discover([]).get(slug)
    assert lint(loaded, SETTINGS.get(slug, {}), readme_of(loaded)) == ()


@pytest.mark.parametrize("slug", SHIPPED)
def test_the_readme_names_every_setting_image_and_volume_that_the_plugin_reads(slug: str) -> None:
    loaded = discover([]).get(slug)
    readme = readme_of(loaded) or ""
    settings = set(re.findall(r'env(?:\.get\(|\[)"(\w+)"', loaded.path.read_text()))
    assert settings
    assert not {name for name in settings if f"`{name}`" not in readme}
    fragment = loaded.create().build_compose(SETTINGS.get(slug, {}))
    images = {service["image"] for service in fragment["services"].values()}
    assert not {image for image in images if image not in readme}


@pytest.mark.parametrize("slug", SHIPPED)
def test_every_service_is_kept_within_limits_and_stops_in_its_own_time(slug: str) -> None:
    for service in discover([]).get(slug).create().build_compose(SETTINGS.get(slug, {}))["services"].values():
        assert set(service["deploy"]["resources"]["limits"]) == {"memory", "pids"}
        assert service["stop_grace_period"]
        assert service["restart"] == ("unless-stopped" if "healthcheck" in service else "no")
        assert "no-new-privileges:true" in service["security_opt"]


@pytest.mark.parametrize("slug", ["filebrowser", "paperless"])
def test_a_single_writer_may_have_a_second_replica_with_a_warning(slug: str) -> None:
    plugin = discover([]).get(slug).create()
    assert plugin.single_writer
    assert plugin.operator_warnings(SECRETS) == []
    twice = {**SECRETS, "VAULT_WEB_REPLICAS": "2"}
    (warning,) = plugin.operator_warnings(twice)
    assert re.match(r"2 replicas .* set spec\.replicas to 1", warning)
    (web,) = plugin.get_containers()
    assert plugin.build_compose(twice)["services"][web]["deploy"]["replicas"] == 2


@pytest.mark.parametrize(
    ("env", "missing"),
    [
        ({}, "PAPERLESS_SECRET_KEY and PAPERLESS_DBPASS must be set"),
        ({"PAPERLESS_SECRET_KEY": "", "PAPERLESS_DBPASS": "x"}, "PAPERLESS_SECRET_KEY must be set"),
        ({"PAPERLESS_SECRET_KEY": "x"}, "PAPERLESS_DBPASS must be set"),
    ],
)
def test_paperless_asks_for_each_secret_that_is_missing(env: dict[str, str], missing: str) -> None:
    with pytest.raises(PluginSettingError, match=rf"^{missing}: .* spec.envFrom"):
        discover([]).get("paperless").create().build_compose(env)


def test_a_setting_of_the_web_service_leaves_database_and_broker_as_they_are() -> None:
    plugin = discover([]).get("paperless").create()
    before = plugin.build_compose(SECRETS)["services"]
    after = plugin.build_compose({**SECRETS, "PAPERLESS_OCR_LANGUAGE": "deu", "VAULT_WEB_PORT": "9000"})[
        "services"
    ]
    assert {name for name in before if before[name] != after[name]} == {"paperless-web"}


def test_no_secret_of_paperless_is_in_a_command_or_in_the_broker() -> None:
    services = discover([]).get("paperless").create().build_compose(SECRETS)["services"]
    for name, service in services.items():
        visible = {key: value for key, value in service.items() if key != "environment"}
        assert not [secret for secret in SECRETS.values() if secret in str(visible)]
        assert ("pa$$word" in str(service)) is (name != "paperless-redis")


def test_whoami_passes_settings_on_and_keeps_those_of_the_operator() -> None:
    env = {"VERSION": "7", "COLOUR": "blue", "VAULT_SERVICE": "whoami", "WHOAMI_IMAGE": "mine:1", "PORT": "1"}
    service = (
        discover([])
        .get("whoami")
        .create()
        .build_compose({**env, "VAULT_WEB_PORT": "9000"})["services"]["whoami"]
    )
    assert service["image"] == "mine:1"
    assert service["environment"] == {"VERSION": "7", "COLOUR": "blue", "PORT": "9000"}


@pytest.mark.parametrize(("ledger", "expected"), [(None, "/ledger/requests.log"), ("/ledger/x", "/ledger/x")])
def test_whoami_keeps_its_ledger_on_the_host_when_asked(ledger: str | None, expected: str) -> None:
    env = {"WHOAMI_LEDGER_DIR": "/var/tmp/ledger"} | ({"LEDGER": ledger} if ledger else {})
    service = discover([]).get("whoami").create().build_compose(env)["services"]["whoami"]
    assert service["environment"]["LEDGER"] == expected
    assert service["volumes"] == [{"type": "bind", "source": "/var/tmp/ledger", "target": "/ledger"}]


def test_the_name_style_of_one_service_per_replica(samples: Path) -> None:
    plugin = discover([samples]).get("files").create()
    fragment = plugin.build_compose({"VAULT_WEB_REPLICAS": "3"})
    assert (
        tuple(plugin.get_containers())
        == ("files_web1", "files_web2", "files_web3")
        == tuple(fragment["services"])
    )
