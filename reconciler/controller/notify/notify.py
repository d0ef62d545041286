"""Tells a chat or another program about events: by reading them, not by being called.

The record of events is looked at from a thread of its own. So a notification can neither fail nor delay a pass, and
an address that is away for an hour costs nothing but the events that are older than what is kept in mind.
"""

from __future__ import annotations

import http.client
import json
import logging
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Final, Literal, Protocol

from reconciler.api import VaultError
from reconciler.api.reasons import Reason
from reconciler.controller.loop.backoff import Backoff
from reconciler.store.base import Event, Records

LOOK_SECONDS: Final = 1.0
SEND_SECONDS: Final = 5.0
LOOK_BACK: Final = 200
"""Newest events that are read at each look."""

QUIET_FOR: Final = timedelta(hours=1)
"""How long the same reason for the same revision of a service is not told again."""

GIVE_UP_AFTER: Final = timedelta(minutes=15)
"""Age at which an event that could not be sent is news no more."""

GOOD_NEWS: Final = frozenset({Reason.ROLLOUT_COMPLETE, Reason.FETCHED})
"""Reasons of normal events that `important` lets through."""

JSON: Final = {"Content-Type": "application/json"}

Choice = Literal["important", "warnings", "all"]
Send = Callable[[bytes], None]

_log = logging.getLogger(__name__)


class SendError(Exception):
    """A notification was not taken; the text holds no address, which is often a secret."""


class Wants(Protocol):
    """Decides which events are told."""

    def __call__(self, event: Event) -> bool:
        """Whether this one is."""


def chosen(choice: Choice) -> Wants:
    """The events that a choice stands for."""
    if choice == "all":
        return lambda event: True
    if choice == "warnings":
        return lambda event: event.type == "Warning"
    return lambda event: event.type == "Warning" or event.reason in GOOD_NEWS


class Teller(Protocol):
    """Reads what is stored, and sends what is new in it."""

    def look(self) -> None:
        """Raises SendError or VaultError for what has to be tried again."""


def keep_telling(teller: Teller, backoff: Backoff, stop: threading.Event) -> None:
    """Look and send until `stop` is set; never raises, since nobody else shall know of its troubles."""
    pause = LOOK_SECONDS
    while not stop.wait(pause):
        try:
            teller.look()
            backoff.forget("")
            pause = LOOK_SECONDS
        except (SendError, VaultError) as error:
            pause = backoff.next("")
            _log.warning("%s was not sent, next try in %.0f s: %s", type(teller).__name__, pause, error)
        except Exception:
            pause = backoff.next("")
            _log.exception("%s failed by a defect", type(teller).__name__)


class Notifier:
    """Sends what is new in `records` since `now()` at its making. One thread looks."""

    def __init__(
        self,
        records: Records,
        send: Send,
        wants: Wants,
        now: Callable[[], datetime],
    ) -> None:
        self._records = records
        self._send = send
        self._wants = wants
        self._now = now
        self._since = now()
        self._told: dict[tuple[str, str, str], datetime] = {}

    def look(self) -> None:
        """Send what is new, oldest first. Raises SendError for the first one that is not taken; it comes again."""
        now = self._now()
        self._told = {key: when for key, when in self._told.items() if now - when < QUIET_FOR}
        since = max(self._since, now - GIVE_UP_AFTER)
        for event in self._records.events(limit=LOOK_BACK):
            # What is about no service has no revision, but two commits are two pieces of news.
            key = (event.service, event.reason, event.revision or event.commit)
            if event.last_time < since or key in self._told or not self._wants(event):
                continue
            self._send(payload(event))
            self._told[key] = now
        # Up to `now` all is told, but events may carry a time of a moment ago.
        self._since = now - timedelta(seconds=2 * LOOK_SECONDS)


def payload(event: Event) -> bytes:
    """JSON with `text`, which Slack, Mattermost, Rocket.Chat and their like show, and the fields for programs."""
    mark = "⚠" if event.type == "Warning" else "✓"
    subject = event.service or "vault-reconciler"
    at = f" ({event.commit[:20]})" if event.commit else ""
    fields: Mapping[str, object] = {
        "text": f"{mark} {subject}: {event.reason}: {event.message}{at}",
        "service": event.service,
        "type": event.type,
        "reason": event.reason,
        "message": event.message,
        "revision": event.revision,
        "commit": event.commit,
        "time": event.last_time.isoformat(),
    }
    return json.dumps(fields, ensure_ascii=False).encode()


def post_to(url: str, headers: Mapping[str, str] | None = None) -> Send:
    """What posts JSON to a URL, within SEND_SECONDS. Raises ValueError when it is not one of HTTP or HTTPS."""
    if not url.startswith(("https://", "http://")):
        raise ValueError("an address to send to must begin with https:// or http://")
    opener = urllib.request.build_opener(_NoRedirect())

    def send(body: bytes) -> None:
        request = urllib.request.Request(url, body, {**JSON, **(headers or {})}, method="POST")
        try:
            with opener.open(request, timeout=SEND_SECONDS):
                return
        except urllib.error.HTTPError as error:
            error.close()
            raise SendError(f"status {error.code}") from None
        except (OSError, http.client.HTTPException, ValueError) as error:
            reason = getattr(error, "reason", error)
            raise SendError(f"{type(reason).__name__}") from None

    return send


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A redirect is an error: what is secret in the address must not go elsewhere."""

    def redirect_request(self, *args: object, **kwargs: object) -> None:
        """Follow none."""
