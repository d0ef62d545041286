"""Room, permissions and the clock, on real directories."""

import os
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from reconciler.app.checkup import machine
from reconciler.app.checkup.finding import Finding

NOW = datetime(2026, 5, 1, 12, 0, tzinfo=UTC)
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root may do without being seen as such")


def levels(findings: Iterable[Finding]) -> list[str]:
    return [finding.level.value for finding in findings]


@pytest.mark.parametrize(
    ("full", "scarce", "level"), [(0, 0, "ok"), (0, 2**62, "warn"), (2**62, 2**62, "fail")]
)
def test_room(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, full: int, scarce: int, level: str) -> None:
    monkeypatch.setattr(machine, "FULL_BYTES", full)
    monkeypatch.setattr(machine, "SCARCE_BYTES", scarce)
    (finding,) = machine.check_disk("state", tmp_path / "not" / "there" / "yet")
    assert finding.level.value == level
    assert bool(finding.fix) is (level != "ok")


def test_a_state_directory_that_will_be_made(tmp_path: Path) -> None:
    assert levels(machine.check_state_directory(tmp_path / "a" / "b")) == ["ok"]


def test_a_state_directory_that_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("")
    assert levels(machine.check_state_directory(tmp_path / "state")) == ["fail"]


def test_a_state_directory_below_a_file(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("")
    assert levels(machine.check_state_directory(tmp_path / "state" / "inner")) == ["fail"]


@as_root
@pytest.mark.parametrize(
    ("mode", "expected"),
    [
        (0o711, ["ok"]),
        (0o755, ["ok"]),
        (0o700, ["fail"]),
        (0o731, ["fail"]),
        (0o777, ["fail"]),
        (0o1777, ["fail"]),
        (0o770, ["fail", "fail"]),
    ],
)
def test_who_may_enter(tmp_path: Path, mode: int, expected: list[str]) -> None:
    tmp_path.chmod(mode)
    findings = list(machine.check_state_directory(tmp_path))
    assert levels(findings) == expected
    assert all("chmod" in finding.fix for finding in findings if finding.level.value == "fail")


@as_root
@pytest.mark.parametrize("inner", ["", "services"])
def test_a_state_directory_of_another_user(tmp_path: Path, inner: str) -> None:
    tmp_path.chmod(0o711)
    (tmp_path / "services").mkdir()
    os.chown(tmp_path / inner, 4242, 4242)
    (finding,) = machine.check_state_directory(tmp_path)
    assert finding.level.value == "fail"
    assert "belongs to user 4242" in finding.message
    assert f"chown -R 0 {tmp_path / inner}" in finding.fix


def test_a_clock_that_went_back(tmp_path: Path) -> None:
    status = tmp_path / "services" / "files" / "status.json"
    status.parent.mkdir(parents=True)
    status.write_text("{}")
    assert levels(machine.check_clock(tmp_path, datetime.now(UTC))) == ["ok"]
    ahead = (datetime.now(UTC) + timedelta(hours=1)).timestamp()
    os.utime(status, (ahead, ahead))
    (finding,) = machine.check_clock(tmp_path, datetime.now(UTC))
    assert finding.level.value == "warn"
    assert "behind" in finding.message


def test_a_clock_without_anything_to_compare_it_with(tmp_path: Path) -> None:
    assert levels(machine.check_clock(tmp_path, NOW)) == ["ok"]


def test_the_key_of_revisions(tmp_path: Path) -> None:
    key = tmp_path / "revision.key"
    assert levels(machine.check_revision_key(tmp_path, lost=False)) == ["ok"]
    assert levels(machine.check_revision_key(tmp_path, lost=True)) == ["warn"]
    key.touch(0o600)
    assert levels(machine.check_revision_key(tmp_path, lost=False)) == ["ok"]
    key.chmod(0o644)
    assert levels(machine.check_revision_key(tmp_path, lost=False)) == ["fail"]
