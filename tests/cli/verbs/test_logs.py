"""What a container writes cannot speak to the terminal of who reads it, and reaches a file as it was written."""

from __future__ import annotations

import os
import pty
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.cli.verbs import logs

HOSTILE = [
    ("\x1b[31mred\x1b[0m", "red"),
    ("\x1b[2J\x1b[1;1Hhome", "home"),
    ("\x1b[?1049h\x1b[>c\x1b[ q", ""),
    ("\x1b]0;title\x07text", "text"),
    ("\x1b]52;c;ZXZpbA==\x1b\\clipboard", "clipboard"),
    ("\x1b]8;;https://evil.example\x1b\\link\x1b]8;;\x1b\\", "link"),
    ("\x1bc reset", "�c reset"),
    ("\x9b2J one byte", "�2J one byte"),
    ("over\rwritten\b\x7f", "over�written��"),
    ("\u202egnp.exe \u2028", "�gnp.exe �"),
    ("\x1b[\x1b[2J2J nested", "�[2J nested"),
    ("tab\tand ünï 💥", "tab\tand ünï 💥"),
]


@pytest.mark.parametrize(("line", "shown"), HOSTILE)
def test_a_line_is_tamed(line: str, shown: str) -> None:
    assert logs.tame(line) == shown


@given(st.text(st.sampled_from("\x1b\x9b\x9d[]2J;\x07\\ ab\r\n\u202e")))
def test_whatever_a_line_holds_nothing_is_left_that_speaks_to_a_terminal(line: str) -> None:
    assert all(character.isprintable() or character in "\n\t" for character in logs.tame(line))


def test_a_pipe_gets_the_line_as_it_was_written(capfd: pytest.CaptureFixture[str]) -> None:
    for line, _ in HOSTILE:
        logs.write_line("web-1", line)
    sys.stdout.flush()
    assert capfd.readouterr().out == "".join(f"web-1 | {line}\n" for line, _ in HOSTILE)


def test_a_terminal_gets_plain_text_and_only_our_own_colour(monkeypatch: pytest.MonkeyPatch) -> None:
    leader, follower = pty.openpty()
    with os.fdopen(leader, "rb", buffering=0) as screen, os.fdopen(follower, "w") as terminal:
        monkeypatch.setattr(sys, "stdout", terminal)
        logs.write_line("web-1", "\x1b[2Jgone\x1b]0;title\x07")
        terminal.flush()
        shown = ""
        # A terminal may hand over a line in parts.
        while not shown.endswith("\n"):
            shown += screen.read(1000).decode()
    assert shown.endswith("web-1 |\x1b[0m gone\r\n")
    assert shown.count("\x1b") == 2
