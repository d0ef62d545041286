"""The mounts of a service, of either syntax, as admission has to see them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from reconciler.core.admission.checks import items
from reconciler.core.admission.policy import Hits, Subject

_OPTIONS: Final = frozenset({"ro", "rw", "z", "Z", "nocopy", "cached", "delegated", "consistent"})
_BIND_OPTIONS: Final = frozenset({"propagation", "create_host_path", "selinux"})
_CONTRADICTIONS: Final = (("ro", "rw"), ("z", "Z"), ("cached", "delegated", "consistent"))
_MAX_PARTS: Final = 3


@dataclass(frozen=True, slots=True)
class Mount:
    """One entry of `volumes`; `source` is empty for an anonymous volume, `options` are in the order of writing."""

    place: str
    kind: str
    source: str
    read_only: bool
    options: tuple[str, ...] = ()

    @property
    def is_bind(self) -> bool:
        """Whether it is a path of the host."""
        return self.kind == "bind"


def mounts(value: Any) -> Iterator[Mount]:
    """The mounts of a service."""
    for place, item in items(value):
        yield _long(place, item) if isinstance(item, Mapping) else _short(place, str(item))


def _long(place: str, item: Mapping[str, Any]) -> Mount:
    kind, source = str(item.get("type") or "volume"), str(item.get("source") or "")
    bind = item.get("bind")
    bind = bind if isinstance(bind, Mapping) else {}
    propagation = (str(bind["propagation"]),) if bind.get("propagation") else ()
    unknown = tuple(f"bind.{key}" for key in bind if key not in _BIND_OPTIONS)
    return Mount(place, kind, source, item.get("read_only") is True, (*propagation, *unknown))


def _short(place: str, text: str) -> Mount:
    source, _, rest = text.partition(":") if ":" in text else ("", "", text)
    kind = "bind" if source.startswith(("/", ".", "~")) else "volume"
    parts = rest.split(":")
    # Compose reads at most three parts; what follows is an option that is not known.
    options = tuple(option for part in parts[1:] for option in part.split(","))
    surplus = (text,) if len(parts) + bool(source) > _MAX_PARTS else ()
    return Mount(place, kind, source, "ro" in options and "rw" not in options, (*options, *surplus))


def unknown_kinds(value: Any, _: Subject) -> Hits:
    """Mounts of a kind that is not known."""
    return ((m.place, m.kind) for m in mounts(value) if m.kind not in ("bind", "volume", "tmpfs"))


def unknown_options(value: Any, _: Subject) -> Hits:
    """Mounts with an option that is not known, such as one whose own mounts would spread to the host."""
    for mount in mounts(value):
        if strange := sorted(set(mount.options) - _OPTIONS):
            yield mount.place, strange[0]


def contradictions(value: Any, _: Subject) -> Hits:
    """Mounts with options of which only one can hold, or that are given twice."""
    for mount in mounts(value):
        for group in _CONTRADICTIONS:
            if len(given := [option for option in mount.options if option in group]) > 1:
                yield mount.place, ",".join(given)


def host_mounts(value: Any, _: Subject) -> Hits:
    """Every mount of a host path."""
    return ((mount.place, mount.source) for mount in mounts(value) if mount.is_bind)


def anonymous_volumes(value: Any, subject: Subject) -> Hits:
    """Volumes without a name, of a service whose replicas are replaced."""
    for mount in mounts(value) if subject.is_web else ():
        if mount.kind == "volume" and not mount.source:
            yield mount.place, ""
