"""What doctor says of keys: their public halves, or what is wrong with each file; never what they hold."""

from __future__ import annotations

from pathlib import Path

from pyrage import x25519

from reconciler.app.checkup.keys import check_keys
from reconciler.sealed import Keyring


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
