"""Writes the controller's log records to stderr, as lines for people or as JSON for collectors.

The command line configures the standard library's logging once; the packages below only use their loggers.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final, TextIO

from reconciler.cli.output import to_json
from reconciler.cli.tables import printable
from reconciler.controller.report.trace import current

__all__ = ["ConsoleFormatter", "JsonFormatter", "set_up"]

# The standard attributes of a record; others were passed as `extra` and are shown.
_STANDARD: Final = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
CONTINUATION: Final = "\n    "
_OURS: Final = ("reconciler", "vault_plugins", "metrics")


Hide = Callable[[str, str], str]


class _Formatter(logging.Formatter):
    """Base of both formatters: an exception is its last line, and with `debug` its whole traceback; `hide` redacts the
    secrets of a service.
    """

    def __init__(self, *, debug: bool, hide: Hide = lambda text, service: text) -> None:
        super().__init__()
        self.debug = debug
        self._hide = hide

    def hide(self, text: str, record: logging.LogRecord) -> str:
        """A text of this record without secrets."""
        return self._hide(text, getattr(record, "service", ""))


class ConsoleFormatter(_Formatter):
    """`12:00:01 INFO    controller: message name=value`, in local time."""

    def format(self, record: logging.LogRecord) -> str:
        """A line, with further lines of the message, or with `debug` the traceback, indented below it."""
        time = datetime.fromtimestamp(record.created).strftime("%H:%M:%S")
        fields = "".join(f" {name}={value}" for name, value in _extra(record).items())
        error = f": {_error(record)}" if record.exc_info else ""
        said = self.hide(f"{record.getMessage()}{error}{fields}", record)
        line = printable(f"{time} {record.levelname:<7} {_subject(record)}: {said}")
        if record.exc_info and self.debug:
            trace = self.hide(self.formatException(record.exc_info), record)
            line = f"{line}\n{printable(trace)}"
        # Further lines are indented, so that no message can look like another record.
        return line.replace("\n", CONTINUATION)


class JsonFormatter(_Formatter):
    """One JSON object for each record: time (RFC 3339, UTC), level, logger, message, and its extra fields."""

    def format(self, record: logging.LogRecord) -> str:
        """One line, also for a message with line breaks."""
        moment = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        body: dict[str, object] = {
            **{
                name: self.hide(value, record) if isinstance(value, str) else value
                for name, value in _extra(record).items()
            },
            "time": moment.replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": self.hide(record.getMessage(), record),
        }
        if record.exc_info:
            body["error"] = self.hide(_error(record), record)
            if self.debug:
                body["traceback"] = self.hide(self.formatException(record.exc_info), record)
        return to_json(body)


class _StderrHandler(logging.StreamHandler[TextIO]):
    """Writes to the current sys.stderr, which a live table replaces while it is drawn."""

    @property
    def stream(self) -> TextIO:
        """The present stderr."""
        return sys.stderr

    @stream.setter
    def stream(self, value: TextIO) -> None:
        """Ignored; the base class would set the current stream."""


def set_up(*, debug: bool, verbose: bool, json_lines: bool, hide: Hide = lambda text, service: text) -> None:
    """Send records to stderr: own ones from DEBUG, INFO (`verbose`) or WARNING on, those of libraries from WARNING on.

    `hide` takes the secrets of a service, or of all when it is named "", out of a text. May be called again; the last
    call counts.
    """
    handler = _StderrHandler()
    formatter = JsonFormatter if json_lines else ConsoleFormatter
    handler.setFormatter(formatter(debug=debug, hide=hide))
    handler.addFilter(_add_trace)
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)
    level = logging.DEBUG if debug else logging.INFO if verbose else logging.WARNING
    for name in _OURS:
        logging.getLogger(name).setLevel(level)


def _add_trace(record: logging.LogRecord) -> bool:
    """Add the current pass to every record, also to those of libraries."""
    if trace := current():
        record.service = trace.service
        record.reconcile_id = trace.reconcile_id
    return True


def _extra(record: logging.LogRecord) -> dict[str, object]:
    return {name: value for name, value in vars(record).items() if name not in _STANDARD}


def _error(record: logging.LogRecord) -> str:
    kind, error = record.exc_info[:2] if record.exc_info else (None, None)
    return f"{kind.__name__}: {error}" if kind else ""


def _subject(record: logging.LogRecord) -> str:
    return record.name.removeprefix("reconciler.")
