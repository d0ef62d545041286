"""What doctor says of keys: their public halves, or what is wrong with each file; never what they hold."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from pyrage import x25519

from reconciler.api import VaultService
from reconciler.api.secret_file import SecretFile
from reconciler.app.checkup.keys import check_keys
from reconciler.app.checkup.services import check_service
from reconciler.sealed import Keyring
from reconciler.sealed.runtime import is_in_memory
from reconciler.store.base import Origin
from reconciler.wiring import Options, wire


def test_without_the_option_nothing_is_said() -> None:
    assert list(check_keys(Keyring())) == []


def test_keys_are_named_by_their_public_halves(tmp_path: Path) -> None:
    identity, path = x25519.Identity.generate(), tmp_path / "a.key"
    path.write_text(f"{identity}\n")
    path.chmod(0o600)
    (finding,) = check_keys(Keyring([path]))
    assert (finding.level.value, finding.message) == ("ok", f"{identity.to_public()} ({path})")


def test_each_file_that_cannot_be_used_has_its_fix(tmp_path: Path) -> None:
    for name, mode in (("open.key", 0o644), ("nothing.key", 0o600)):
        (tmp_path / name).write_text(f"{x25519.Identity.generate()}\n" if mode == 0o644 else "hunter22\n")
        (tmp_path / name).chmod(mode)
    nothing, readable = check_keys(Keyring([tmp_path]))
    assert (readable.level.value, readable.fix) == ("fail", f"run: chmod 600 {tmp_path / 'open.key'}")
    assert nothing.message == f"{tmp_path / 'nothing.key'}:1:1: is no age key"
    assert "hunter22" not in f"{nothing}"


def test_a_runtime_directory_on_a_disk_is_told_for_services_that_need_one(
    tmp_path: Path, make_service: Callable[..., VaultService], origin: Origin
) -> None:
    (tmp_path / "token").write_text("hunter22")
    secrets = (SecretFile(name="token", file=str(tmp_path / "token")),)
    application = wire(
        Options(
            state_dir=tmp_path / "state", runtime_dir=tmp_path / "runtime", host_paths=(tmp_path / "token",)
        )
    )
    application.objects.apply(make_service(secrets=secrets), origin)
    assert not is_in_memory(tmp_path)
    *_, last = check_service(application, "files", with_engine=False)
    assert last.level.value == "fail"
    assert "is on a disk, where secrets must not be" in last.message
