"""Errors become one sentence on stderr and the right exit code; tracebacks need --debug."""

from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import click
import pytest

from reconciler.api import ManifestError, Problem, TemporaryError
from reconciler.cli.errors import Failure, Trouble, internal_error, reported_as
from vault_plugins import PluginSettingError

Process = Callable[..., CompletedProcess[str]]
PROBLEMS = [Problem(Path("a.yaml"), line, 1, "spec.x", "is wrong") for line in (3, 5)]


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (TemporaryError("the engine is away"), "the engine is away"),
        (PluginSettingError("PORT is 'x'"), "PORT is 'x'"),
        (PermissionError(13, "Permission denied", "/state"), "/state: Permission denied"),
        (ManifestError(PROBLEMS[:1]), "a.yaml:3:1: spec.x: is wrong"),
        (ManifestError(PROBLEMS), "2 problems\na.yaml:3:1: spec.x: is wrong\na.yaml:5:1: spec.x: is wrong"),
    ],
)
def test_expected_errors_become_their_sentence(error: Exception, sentence: str) -> None:
    with pytest.raises(Failure) as caught, reported_as(Failure, debug=False):
        raise error
    assert caught.value.message == sentence


@pytest.mark.parametrize("error", [ValueError("a defect"), click.UsageError("wrong"), click.Abort()])
def test_other_errors_pass(error: Exception) -> None:
    with pytest.raises(type(error)), reported_as(Failure, debug=False):
        raise error


def test_a_verb_may_choose_its_failure() -> None:
    with pytest.raises(Trouble) as caught, reported_as(Trouble, debug=False):
        raise TemporaryError("away")
    assert caught.value.exit_code == 2


def test_debug_shows_where(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(Failure), reported_as(Failure, debug=True):
        raise TemporaryError("away")
    assert "Traceback" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (KeyError("x"), "internal error: KeyError: 'x'; "),
        (ValueError("a\nb"), "internal error: ValueError: a; "),
    ],
)
def test_an_internal_error_is_one_line(error: Exception, text: str) -> None:
    assert internal_error(error).startswith(text)
    assert "--debug" in internal_error(error)


BROKEN_VERB = """
import sys, click
from reconciler.cli.root import root, run
from reconciler.cli.verb import Verb

@click.command("break", cls=Verb)
def broken():
    {body}

root.add_command(broken)
root.get_command = lambda ctx, name: broken
root.list_commands = lambda ctx: ["break"]
sys.exit(run(sys.argv[1:]))
"""


@pytest.mark.parametrize(
    ("body", "arguments", "code", "says", "traceback"),
    [
        ("raise KeyError('x')", ["break"], 1, "internal error: KeyError", False),
        ("raise KeyError('x')", ["break", "--debug"], 1, "KeyError", True),
        ("raise KeyError('x')", ["--debug", "break"], 1, "KeyError", True),
        ("raise KeyboardInterrupt", ["break"], 130, "", False),
        ("click.confirm('sure?')", ["break"], 130, "", False),
        ("raise click.UsageError('no')", ["break"], 2, "Error: no", False),
        ("click.get_current_context().exit(7)", ["break"], 7, "", False),
        ("pass", ["break"], 0, "", False),
    ],
)
def test_how_a_process_ends(
    tmp_path: Path, body: str, arguments: list[str], code: int, says: str, traceback: bool
) -> None:
    import subprocess
    import sys

    script = tmp_path / "script.py"
    script.write_text(BROKEN_VERB.format(body=body))
    done = subprocess.run(
        [sys.executable, script, *arguments],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert done.returncode == code, done.stderr
    assert says in done.stderr
    assert ("Traceback" in done.stderr) is traceback
