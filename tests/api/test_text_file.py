import os
from pathlib import Path

import pytest

from reconciler.api.errors import ManifestError
from reconciler.api.text_file import MAX_BYTES, decode, read_text


def test_text_is_read_without_a_byte_order_mark(tmp_path: Path) -> None:
    file = tmp_path / "a.yaml"
    file.write_bytes("\ufeffä: 1\n".encode())
    assert read_text(file) == "ä: 1\n"


def test_a_file_may_have_exactly_the_limit(tmp_path: Path) -> None:
    file = tmp_path / "a.yaml"
    file.write_bytes(b"#" * MAX_BYTES)
    assert len(read_text(file)) == MAX_BYTES
    file.write_bytes(b"#" * (MAX_BYTES + 1))
    with pytest.raises(ManifestError, match="is larger than 1024 KiB"):
        read_text(file)


def test_what_is_no_file_is_refused_at_once(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    for path, message in [
        (tmp_path / "none", "does not exist"),
        (tmp_path, "is not a regular file"),
        (pipe, "is not a regular file"),
        (Path("/dev/zero"), "is not a regular file"),
        (tmp_path / ("x" * 300), "cannot be read: File name too long"),
    ]:
        with pytest.raises(ManifestError) as refused:
            read_text(path)
        (problem,) = refused.value.problems
        assert (problem.path, problem.line, problem.message) == (path, 0, message)


def test_bytes_that_are_no_utf8_are_named_by_place() -> None:
    with pytest.raises(ManifestError) as refused:
        decode(b"a: 1\nb: \xff\n", Path("a.yaml"))
    assert str(refused.value) == "a.yaml:2:4: is not UTF-8; save it as UTF-8"
