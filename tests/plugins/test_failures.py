"""A failure inside a plugin is one line: the last one of the traceback, and the position in the plugin's files."""

from pathlib import Path

import pytest

from vault_plugins.contract import PluginError
from vault_plugins.failures import MAX_ERROR_LENGTH, BrokenPluginError, broken_by


def _failure(path: Path, source: str) -> BaseException:
    path.write_text(source)
    with pytest.raises(BaseException) as caught:  # noqa: PT011 - the point is that it may be any
        exec(compile(source, path, "exec"), {})  # noqa: S102 - the code is in this file
    return caught.value


@pytest.mark.parametrize(
    ("source", "line", "error"),
    [
        ("import json\n\njson.loads('{')\n", 3, "json.decoder.JSONDecodeError: Expecting property name"),
        ("x = 1\nraise ValueError('no')\n", 2, "ValueError: no"),
        ("raise SystemExit(3)", 1, "SystemExit: 3"),
        ("raise ValueError('first\\n   second')", 1, "ValueError: first second"),
        ("raise ValueError", 1, "ValueError"),
        ("import nothing_of_this_name", 1, "ModuleNotFoundError: No module named 'nothing_of_this_name'"),
    ],
)
def test_the_place_is_the_deepest_line_of_the_plugin(
    tmp_path: Path, source: str, line: int, error: str
) -> None:
    path = tmp_path / "plugin.py"
    broken = broken_by(_failure(path, source), "files", path)
    assert (broken.name, broken.path, broken.line) == ("files", path, line)
    assert broken.error.startswith(error)
    assert str(broken).startswith(f"plugin 'files' is broken: {path}:{line}: {error}")


def test_a_syntax_error_has_the_line_where_it_is(tmp_path: Path) -> None:
    path = tmp_path / "plugin.py"
    with pytest.raises(SyntaxError) as caught:
        compile("x = 1\ndef (:\n", path, "exec")
    broken = broken_by(caught.value, "files", path)
    assert (broken.path, broken.line, broken.error) == (path, 2, "SyntaxError: invalid syntax")


def test_what_fails_elsewhere_is_reported_at_the_plugin(tmp_path: Path) -> None:
    path = tmp_path / "plugin.py"
    broken = broken_by(PluginError("a sentence"), "files", path)
    assert (broken.path, broken.line, broken.error) == (path, None, "a sentence")
    assert str(BrokenPluginError(broken)) == f"plugin 'files' is broken: {path}: a sentence"


def test_an_endless_message_is_cut(tmp_path: Path) -> None:
    broken = broken_by(ValueError("x" * 10_000), "files", tmp_path / "plugin.py")
    assert len(broken.error) == MAX_ERROR_LENGTH
    assert broken.error.endswith("…")
