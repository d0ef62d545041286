"""Verbs are files: listed without being imported, imported when called, and each with examples and a help text."""

import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import click
import pytest
from click.testing import Result

from reconciler.cli import verbs
from reconciler.cli.root import root
from reconciler.cli.verb import Verb
from tests.e2e.stage import free_port
from tests.engines.compose.fake_engine import VERSION, at_socket

Vaultctl = Callable[..., Result]

FILES = sorted(path.stem for path in Path(verbs.__file__).parent.glob("[!_]*.py"))
HEAVY = (
    "pydantic",
    "docker",
    "python_on_whales",
    "rich",
    "yaml",
    "psutil",
    "prometheus_client",
    "reconciler.api",
)


def commands(group: click.Group, path: str = "") -> Iterator[tuple[str, click.Command]]:
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        if isinstance(command, click.Group):
            yield from commands(command, f"{path}{name} ")
        else:
            yield f"{path}{name}", command


ALL = dict(commands(root))


def test_every_file_is_a_verb() -> None:
    assert root.list_commands(click.Context(root)) == FILES


@pytest.mark.parametrize("path", ALL)
def test_every_verb_has_help_and_examples(path: str, vaultctl: Vaultctl) -> None:
    command = ALL[path]
    assert isinstance(command, Verb)
    assert command.name == path.rpartition(" ")[2]
    assert command.short_help, path
    page = vaultctl(*path.split(), "--help")
    assert page.exit_code == 0
    assert "Examples:" in page.output
    assert command.examples
    for line, purpose in command.examples:
        assert f"vaultctl {path.split()[0]}" in line or path == "render", line
        assert line in page.output
        assert purpose


@pytest.mark.parametrize("path", ALL)
def test_every_parameter_is_explained(path: str) -> None:
    for parameter in ALL[path].params:
        if isinstance(parameter, click.Option):
            assert parameter.help, f"{path} {parameter.name}"
        else:
            for word in re.findall(r"[A-Z]+", (parameter.metavar or parameter.name or "").upper()):
                assert word in (ALL[path].help or ""), f"{path} {word}"


@pytest.mark.parametrize("path", ALL)
def test_no_verb_takes_an_option_name_of_all_verbs(path: str) -> None:
    own = {name for parameter in ALL[path].params for name in parameter.opts}
    assert not own & {"--state-dir", "--plugin-path", "--log-format", "--debug", "--no-color"}


@pytest.mark.parametrize("arguments", [["version"], ["version", "-o", "json"], ["completion", "zsh"]])
def test_a_quick_verb_imports_nothing_heavy(arguments: list[str]) -> None:
    script = f"""
import sys
from reconciler.cli.root import run
assert run({arguments}) == 0
print(*sorted(set(sys.modules) & set({HEAVY})), file=sys.stderr)
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=30, check=True
    )
    assert done.stderr.strip() == ""


LIBRARIES = (
    "asyncio",
    "docker",
    "jinja2",
    "prometheus_client",
    "psutil",
    "python_on_whales",
    "requests",
    "rich",
    "ruamel",
    "starlette",
    "urllib3",
    "uvicorn",
)
"""What takes long to import, and a command that only reads does not need."""


@pytest.mark.parametrize(
    ("words", "code", "also"),
    [
        ("get", 0, {"pydantic"}),
        ("validate -f MANIFEST", 0, set()),
        ("diff -f MANIFEST", 1, set()),
        ("diff -f MANIFEST -o json", 1, set()),
        ("render -f MANIFEST -o OUT", 0, set()),
        ("apply --dry-run -f MANIFEST", 0, set()),
    ],
)
def test_a_verb_that_reads_imports_no_library_for_changes(
    words: str, code: int, also: set[str], tmp_path: Path, manifest: Callable[..., Path]
) -> None:
    # A port that is taken is told with the name of its process, which takes another library to find.
    port = f"{{http: {free_port()}}}"
    places = {"MANIFEST": str(manifest(ports=port)), "OUT": str(tmp_path / "out")}
    script = f"""
import sys
from reconciler.cli.root import run
assert run({[places.get(word, word) for word in words.split()]}) == {code}
print(*sorted(set(sys.modules) & {also | set(LIBRARIES)}), file=sys.stderr)
"""
    with closing(at_socket(tmp_path / "engine.sock")) as engine:
        engine.answers[f"/v{VERSION}/containers/json"] = (200, b"[]")
        env = {"DOCKER_HOST": f"unix://{engine.address}", "VAULT_STATE_DIR": str(tmp_path / "state")}
        done = subprocess.run(
            [sys.executable, "-c", script], capture_output=True, text=True, timeout=30, env=os.environ | env
        )
    assert done.returncode == 0, done.stderr
    assert done.stderr.splitlines()[-1] == ""


def test_help_lists_verbs_and_exit_codes(vaultctl: Vaultctl) -> None:
    page = vaultctl("--help").output
    for name in FILES:
        assert f"  {name} " in page
    assert "Exit codes:" in page
    assert "130" in page


@pytest.mark.parametrize(
    ("word", "says"), [("aply", "did you mean 'apply'?"), ("zzzz", "there are: adopt, agent, annotate")]
)
def test_an_unknown_verb_is_answered_with_the_nearest(vaultctl: Vaultctl, word: str, says: str) -> None:
    done = vaultctl(word)
    assert done.exit_code == 2
    assert says in done.stderr


def test_an_unknown_verb_of_a_group_too(vaultctl: Vaultctl) -> None:
    done = vaultctl("plugin", "lst")
    assert done.exit_code == 2
    assert "did you mean 'list'?" in done.stderr


def test_a_process_has_the_same_exit_codes(process: Callable[..., subprocess.CompletedProcess[str]]) -> None:
    assert process("version").returncode == 0
    assert process("get", "nothing").returncode == 1
    assert process("get", "--nonsense").returncode == 2
    assert process("diff", "-f", "missing.yaml").returncode == 2
    assert process("validate", "-f", "missing.yaml").returncode == 1
