"""Scales services by the time of day, as an annotation of each tells.

    kubectl annotate vs/shop 'hours.example.com/replicas=07:30=6 20:00=2'
    HOURS_ZONE=Europe/Vienna kopf run --standalone --namespace default scale_by_time.py

It keeps nothing: what it writes follows from the annotation and the clock alone, so it may be killed at any time.
"""

import os
from datetime import datetime, time
from typing import Any
from zoneinfo import ZoneInfo

import kopf

ZONE = ZoneInfo(os.environ.get("HOURS_ZONE", "UTC"))
LOOK_SECONDS = float(os.environ.get("HOURS_LOOK_SECONDS", "30"))
OURS = "hours.example.com"
HOURS = f"{OURS}/replicas"


@kopf.on.startup()
def configure(settings: kopf.OperatorSettings, **_: Any) -> None:
    """Keep everything of this operator under its own name: several can look after one service."""
    settings.persistence.finalizer = f"{OURS}/finalizer"
    settings.persistence.progress_storage = kopf.AnnotationsProgressStorage(prefix=OURS)
    settings.persistence.diffbase_storage = kopf.AnnotationsDiffBaseStorage(prefix=OURS)


def replicas_at(hours: str, now: time) -> int:
    """The number of the last entry that has begun; before the first one, yesterday's last goes on. Raises ValueError."""
    pairs = [entry.partition("=") for entry in hours.split()]
    entries = sorted((time.fromisoformat(begin), int(count)) for begin, _, count in pairs)
    if not entries or min(count for _, count in entries) < 0:
        raise ValueError("there is no entry, or a negative number")
    return ([count for begin, count in entries if begin <= now] or [entries[-1][1]])[-1]


@kopf.timer(
    "vault.internal", "v1alpha1", "vaultservices", annotations={HOURS: kopf.PRESENT}, interval=LOOK_SECONDS
)
def scale(
    annotations: kopf.Annotations,
    spec: kopf.Spec,
    patch: kopf.Patch,
    memo: kopf.Memo,
    body: kopf.Body,
    **_: Any,
) -> None:
    """Write the number if it is another one; the controller starts or drains replicas."""
    hours = annotations[HOURS]
    try:
        wanted = replicas_at(hours, datetime.now(ZONE).time())
    except ValueError as error:
        if memo.get("refused") != hours:
            kopf.warn(body, reason="InvalidHours", message=f"{HOURS} is not like '07:30=6 20:00=2': {error}")
        memo.refused = hours
        return
    if spec.get("replicas") != wanted:
        patch.spec["replicas"] = wanted
