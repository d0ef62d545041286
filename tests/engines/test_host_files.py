"""A look at paths of a real file system, and mount tables as text."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from reconciler.core.admission.roots import Kind
from reconciler.engines.host_files import look, origins


def test_kinds_and_links(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    (tmp_path / "link").symlink_to("file")
    (tmp_path / "dangling").symlink_to("nowhere")
    (tmp_path / "loop").symlink_to("loop")
    os.mkfifo(tmp_path / "pipe")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "agent"))
    kinds = {
        name: look(str(tmp_path / name)).kind
        for name in ("", "file", "link", "dangling", "loop", "pipe", "agent", "none", "file/x")
    }
    assert kinds == {
        "": Kind.DIRECTORY,
        "file": Kind.FILE,
        "link": Kind.FILE,
        "dangling": Kind.MISSING,
        "loop": Kind.HIDDEN,
        "pipe": Kind.SPECIAL,
        "agent": Kind.SPECIAL,
        "none": Kind.MISSING,
        "file/x": Kind.MISSING,
    }
    assert look(str(tmp_path / "link")).real == str((tmp_path / "file").resolve())
    assert look("/srv/\0").kind is Kind.HIDDEN


def test_a_directory_that_may_not_be_entered_hides_what_is_in_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: str, *, strict: bool) -> str:
        raise PermissionError(13, "Permission denied", path)

    monkeypatch.setattr("reconciler.engines.host_files.os.path.realpath", refuse)
    assert look("/srv/closed/x").kind is Kind.HIDDEN


def test_the_kernel_reads_two_dots_after_a_link(tmp_path: Path) -> None:
    (tmp_path / "deep" / "er").mkdir(parents=True)
    (tmp_path / "link").symlink_to("deep/er")
    assert look(f"{tmp_path}/link/..").real == str((tmp_path / "deep").resolve())


TABLE = r"""
21 1 8:1 / / rw,relatime - ext4 /dev/sda1 rw
22 21 8:2 / /srv rw - ext4 /dev/sdb1 rw
23 22 8:1 /var/lib /srv/bound rw - ext4 /dev/sda1 rw
24 21 8:3 / /mnt/a\040b rw - ext4 /dev/sdc1 rw
25 22 8:4 /over /srv rw - ext4 /dev/sdd1 rw
""".strip()


@pytest.mark.parametrize(
    ("real", "expected"),
    [
        ("/var/lib/state", (("8:1", "/var/lib/state"),)),
        ("/srv/bound/state", (("8:1", "/var/lib/state"),)),
        ("/srv/x", (("8:4", "/over/x"),)),
        ("/srv", (("8:4", "/over"), ("8:1", "/var/lib"))),
        ("/mnt", (("8:1", "/mnt"), ("8:3", "/"))),
        ("/mnt/a b/c", (("8:3", "/c"),)),
    ],
)
def test_origins(real: str, expected: tuple[tuple[str, str], ...]) -> None:
    assert origins(real, TABLE) == expected


def test_without_a_table_there_are_no_origins() -> None:
    assert origins("/srv", "") == ()
