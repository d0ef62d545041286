"""Docker's events as wake-up calls: which VaultService to look at, never what happened to it."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from typing import Any, Final

from reconciler.engines.base import EngineEvent
from reconciler.engines.docker_api import DockerApi
from reconciler.engines.docker_rows import EVENTS, service_of_event

RECONNECT_SECONDS: Final = (0.1, 0.5, 1.0, 2.0, 5.0)
"""Pauses before the first, second … attempt to open the stream again."""

_log = logging.getLogger(__name__)


def watch(api: DockerApi) -> Iterator[EngineEvent]:
    """Events for ever. A stream can end without a word, so it is opened again from where it was.

    After each gap comes an empty event, since nobody knows what was missed.
    """
    since = time.time()
    failures = 0
    while True:
        try:
            for event in _stream(api, since):
                failures = 0
                since = event.get("timeNano", 0) / 1e9 or since
                if service := service_of_event(event):
                    yield EngineEvent(service)
        except Exception as error:  # whatever ended the stream, the answer is to open it again
            _log.debug("the event stream was cut: %s", error)
        api.forget_client()
        time.sleep(RECONNECT_SECONDS[min(failures, len(RECONNECT_SECONDS) - 1)])
        failures += 1
        yield EngineEvent("")


def _stream(api: DockerApi, since: float) -> Iterator[dict[str, Any]]:
    filters = {"type": ["container", "network"], "event": list(EVENTS)}
    # The stubs know whole seconds only; the engine takes fractions, and rounding would repeat events.
    stream: Any = api.client().events(decode=True, since=since, filters=filters)  # type: ignore[call-overload]
    yield from stream
