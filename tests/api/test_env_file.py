import contextlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.api.env_file import load_env_file, permission_warning
from reconciler.api.errors import ManifestError


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "files.env"


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ("K=", ""),
        ("K=v", "v"),
        ("  K=v  ", "v"),
        ("export K=v", "v"),
        ("export   K=v", "v"),
        ("K=a=b==", "a=b=="),
        ("K=a b", "a b"),
        ("K=a#b", "a#b"),
        ("K=a # rest", "a"),
        ("K=$X ${Y} `z`", "$X ${Y} `z`"),
        ("K=a\\nb", "a\\nb"),
        ("K=it's", "it's"),
        ("K='a # b'", "a # b"),
        ("K='a\\n$X'  # rest", "a\\n$X"),
        ('K="a # b"', "a # b"),
        ('K="a\\nb\\t\\"c\\" \\\\ \\$"', 'a\nb\t"c" \\ $'),
        ('K=""', ""),
        ("K=v\r", "v"),
        ("K=ü", "ü"),
    ],
)
def test_a_line_is_read(file: Path, line: str, value: str) -> None:
    file.write_text(f"# first\n\n{line}\n", encoding="utf-8", newline="")
    assert load_env_file(file) == {"K": value}


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("hunter2", "has no '='; write KEY=VALUE, or # in front of a comment"),
        ("K = hunter2", "has no valid name before '='"),
        ("1K=hunter2", "has no valid name before '='"),
        ("=hunter2", "has no valid name before '='"),
        ("K: hunter2=", "has no valid name before '='"),
        ("exportK x=hunter2", "has no valid name before '='"),
        ("K= hunter2", "K has a space after '='"),
        ('K="hunter2', "K has no closing quote at its end"),
        ('K="hunter2" x', "K has no closing quote at its end"),
        ('K="hunter2\\"', "K has no closing quote at its end"),
        ("K='hunter2", "K has no closing quote at its end"),
        ("K='it's hunter2'", "K has no closing quote at its end"),
        ("K=hunter2\0", "K holds a NUL character"),
    ],
)
def test_a_line_that_could_mean_two_things_is_refused_without_showing_it(
    file: Path, line: str, message: str
) -> None:
    file.write_text(f"A=1\n {line}\n", encoding="utf-8")
    with pytest.raises(ManifestError) as refused:
        load_env_file(file)
    assert str(refused.value).startswith(f"{file}:2:2: {message}")
    assert "hunter2" not in str(refused.value)


def test_all_problems_of_a_file_are_reported(file: Path) -> None:
    file.write_text("A=1\nB\nA=2\nC= 3\n", encoding="utf-8")
    with pytest.raises(ManifestError) as refused:
        load_env_file(file)
    assert [(problem.line, problem.message) for problem in refused.value.problems] == [
        (2, "has no '='"),
        (3, "A is given twice"),
        (4, "C has a space after '='"),
    ]
    assert "the first is on line 1" in str(refused.value)


def test_the_order_of_the_file_is_kept(file: Path) -> None:
    file.write_text("B=1\nA=2\n", encoding="utf-8")
    assert list(load_env_file(file)) == ["B", "A"]


def test_a_missing_file_says_so(file: Path) -> None:
    with pytest.raises(ManifestError, match="does not exist"):
        load_env_file(file)


@pytest.mark.parametrize(("mode", "warned"), [(0o600, False), (0o640, False), (0o644, True), (0o604, True)])
def test_a_file_for_everybody_is_warned_about(file: Path, mode: int, warned: bool) -> None:
    file.write_text("A=1\n", encoding="utf-8")
    file.chmod(mode)
    warning = permission_warning(file)
    assert (
        str(warning) == f"{file} can be read by every user of this machine; run: chmod 600 {file}"
    ) is warned
    assert (warning is None) is not warned


@given(st.text() | st.text(alphabet="A='\"\\# \n\t$x"))
def test_any_text_is_read_or_refused_in_the_one_way(
    tmp_path_factory: pytest.TempPathFactory, text: str
) -> None:
    file = tmp_path_factory.mktemp("env") / "any.env"
    file.write_bytes(text.encode("utf-8", "surrogatepass"))
    with contextlib.suppress(ManifestError):
        assert all("\0" not in value for value in load_env_file(file).values())


@given(st.text(st.characters(exclude_characters="\0\r\n", codec="utf-8")))
def test_any_value_can_be_written_in_double_quotes(
    tmp_path_factory: pytest.TempPathFactory, value: str
) -> None:
    file = tmp_path_factory.mktemp("env") / "any.env"
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    file.write_text(f'K="{escaped}"\n', encoding="utf-8")
    assert load_env_file(file) == {"K": value}
