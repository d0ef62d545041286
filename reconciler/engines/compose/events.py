"""Docker's event stream, opened again whenever it ends.

A stream can end silently, and events are missed until it is reopened; so the reader is informed of every start and every
end, and does not trust its cache in between.
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

FILTERS: Final = {"type": ["container", "network", "image"], "event": list(EVENTS)}

_log = logging.getLogger(__name__)


class Stream(Enum):
    """What happens to the stream itself."""

    OPENED = "opened"
    CUT = "cut"


def watch(api: DockerApi) -> Iterator[Mapping[str, Any] | Stream]:
    """Docker's events, without end, with OPENED before the first of a stream and CUT after its last."""
    since = time.time()
    failures = 0
    while True:
        try:
            stream = api.events(since, FILTERS)
            yield Stream.OPENED
            for event in stream:
                failures = 0
                since = event.get("timeNano", 0) / 1e9 or since
                yield event
        except Exception as error:  # the stream is reopened after any error
            _log.debug("the event stream was cut: %s", error)
        yield Stream.CUT
        api.forget_client()
        time.sleep(RECONNECT_SECONDS[min(failures, len(RECONNECT_SECONDS) - 1)])
        failures += 1
