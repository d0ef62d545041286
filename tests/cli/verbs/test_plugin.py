"""`plugin list|show|new|lint`."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

Vaultctl = Callable[..., Result]


@pytest.fixture
def broken(tmp_path: Path) -> Path:
    (tmp_path / "plugins" / "bad").mkdir(parents=True)
    (tmp_path / "plugins" / "bad" / "plugin.py").write_text("1 / 0\n")
    return tmp_path / "plugins"


def test_the_list(vaultctl: Vaultctl) -> None:
    slugs = [each["slug"] for each in json.loads(vaultctl("plugin", "list", "-o", "json").stdout)]
    assert {"filebrowser", "paperless", "whoami"} < {*slugs}
    assert vaultctl("plugin", "list", "-o", "name").stdout.split() == slugs
    assert "A demo web server" in vaultctl("plugin", "list").stdout


def test_a_broken_plugin_is_told_on_stderr_and_hides_no_other(vaultctl: Vaultctl, broken: Path) -> None:
    done = vaultctl("plugin", "list", "--plugin-path", broken)
    assert done.exit_code == 0
    assert "whoami" in done.stdout
    assert "plugin 'bad' is broken" in done.stderr
    assert "plugin.py:1: ZeroDivisionError" in done.stderr


def test_a_page(vaultctl: Vaultctl) -> None:
    page = vaultctl("plugin", "show", "paperless").stdout
    assert "Starts before it:" in page
    assert "## Security" in page or "security" in page.lower()


def test_an_unknown_plugin(vaultctl: Vaultctl) -> None:
    done = vaultctl("plugin", "show", "paperles")
    assert done.exit_code == 1
    assert "did you mean 'paperless'" in done.stderr


def test_a_new_plugin_is_one_without_findings(vaultctl: Vaultctl, tmp_path: Path) -> None:
    done = vaultctl("plugin", "new", "my-service", tmp_path / "plugins")
    assert done.exit_code == 0
    assert len(done.stdout.splitlines()) == 3
    checked = vaultctl("plugin", "lint", "my-service", "--plugin-path", tmp_path / "plugins")
    assert checked.exit_code == 0, checked.stdout
    again = vaultctl("plugin", "new", "my-service", tmp_path / "plugins")
    assert again.exit_code == 1
    assert "already exists" in again.stderr


def test_findings_and_broken_plugins_are_exit_1(vaultctl: Vaultctl, broken: Path) -> None:
    assert vaultctl("plugin", "lint", "whoami").exit_code == 0
    lacking = vaultctl("plugin", "lint", "paperless", "-o", "json")
    assert lacking.exit_code == 1
    assert json.loads(lacking.stdout)[0]["rule"] == "settings"
    assert vaultctl("plugin", "lint", "--plugin-path", broken).exit_code == 1


def test_settings_come_from_options_and_files(vaultctl: Vaultctl, tmp_path: Path) -> None:
    secrets = tmp_path / "paperless.env"
    secrets.write_text("PAPERLESS_SECRET_KEY=0123456789abcdef0123456789abcdef\n")
    arguments = [
        "plugin",
        "lint",
        "paperless",
        "--env-file",
        secrets,
        "--env",
        "PAPERLESS_DBPASS=hunter22222222222",
    ]
    done = vaultctl(*arguments)
    assert "must be set" not in done.stdout
    assert "hunter2" not in done.output
    assert vaultctl("plugin", "lint", "--env", "NOVALUE").exit_code == 2


def test_authors_are_told_what_admission_would_refuse(vaultctl: Vaultctl, tmp_path: Path) -> None:
    vaultctl("plugin", "new", "greedy", tmp_path)
    path = tmp_path / "greedy" / "plugin.py"
    path.write_text(
        path.read_text().replace('"image":', '"privileged": True,\n                    "image":', 1)
    )
    done = vaultctl("plugin", "lint", "greedy", "--plugin-path", tmp_path, "-o", "json")
    assert done.exit_code == 1
    (finding,) = json.loads(done.stdout)
    assert (finding["plugin"], finding["rule"]) == ("greedy", "privileged")
    assert finding["message"].endswith(".privileged: gives the container the whole machine")
