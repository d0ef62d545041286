"""The tags that were tried and rolled back, from the history: what has failed once is not tried again."""

from __future__ import annotations

import json
from collections.abc import Iterable

from reconciler.core.images.reference import Reference, read_reference
from reconciler.store.base import RevisionRecord

__all__ = ["failed_tags"]


def failed_tags(records: Iterable[RevisionRecord], workload: str, place: str) -> frozenset[str]:
    """The tags of the repository `place` with which every rollout of this workload was rolled back."""
    ended: dict[str, set[str]] = {"RolledBack": set(), "Complete": set()}
    for record in records:
        image = _image(record, workload)
        if image is not None and image.place == place and record.result in ended:
            ended[record.result].add(image.tag)
    return frozenset(ended["RolledBack"] - ended["Complete"])


def _image(record: RevisionRecord, workload: str) -> Reference | None:
    try:
        image = json.loads(record.spec)["images"][workload]
    except (ValueError, KeyError, TypeError):
        return None
    return read_reference(str(image))
