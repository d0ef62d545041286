"""Docker's event stream, opened again whenever it ends.

A stream can end without a word, and nobody knows what was missed in between; so whoever listens is told of every
beginning and every end, and trusts nothing in the gap.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Mapping
from enum import Enum
from typing import Any, Final

from reconciler.engines.compose.api import DockerApi
from reconciler.engines.compose.rows import EVENTS

RECONNECT_SECONDS: Final = (0.1, 0.5, 1.0, 2.0, 5.0)
"""Pauses before the first, second … attempt to open the stream again."""

_log = logging.getLogger(__name__)


class Stream(Enum):
    """What happens to the stream itself."""

    OPENED = "opened"
    CUT = "cut"


def watch(api: DockerApi) -> Iterator[Mapping[str, Any] | Stream]:
    """Docker's events for ever, with OPENED before the first of a stream and CUT after its last."""
    since = time.time()
    failures = 0
    while True:
        try:
            stream = _open(api, since)
            yield Stream.OPENED
            for event in stream:
                failures = 0
                since = event.get("timeNano", 0) / 1e9 or since
                yield event
        except Exception as error:  # whatever ended the stream, the answer is to open it again
            _log.debug("the event stream was cut: %s", error)
        yield Stream.CUT
        api.forget_client()
        time.sleep(RECONNECT_SECONDS[min(failures, len(RECONNECT_SECONDS) - 1)])
        failures += 1


def _open(api: DockerApi, since: float) -> Iterator[dict[str, Any]]:
    filters = {"type": ["container", "network", "image"], "event": list(EVENTS)}
    # The stubs know whole seconds only; the engine takes fractions, and rounding would repeat events.
    stream: Iterator[dict[str, Any]] = api.client().events(  # type: ignore[call-overload]
        decode=True, since=since, filters=filters
    )
    return stream
