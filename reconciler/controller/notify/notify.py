"""Sends events to a chat or another program: it polls the recorded events.

The record of events is polled from its own thread. So a notification can neither fail nor delay a pass, and an outage of
the receiver loses only events that are too old by then.
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
"""Newest events that are read at each poll."""

QUIET_FOR: Final = timedelta(hours=1)
"""How long the same reason for the same revision of a service is not sent again."""

LATE: Final = timedelta(minutes=5)
"""How much later than its time an event may be recorded: it has that of the beginning of a look, which may wait for an
engine or an agent that does not answer."""

GIVE_UP_AFTER: Final = timedelta(minutes=15)
"""Age at which an event that could not be sent is dropped."""

GOOD_NEWS: Final = frozenset({Reason.ROLLOUT_COMPLETE, Reason.FETCHED})
"""Reasons of normal events that `important` lets through."""

JSON: Final = {"Content-Type": "application/json"}

Choice = Literal["important", "warnings", "all"]
Send = Callable[[bytes], None]

_log = logging.getLogger(__name__)


class SendError(Exception):
    """A notification was not accepted; the text holds no URL, which is often a secret."""


class Wants(Protocol):
    """Decides which events are sent."""

    def __call__(self, event: Event) -> bool:
        """Whether this one is."""


def chosen(choice: Choice) -> Wants:
    """The events that a choice selects."""
    if choice == "all":
        return lambda event: True
    if choice == "warnings":
        return lambda event: event.type == "Warning"
    return lambda event: event.type == "Warning" or event.reason in GOOD_NEWS


class Teller(Protocol):
    """Reads the store, and sends new entries."""

    def look(self) -> None:
        """Raises SendError or VaultError if it has to be tried again."""


def keep_telling(teller: Teller, backoff: Backoff, stop: threading.Event) -> None:
    """Poll and send until `stop` is set; never raises, so that its failures affect nothing else."""
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
    """Sends new events in `records` since `now()` at its creation. Runs in one thread."""

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
        self._begun = self._since = now()
        self._told: dict[tuple[str, str, str], datetime] = {}

    def look(self) -> None:
        """Send new events, oldest first. Raises SendError for the first one that is not accepted; it is sent again."""
        now = self._now()
        self._told = {key: when for key, when in self._told.items() if now - when < QUIET_FOR}
        since = max(self._since, now - GIVE_UP_AFTER)
        for event in self._records.events(limit=LOOK_BACK):
            # Events without an object have no revision, but each commit is sent.
            key = (event.subject, event.reason, event.revision or event.commit)
            if event.last_time < since or key in self._told or not self._wants(event):
                continue
            self._send(payload(event))
            self._told[key] = now
        # Events up to `now` are sent, but new ones may have an older time; what was sent is known.
        self._since = max(self._begun, now - LATE)


def payload(event: Event) -> bytes:
    """JSON with `text`, which Slack, Mattermost, Rocket.Chat and similar show, and the fields for programs."""
    mark = "⚠" if event.type == "Warning" else "✓"
    subject = event.subject or "vault-reconciler"
    at = f" ({event.commit[:20]})" if event.commit else ""
    fields: Mapping[str, object] = {
        "text": f"{mark} {subject}: {event.reason}: {event.message}{at}",
        "kind": event.kind,
        "service": event.name,
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
    """A redirect is an error: a secret in the URL must not be sent elsewhere."""

    def redirect_request(self, *args: object, **kwargs: object) -> None:
        """Follow none."""
