"""What doctor says of an engine, and how it finds out about the userland proxy."""

from dataclasses import replace
from pathlib import Path

import pytest

from reconciler.app.checkup.engine import check_engine, has_userland_proxy, is_at_least
from reconciler.engines.base import EngineInfo

GOOD = EngineInfo(
    name="Docker",
    version="26.1.5+dfsg1",
    operating_system="Debian",
    data_directory="/d",
    outlives_restart=True,
    networks_left=100,
    parts={"compose": "2.26.1-4"},
)


def levels(info: EngineInfo, userland_proxy: bool | None = False) -> dict[str, str]:
    return {each.check: each.level.value for each in check_engine(info, userland_proxy)}


def test_a_good_engine() -> None:
    assert set(levels(GOOD).values()) == {"ok"}
    assert set(levels(GOOD)) == {"engine", "compose", "live-restore", "userland-proxy", "networks"}


@pytest.mark.parametrize(
    ("version", "level"),
    [("23.0.6", "fail"), ("24.0.7", "warn"), ("25.0.0", "ok"), ("", "fail"), ("dev", "fail")],
)
def test_engine_versions(version: str, level: str) -> None:
    assert levels(replace(GOOD, version=version))["engine"] == level


@pytest.mark.parametrize(
    ("version", "level"),
    [("", "fail"), ("1.29.2", "fail"), ("v2.19.0", "fail"), ("v2.20.0", "ok"), ("5.0.1", "ok")],
)
def test_compose_versions(version: str, level: str) -> None:
    assert levels(replace(GOOD, parts={"compose": version}))["compose"] == level


def test_what_a_restart_of_the_daemon_would_cost_is_a_warning_with_its_fix() -> None:
    findings = {each.check: each for each in check_engine(replace(GOOD, outlives_restart=False), True)}
    for check in ("live-restore", "userland-proxy"):
        assert findings[check].level.value == "warn"
        assert f'"{check}"' in findings[check].fix
    assert "userland-proxy" not in levels(GOOD, None), "nothing is said of what is not known"


def test_few_networks_left_are_a_warning_with_its_fix() -> None:
    (finding,) = (f for f in check_engine(replace(GOOD, networks_left=3), None) if f.check == "networks")
    assert finding.level.value == "warn"
    assert "room for 3 more networks; each service takes two" in finding.message
    assert '"default-address-pools"' in finding.fix


@pytest.mark.parametrize(
    ("lines", "config", "answer"),
    [
        ([["bash"], []], None, None),
        ([["/usr/bin/dockerd", "--userland-proxy=false"]], None, False),
        ([["dockerd", "--userland-proxy=true"]], '{"userland-proxy": false}', True),
        ([["dockerd", "--userland-proxy"]], None, True),
        ([["dockerd"]], None, True),
        ([["dockerd"]], '{"userland-proxy": false}', False),
        ([["dockerd"]], '{"debug": true}', True),
        ([["dockerd"]], "no json", True),
        ([["dockerd"]], "[]", True),
    ],
)
def test_the_userland_proxy(
    tmp_path: Path, lines: list[list[str]], config: str | None, answer: bool | None
) -> None:
    path = tmp_path / "daemon.json"
    if config is not None:
        path.write_text(config)
    assert has_userland_proxy(lines, path) is answer


@pytest.mark.parametrize(
    ("version", "oldest", "answer"),
    [
        ("24", (24, 0), True),
        ("23.9", (24, 0), False),
        ("v2.20.1", (2, 20), True),
        ("2.3", (2, 20), False),
        ("x", (0, 0), False),
    ],
)
def test_versions_are_compared_as_numbers(version: str, oldest: tuple[int, int], answer: bool) -> None:
    assert is_at_least(version, oldest) is answer
