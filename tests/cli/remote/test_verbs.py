"""Every verb works over the API, is about files of this machine, or says that it does not and what to type."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from reconciler.cli.remote.verbs import INSTEAD, LOCAL, WORKS, refusal
from reconciler.cli.root import root
from reconciler.cli.session import Session


def verbs() -> Iterator[str]:
    context = click.Context(root)
    for name in root.list_commands(context):
        command = root.get_command(context, name)
        if isinstance(command, click.Group):
            yield from (f"{name} {each}" for each in command.commands)
        else:
            yield name


VERBS = tuple(verbs())
REFUSED = [verb for verb in VERBS if refusal(verb)]


def test_the_lists_name_only_verbs_that_there_are_each_once() -> None:
    assert set(VERBS) >= WORKS | set(INSTEAD)
    assert {*VERBS, *(verb.partition(" ")[0] for verb in VERBS)} >= LOCAL
    assert not WORKS & set(INSTEAD)
    assert not {*WORKS, *(verb.partition(" ")[0] for verb in WORKS)} & LOCAL


def test_only_what_acts_on_the_controllers_machine_is_refused() -> None:
    of_hosts = {"adopt", "agent", "cordon", "drain", "release", "run", "swarm", "uncordon"}
    assert {verb.partition(" ")[0] for verb in REFUSED} == of_hosts


@pytest.mark.parametrize("verb", REFUSED)
def test_the_others_say_where_they_work(verb: str, tmp_path: Path) -> None:
    # Without arguments a usage error would come first, so the options are checked as by a parser that knows them all.
    command: click.Command = root
    words = verb.split()
    for word in words:
        assert isinstance(command, click.Group)
        found = command.get_command(click.Context(command), word)
        assert found is not None
        command = found
    arguments = ["x" for each in command.params if isinstance(each, click.Argument) and each.required]
    needed = [
        word
        for each in command.params
        if isinstance(each, click.Option) and each.required
        for word in (each.opts[-1], "x")
    ]
    session = Session(state_dir=tmp_path / "state", server="https://127.0.0.1:1", token="secret-secret")
    done = CliRunner().invoke(root, [*words, *needed, *arguments], obj=session)
    assert done.exit_code in (1, 2), done.output
    assert f"vaultctl {verb} does not work over the API" in done.stderr or "Usage" in done.stderr
    if verb in INSTEAD:
        assert INSTEAD[verb] in done.stderr
    assert "secret-secret" not in done.output
    assert not (tmp_path / "state").exists()


@pytest.mark.parametrize("words", [["version"], ["explain", "vs"], ["completion", "bash"]])
def test_verbs_about_files_take_no_notice(words: list[str], tmp_path: Path) -> None:
    session = Session(state_dir=tmp_path / "state", server="https://127.0.0.1:1")
    assert CliRunner().invoke(root, words, obj=session).exit_code == 0
