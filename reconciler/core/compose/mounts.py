"""The mounts of a service, `volumes` in Compose.

The short form (`SOURCE:TARGET:OPTIONS`) is parsed as by Compose, and the Compose file always has the long form: so the
engine mounts exactly what admission checked.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

BIND: Final = "bind"
VOLUME: Final = "volume"
_PARTS: Final = 3
_PROPAGATION: Final = frozenset({"private", "rprivate", "shared", "rshared", "slave", "rslave"})
_SELINUX: Final = frozenset({"z", "Z"})
_ALTERNATIVES: Final = (
    frozenset({"ro", "rw"}),
    _SELINUX,
    frozenset({"cached", "delegated", "consistent"}),
    _PROPAGATION,
)
"""Options of which one mount can have one."""


@dataclass(frozen=True, slots=True)
class Mount:
    """One entry of `volumes`; `place` is its index (`[2]`), `source` is empty for an anonymous volume.

    `options` are those of the short form in the order of writing; of the long form, the propagation and what Compose
    does not know in `bind`. `surplus`: a short form with more parts than Compose reads.
    """

    place: str
    kind: str
    source: str
    target: str
    read_only: bool = False
    options: tuple[str, ...] = ()
    surplus: bool = False
    body: Mapping[str, Any] = field(default_factory=dict)

    @property
    def is_bind(self) -> bool:
        """Whether it is a path of the host."""
        return self.kind == BIND

    @property
    def contradictions(self) -> tuple[str, ...]:
        """Options that exclude each other or are given twice."""
        groups = ([each for each in self.options if each in group] for group in _ALTERNATIVES)
        return tuple(each for group in groups if len(group) > 1 for each in group)

    def long(self) -> dict[str, Any]:
        """The long form of Compose."""
        return dict(self.body)


def read_mounts(value: object) -> tuple[Mount, ...]:
    """The mounts of a service, of either form; never raises."""
    if not value or not isinstance(value, list | tuple):
        return ()
    return tuple(
        _long(f"[{at}]", entry) if isinstance(entry, Mapping) else _short(f"[{at}]", str(entry))
        for at, entry in enumerate(value)
    )


def _long(place: str, entry: Mapping[str, Any]) -> Mount:
    bind = entry.get("bind")
    bind = bind if isinstance(bind, Mapping) else {}
    known = {"propagation", "create_host_path", "selinux"}
    options = (
        *([str(bind["propagation"])] if bind.get("propagation") else []),
        *([str(bind["selinux"])] if bind.get("selinux") else []),
        *(f"bind.{key}" for key in bind if key not in known and not key.startswith("x-")),
    )
    return Mount(
        place=place,
        kind=str(entry.get("type") or VOLUME),
        source=str(entry.get("source") or ""),
        target=str(entry.get("target") or ""),
        read_only=entry.get("read_only") is True,
        options=options,
        body={"type": VOLUME, **entry},
    )


def _short(place: str, text: str) -> Mount:
    parts = text.split(":")
    source, target = ("", parts[0]) if len(parts) == 1 else (parts[0], parts[1])
    # Compose refuses what follows the third part, and so does a reader that looks for unknown options.
    options = tuple(option for part in parts[2:] for option in part.split(","))
    surplus = (text,) if len(parts) > _PARTS else ()
    kind = BIND if source.startswith(("/", ".", "~")) else VOLUME
    # Of two that exclude each other Compose takes the last.
    access = [each for each in options if each in ("ro", "rw")]
    read_only = access[-1:] == ["ro"]
    return Mount(
        place=place,
        kind=kind,
        source=source,
        target=target,
        read_only=read_only,
        options=(*options, *surplus),
        surplus=bool(surplus),
        body=_body(kind, source, target, read_only, options),
    )


def _body(kind: str, source: str, target: str, read_only: bool, options: tuple[str, ...]) -> dict[str, Any]:
    body: dict[str, Any] = {"type": kind, "target": target}
    if source:
        body["source"] = source
    if read_only:
        body["read_only"] = True
    if kind == BIND:
        # The short form makes a missing directory; the long one does when it is told to.
        body["bind"] = {"create_host_path": True}
        for key, words in (("propagation", _PROPAGATION), ("selinux", _SELINUX)):
            if chosen := [option for option in options if option in words]:
                body["bind"][key] = chosen[-1]
    else:
        body["volume"] = {"nocopy": True} if "nocopy" in options else {}
    return body
