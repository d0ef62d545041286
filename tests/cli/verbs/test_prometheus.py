"""The configuration is what Prometheus accepts, finds every HAProxy, and carries no secret."""

from pathlib import Path

import pytest
import yaml

from tests.cli.conftest import Vaultctl


def test_one_configuration_covers_controller_proxies_and_rules(vaultctl: Vaultctl) -> None:
    document = yaml.safe_load(vaultctl("prometheus", "config").stdout)
    controller, proxies, holds, nodes = document["scrape_configs"]
    assert controller["static_configs"] == [{"targets": ["127.0.0.1:9180"]}]
    assert proxies["http_sd_configs"][0]["url"] == "http://127.0.0.1:9180/discovery/proxies"
    assert holds["http_sd_configs"] == nodes["http_sd_configs"] == proxies["http_sd_configs"]
    assert "server" not in proxies["params"]["scope"], "servers are containers: their series never end"
    (pattern,) = document["rule_files"]
    assert sorted(Path(pattern).parent.glob(Path(pattern).name)), "the rules are where it says"


def test_a_controller_elsewhere_is_asked_over_https_with_a_token_from_a_file(vaultctl: Vaultctl) -> None:
    arguments = (
        "--controller",
        "vault.internal:9180",
        "--https",
        "--ca-file",
        "ca.pem",
        "--token-file",
        "token",
    )
    document = yaml.safe_load(vaultctl("prometheus", "config", *arguments).stdout)
    controller, proxies, holds, nodes = document["scrape_configs"]
    assert controller["scheme"] == nodes["scheme"] == "https"
    for asked in (controller, proxies["http_sd_configs"][0], nodes):
        assert asked["tls_config"] == {"ca_file": "ca.pem"}
        assert asked["authorization"] == {"type": "Bearer", "credentials_file": "token"}
    for haproxy in (proxies, holds):
        assert "authorization" not in haproxy, "an HAProxy must not be shown the controller's token"


def test_a_file_can_take_the_place_of_the_question(vaultctl: Vaultctl) -> None:
    arguments = ("--proxies-file", "proxies.json", "--no-rules")
    document = yaml.safe_load(vaultctl("prometheus", "config", *arguments).stdout)
    assert "rule_files" not in document
    assert document["scrape_configs"][1]["file_sd_configs"] == [{"files": ["proxies.json"]}]


def test_without_services_there_are_no_targets(vaultctl: Vaultctl, tmp_path: Path) -> None:
    assert vaultctl("prometheus", "targets").stdout == "[]\n"
    file = tmp_path / "proxies.json"
    assert vaultctl("prometheus", "targets", "-o", file).exit_code == 0
    assert file.read_text() == "[]\n"


@pytest.mark.parametrize("place", ["absent/proxies.json"])
def test_a_file_that_cannot_be_written_is_one_sentence(
    vaultctl: Vaultctl, tmp_path: Path, place: str
) -> None:
    answer = vaultctl("prometheus", "targets", "-o", tmp_path / place)
    assert answer.exit_code == 1
    assert "cannot write" in answer.stderr
