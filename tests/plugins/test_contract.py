"""The contract: valid metadata, and how the VAULT_* overrides are resolved."""

import re
import subprocess
import sys
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import vault_plugins
from vault_plugins import PluginError, PluginMetadataError, PluginSettingError, VaultServicePlugin

METADATA: dict[str, Any] = {"name": "My Service", "slug": "myservice", "default_port": 8080}


class Plugin(VaultServicePlugin):
    metadata = VaultServicePlugin.Metadata(
        **METADATA, healthcheck_path="/up", healthcheck_host="app.internal"
    )
    min_replicas = 2

    def build_compose(self, env: Mapping[str, str]) -> dict[str, Any]:
        return {"services": {}}

    def get_containers(self) -> list[str]:
        return []


def test_metadata_has_the_defaults_of_the_guide() -> None:
    metadata = VaultServicePlugin.Metadata(**METADATA)
    assert (metadata.healthcheck_path, metadata.healthcheck_host, metadata.description) == ("/", None, "")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", ""),
        ("name", "  "),
        ("name", None),
        ("slug", ""),
        ("slug", "MyService"),
        ("slug", "my_service"),
        ("slug", "1st"),
        ("slug", "-x"),
        ("slug", "a" * 41),
        ("slug", "myservice\n"),
        ("slug", 7),
        ("default_port", 0),
        ("default_port", 65536),
        ("default_port", -1),
        ("default_port", True),
        ("default_port", "8080"),
        ("healthcheck_path", "healthz"),
        ("healthcheck_path", ""),
        ("healthcheck_path", "/a b"),
        ("healthcheck_path", "/a\n"),
        ("healthcheck_path", "/${HOME}"),
        ("healthcheck_path", None),
        ("healthcheck_host", "two words"),
        ("healthcheck_host", ""),
        ("healthcheck_host", "host\r\nX: y"),
        ("description", None),
    ],
)
def test_metadata_that_nothing_could_be_built_from_is_refused(field: str, value: object) -> None:
    with pytest.raises(PluginMetadataError, match=f"metadata: {field} is {re.escape(repr(value))}"):
        VaultServicePlugin.Metadata(**METADATA | {field: value})


@given(st.text())
def test_any_text_is_a_slug_or_an_error(text: str) -> None:
    try:
        slug = VaultServicePlugin.Metadata(**METADATA | {"slug": text}).slug
    except PluginMetadataError:
        return
    assert 1 <= len(slug) <= 40
    assert slug.isascii()
    assert slug.replace("-", "x").isalnum()
    assert slug == slug.lower()


@pytest.mark.parametrize(
    ("value", "port"), [(None, 8080), ("", 8080), (" ", 8080), ("1", 1), (" 9000 ", 9000), ("65535", 65535)]
)
def test_port(value: str | None, port: int) -> None:
    assert Plugin().resolve_port(_env("VAULT_WEB_PORT", value)) == port


@pytest.mark.parametrize("value", ["0", "65536", "-1", "http", "80.5", "8_0", "+80", "٨٠", "9" * 5000])
def test_a_port_that_is_none(value: str) -> None:
    with pytest.raises(
        PluginSettingError, match=re.escape(f"VAULT_WEB_PORT is {value!r}; set it to a port number")
    ):
        Plugin().resolve_port({"VAULT_WEB_PORT": value})


@pytest.mark.parametrize(
    ("value", "replicas"), [(None, 2), ("", 2), ("0", 2), ("1", 2), ("2", 2), ("3", 3), ("1000", 1000)]
)
def test_replicas_never_fall_below_the_minimum(value: str | None, replicas: int) -> None:
    assert Plugin().resolve_replicas(_env("VAULT_WEB_REPLICAS", value)) == replicas


@given(st.text() | st.integers().map(str))
def test_any_text_is_a_count_or_an_error_that_names_it(value: str) -> None:
    count = value.strip() or "0"
    env = {"VAULT_WEB_REPLICAS": value}
    if re.fullmatch("[0-9]{1,9}", count) and int(count) <= 1000:
        assert Plugin().resolve_replicas(env) == max(2, int(count))
    else:
        with pytest.raises(PluginSettingError, match=re.escape(f"VAULT_WEB_REPLICAS is {count!r}")):
            Plugin().resolve_replicas(env)


