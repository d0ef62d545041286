"""Admission checks on the mounts of a service."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from reconciler.core.admission.checks import reserved_labels
from reconciler.core.admission.policy import Hits, Subject
from reconciler.core.compose.mounts import read_mounts

_OPTIONS: Final = frozenset({"ro", "rw", "z", "Z", "nocopy", "cached", "delegated", "consistent"})


def unknown_kinds(value: Any, _: Subject) -> Hits:
    """Mounts of a kind that is not known."""
    return ((m.place, m.kind) for m in read_mounts(value) if m.kind not in ("bind", "volume", "tmpfs"))


def unknown_options(value: Any, _: Subject) -> Hits:
    """Mounts with an option that is not known, such as one whose own mounts would spread to the host."""
    for mount in read_mounts(value):
        if strange := sorted(set(mount.options) - _OPTIONS):
            yield mount.place, strange[0]


def contradictions(value: Any, _: Subject) -> Hits:
    """Mounts with options of which only one can hold, or that are given twice."""
    return ((m.place, ",".join(m.contradictions)) for m in read_mounts(value) if m.contradictions)


def host_mounts(value: Any, _: Subject) -> Hits:
    """Every mount of a host path."""
    return ((mount.place, mount.source) for mount in read_mounts(value) if mount.is_bind)


def volume_labels(value: Any, subject: Subject) -> Hits:
    """Reserved labels of a volume that is declared where it is mounted."""
    for mount in read_mounts(value):
        volume = mount.body.get("volume")
        labels = volume.get("labels") if isinstance(volume, Mapping) else None
        yield from ((f"{mount.place}.volume.labels{at}", key) for at, key in reserved_labels(labels, subject))


def anonymous_volumes(value: Any, subject: Subject) -> Hits:
    """Volumes without a name, of a service whose replicas are replaced."""
    for mount in read_mounts(value) if subject.is_web else ():
        if mount.kind == "volume" and not mount.source:
            yield mount.place, ""
