"""What doctor says of plugins, settings files, images and ports."""

from collections.abc import Callable, Iterable
from pathlib import Path

from reconciler.api import EnvFrom, VaultService
from reconciler.app.checkup.finding import Finding
from reconciler.app.checkup.services import check_needs, check_plugins, check_service, check_settings_files
from reconciler.core.assess.observation import EngineObservation
from reconciler.store.base import Origin
from reconciler.wiring import Options, wire
from vault_plugins.registry import discover

MakeService = Callable[..., VaultService]


def said(findings: Iterable[Finding]) -> list[tuple[str, str]]:
    return [(finding.level.value, finding.message) for finding in findings]


def test_broken_plugins_are_warned_about_and_the_others_named(tmp_path: Path) -> None:
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "plugin.py").write_text("import nothing_of_that_name\n")
    (warning, rest) = check_plugins(discover([tmp_path]))
    assert warning.level.value == "warn"
    assert "nothing_of_that_name" in warning.message
    assert "whoami" in rest.message


def test_a_settings_file_that_all_can_read(tmp_path: Path, make_service: MakeService) -> None:
    path = tmp_path / "files.env"
    path.write_text("PASSWORD=hunter2\n")
    path.chmod(0o644)
    service = make_service(env_from=(EnvFrom(file=str(path)),))
    (finding,) = check_settings_files("service: files", service)
    assert finding.fix == f"chmod 600 {path}"
    assert "hunter2" not in finding.message
    path.chmod(0o600)
    assert list(check_settings_files("service: files", service)) == []


def test_images_and_ports(tmp_path: Path, make_service: MakeService) -> None:
    stack = wire(Options(state_dir=tmp_path)).build(make_service())
    assert [level for level, _ in said(check_needs("x", stack, EngineObservation(())))] == ["ok"]
    lacking = EngineObservation((), frozenset({"haproxy:3.0"}), taken_ports={8080: "process nginx (pid 7)"})
    image, port = check_needs("x", stack, lacking)
    assert (image.level.value, image.fix) == ("warn", "docker pull haproxy:3.0")
    assert (port.level.value, port.message) == ("fail", "port 8080 is taken by process nginx (pid 7)")


def test_a_service_that_cannot_be_built(tmp_path: Path, make_service: MakeService, origin: Origin) -> None:
    application = wire(Options(state_dir=tmp_path))
    application.objects.apply(make_service(plugin="whoam"), origin)
    (finding,) = check_service(application, "files", with_engine=False)
    assert finding.level.value == "fail"
    assert "did you mean 'whoami'" in finding.message


def test_one_damaged_object_is_one_finding(tmp_path: Path, make_service: MakeService, origin: Origin) -> None:
    application = wire(Options(state_dir=tmp_path))
    application.objects.apply(make_service(), origin)
    (tmp_path / "services" / "files" / "object.json").write_text("{")
    (finding,) = check_service(application, "files", with_engine=False)
    assert finding.level.value == "fail"
    assert "cannot be understood" in finding.message
