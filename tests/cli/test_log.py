"""Records come out as one line each, with a traceback only for those who asked for it."""

import json
import logging
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from reconciler.cli import log
from reconciler.controller.report.trace import tracing
from reconciler.controller.secrets import Secrets


@pytest.fixture
def logs_as_before() -> Iterator[None]:
    """Puts the process's logging back as it was."""
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    try:
        yield
    finally:
        root.handlers[:], root.level = before, level
        for name in ("reconciler", "vault_plugins", "metrics"):
            logging.getLogger(name).setLevel(logging.NOTSET)


def record(message: str = "a message", *, error: bool = False, **extra: Any) -> logging.LogRecord:
    made = logging.makeLogRecord(
        {
            "name": "reconciler.controller",
            "levelno": logging.INFO,
            "levelname": "INFO",
            "msg": message,
            **extra,
        }
    )
    if error:
        try:
            raise ValueError("went wrong")
        except ValueError:
            made.exc_info = sys.exc_info()
    return made


def test_a_console_line_names_its_subject_and_fields() -> None:
    line = log.ConsoleFormatter(debug=False).format(record(service="files"))
    assert line[8:] == " INFO    controller: a message service=files"


def test_a_console_line_cannot_move_the_cursor() -> None:
    assert "\x1b" not in log.ConsoleFormatter(debug=False).format(record("\x1b[2J"))


def test_a_message_cannot_pass_for_another_record() -> None:
    line = log.ConsoleFormatter(debug=False).format(record("x\n12:00:00 INFO    controller: all is well"))
    assert line.splitlines()[1] == "    12:00:00 INFO    controller: all is well"


@pytest.mark.parametrize("formatter", [log.ConsoleFormatter, log.JsonFormatter])
@pytest.mark.parametrize("control", ["\x1b[2J", "\x9b2J", "\r", "\x7f", "\u202e", "\u2028", "\b"])
def test_no_control_character_reaches_a_terminal(formatter: type[logging.Formatter], control: str) -> None:
    made = record(f"a{control}b", service=f"x{control}y")
    line = formatter(debug=True).format(made)  # type: ignore[call-arg]
    assert all(character.isprintable() for character in line)


def test_json_is_one_object_on_one_line() -> None:
    line = log.JsonFormatter(debug=False).format(record("two\nlines", service="files"))
    assert "\n" not in line
    body = json.loads(line)
    assert body.pop("time").endswith("Z")
    assert body == {
        "service": "files",
        "level": "info",
        "logger": "reconciler.controller",
        "message": "two\nlines",
    }


@pytest.mark.parametrize("formatter", [log.ConsoleFormatter, log.JsonFormatter])
def test_a_traceback_needs_debug(formatter: type[logging.Formatter]) -> None:
    short = formatter(debug=False).format(record(error=True))  # type: ignore[call-arg]
    assert "ValueError: went wrong" in short
    assert "Traceback" not in short
    assert "Traceback" in formatter(debug=True).format(record(error=True))  # type: ignore[call-arg]


@pytest.mark.parametrize(
    ("debug", "verbose", "shown"),
    [
        (False, False, ["warning"]),
        (False, True, ["info", "warning"]),
        (True, False, ["debug", "info", "warning"]),
    ],
)
@pytest.mark.usefixtures("logs_as_before")
def test_levels(debug: bool, verbose: bool, shown: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    log.set_up(debug=debug, verbose=verbose, json_lines=True)
    ours, others = logging.getLogger("reconciler.core"), logging.getLogger("urllib3")
    for logger in (ours, others):
        logger.debug("debug")
        logger.info("info")
    ours.warning("warning")
    lines = [json.loads(line)["message"] for line in capsys.readouterr().err.splitlines()]
    assert lines == shown


@pytest.mark.parametrize("json_lines", [False, True])
@pytest.mark.usefixtures("logs_as_before")
def test_no_part_of_a_record_tells_a_secret(json_lines: bool, capsys: pytest.CaptureFixture[str]) -> None:
    """Neither message, fields, error nor, with --debug, the traceback; a record about a service asks for its secrets."""
    secrets = Secrets()
    secrets.learn("files", ["correct-horse"])
    log.set_up(debug=True, verbose=True, json_lines=json_lines, hide=secrets.hide)
    logger = logging.getLogger("reconciler.controller")
    for extra in ({"service": "files", "detail": "correct-horse"}, {"detail": "correct-horse"}):
        try:
            int("correct-horse")
        except ValueError:
            logger.exception("%s was no number", "correct-horse", extra=extra)
    told = capsys.readouterr().err
    assert "Traceback" in told
    assert told.count("[secret]") >= 8
    assert "correct-horse" not in told


@pytest.mark.usefixtures("logs_as_before")
def test_a_record_says_which_pass_it_comes_from(capsys: pytest.CaptureFixture[str]) -> None:
    log.set_up(debug=False, verbose=True, json_lines=True)
    with tracing("files") as trace:
        logging.getLogger("reconciler.engines").warning("inside")
    logging.getLogger("reconciler.engines").warning("outside")
    inside, outside = (json.loads(line) for line in capsys.readouterr().err.splitlines())
    assert (inside["service"], inside["reconcile_id"]) == ("files", trace.reconcile_id)
    assert not {"service", "reconcile_id"} & outside.keys()
