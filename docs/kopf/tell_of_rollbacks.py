"""Tells a chat of each rollback, by an incoming webhook that takes {"text": "..."}.

    CHAT_URL=https://chat.example.com/hooks/1 CHAT_SENT=/var/lib/rollbacks/sent \\
        kopf run --standalone --namespace default tell_of_rollbacks.py

It only reads, so it needs no more than the role view, and tells of services of a repository as well. CHAT_SENT is the file
of what the chat has taken: after a kill, what came meanwhile is sent, and only a message that was on its way is sent again.
"""

import asyncio
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp
import kopf

URL = os.environ["CHAT_URL"]
SENT = Path(os.environ["CHAT_SENT"])
AGAIN_SECONDS = float(os.environ.get("CHAT_AGAIN_SECONDS", "60"))
TRIES = 60
PATIENCE = aiohttp.ClientTimeout(total=30)

sent: list[str] = []
"""The lines of SENT: when this operator was first started, then the keys of events."""


@kopf.on.startup()
def remember(settings: kopf.OperatorSettings, **_: Any) -> None:
    """Read what was sent. What happened before the first start is not told."""
    # The role view may not post events, and this operator's own problems are in its log.
    settings.posting.enabled = False
    if not SENT.exists():
        SENT.write_text(datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ\n"))
    sent[:] = SENT.read_text().splitlines()


@kopf.on.event("v1", "events", field="reason", value="RolledBack")
async def tell(body: kopf.RawBody, logger: kopf.Logger, type: str | None, **_: Any) -> None:
    """Send it until the chat has taken it."""
    # The same event within ten minutes is counted in one document.
    key = f"{body['metadata']['name']} {body['count']}"
    if type == "DELETED" or key in sent or body["lastTimestamp"] < sent[0]:
        return
    service = body["involvedObject"]["name"]
    message = {"text": f"{service} was rolled back: {body['message']}"}
    for _try in range(TRIES):
        try:
            async with aiohttp.ClientSession(raise_for_status=True, timeout=PATIENCE) as session:
                await session.post(URL, json=message)
            break
        except (aiohttp.ClientError, TimeoutError) as error:
            # No address in the log: that of a webhook is a secret.
            logger.warning(f"the chat has not taken the rollback of {service} ({error.__class__.__name__})")
            await asyncio.sleep(AGAIN_SECONDS)
    else:
        logger.error(f"the rollback of {service} is sent when this operator is started again")
        return
    sent.append(key)
    with SENT.open("a") as file:
        file.write(f"{key}\n")
