"""Without a terminal, progress is a line for each piece of news."""

import os
import pty
import re
import subprocess
import sys
from datetime import UTC, datetime

from reconciler.api import ReplicaCounts
from reconciler.cli.progress import Lines
from reconciler.controller.report.outcome import Progress

NOW = datetime(2026, 5, 1, 12, 0, tzinfo=UTC)


def counts(serving: int, updated: int = 3) -> ReplicaCounts:
    return ReplicaCounts(desired=3, current=3, updated=updated, ready=serving, serving=serving)


def test_each_piece_of_news_is_one_line() -> None:
    lines: list[str] = []
    report = Lines(lambda: NOW, lines.append)
    for each in (
        Progress("files", counts(0, 1), "create 2 x web"),
        Progress("files", counts(0, 1), "create 2 x web"),
        Progress("wiki", counts(3), ""),
        Progress("files", counts(2), "two\nlines"),
        Progress("files", counts(3), "", done=True),
    ):
        report(each)
    assert [line[9:] for line in lines] == [
        "files: 0/3 serving, 1 updated: create 2 x web",
        "wiki: 3/3 serving",
        "files: 2/3 serving: two; lines",
        "files: 3/3 serving",
    ]
    assert all(re.match(r"\d\d:\d\d:\d\d ", line) for line in lines)


def test_a_message_cannot_move_the_cursor() -> None:
    lines: list[str] = []
    Lines(lambda: NOW, lines.append)(Progress("files", counts(0), "\x1b[2J\r"))
    assert not any(character in lines[0] for character in "\x1b\r")


LIVE = """
from datetime import datetime
from reconciler.api import ReplicaCounts
from reconciler.cli.progress import reporting
from reconciler.controller.report.outcome import Progress
with reporting(now=datetime.now) as report:
    for serving in range(4):
        report(Progress("files", ReplicaCounts(desired=3, serving=serving), f"step {serving} [bold]", done=serving == 3))
print("answer")
"""


def test_a_terminal_gets_a_table_and_stdout_only_the_answer() -> None:
    controller, terminal = pty.openpty()
    try:
        done = subprocess.run(
            [sys.executable, "-c", LIVE],
            stderr=terminal,
            stdout=subprocess.PIPE,
            text=True,
            timeout=30,
            check=True,
        )
        os.close(terminal)
        shown = b""
        while chunk := _read(controller):
            shown += chunk
    finally:
        os.close(controller)
    assert done.stdout == "answer\n"
    assert b"NAME" in shown
    assert b"3/3" in shown
    # A message is text, never markup.
    assert b"step 3 [bold]" in shown


def _read(descriptor: int) -> bytes:
    try:
        return os.read(descriptor, 65536)
    except OSError:
        # How Linux says that the other end of a terminal was closed.
        return b""