@pytest.mark.parametrize(
    ("env", "expected"),
    [
        ({}, ("/up", "app.internal")),
        ({"VAULT_HEALTH_PATH": "/short"}, ("/short", "app.internal")),
        ({"VAULT_WEB_HEALTHCHECK_PATH": "/long?full=1"}, ("/long?full=1", "app.internal")),
        ({"VAULT_HEALTH_PATH": "/short", "VAULT_WEB_HEALTHCHECK_PATH": "/long"}, ("/long", "app.internal")),
        ({"VAULT_HEALTH_PATH": "not used", "VAULT_WEB_HEALTHCHECK_PATH": "/long"}, ("/long", "app.internal")),
        ({"VAULT_HEALTH_PATH": "/short", "VAULT_WEB_HEALTHCHECK_PATH": ""}, ("/short", "app.internal")),
        ({"VAULT_WEB_HEALTHCHECK_HOST": "example.org:8443"}, ("/up", "example.org:8443")),
    ],
)
def test_healthcheck(env: dict[str, str], expected: tuple[str, str]) -> None:
    assert Plugin().resolve_healthcheck(env) == expected


def test_without_any_host_the_health_check_asks_localhost() -> None:
    class Hostless(Plugin):
        metadata = VaultServicePlugin.Metadata(**METADATA)

    assert Hostless().resolve_healthcheck({}) == ("/", "localhost")


@pytest.mark.parametrize(
    "variable", ["VAULT_WEB_HEALTHCHECK_PATH", "VAULT_HEALTH_PATH", "VAULT_WEB_HEALTHCHECK_HOST"]
)
@given(value=st.text(alphabet=st.characters(codec="utf-8"), min_size=1))
def test_no_healthcheck_setting_smuggles_anything_into_a_configuration(variable: str, value: str) -> None:
    try:
        path, host = Plugin().resolve_healthcheck({variable: value})
    except PluginSettingError:
        return
    assert path.startswith("/")
    assert not set(path + host) & set(" \t\r\n\0\"'\\${}[]#`;")
    assert (path + host).isascii()


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("VAULT_WEB_HEALTHCHECK_PATH", "healthz"),
        ("VAULT_HEALTH_PATH", "/a b"),
        ("VAULT_WEB_HEALTHCHECK_HOST", "a host"),
    ],
)
def test_a_healthcheck_setting_that_is_refused_is_named(variable: str, value: str) -> None:
    with pytest.raises(PluginSettingError, match=f"^{variable} is {value!r}; set it to a "):
        Plugin().resolve_healthcheck({variable: value})


def test_setting_errors_are_value_errors_and_plugin_errors() -> None:
    assert issubclass(PluginSettingError, ValueError)
    assert issubclass(PluginSettingError, PluginError)
    assert issubclass(PluginMetadataError, ValueError)
    assert issubclass(PluginMetadataError, PluginError)


def test_a_plugin_without_the_two_methods_cannot_be_made() -> None:
    with pytest.raises(TypeError, match="build_compose"):
        VaultServicePlugin()  # type: ignore[abstract]


def test_the_defaults_are_shared_by_all_plugins_and_cannot_be_changed_by_one() -> None:
    with pytest.raises(TypeError):
        VaultServicePlugin.default_environment["X"] = "1"  # type: ignore[index]


def test_the_package_exports_the_contract_and_imports_nothing_else() -> None:
    assert {getattr(vault_plugins, name).__module__ for name in vault_plugins.__all__} == {
        "vault_plugins.contract"
    }
    script = (
        "import sys, vault_plugins; print(*sorted(m for m in sys.modules if m.startswith('vault_plugins')))"
    )
    imported = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=30
    )
    assert imported.stdout.split() == ["vault_plugins", "vault_plugins.contract"]


def _env(variable: str, value: str | None) -> dict[str, str]:
    return {} if value is None else {variable: value}
