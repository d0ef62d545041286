"""The dependencies of a service, `depends_on` in Compose: a list of names, or a mapping with conditions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

STARTED: Final = "service_started"
HEALTHY: Final = "service_healthy"
COMPLETED: Final = "service_completed_successfully"
CONDITIONS: Final = (STARTED, HEALTHY, COMPLETED)


@dataclass(frozen=True, slots=True)
class Need:
    """One service that another one waits for. `stated`: the fragment names it with a condition, not in a plain list;
    `restart`: it wants to be restarted with it.
    """

    service: str
    condition: str = STARTED
    required: bool = True
    restart: bool = False
    stated: bool = False


def read_needs(value: object) -> tuple[Need, ...]:
    """The needs of a service, of either form."""
    if isinstance(value, list | tuple):
        return tuple(Need(str(name)) for name in dict.fromkeys(value))
    if not isinstance(value, Mapping):
        return ()
    return tuple(_need(str(name), how if isinstance(how, Mapping) else {}) for name, how in value.items())


def _need(service: str, how: Mapping[str, object]) -> Need:
    return Need(
        service=service,
        condition=str(how.get("condition") or STARTED),
        required=how.get("required") is not False,
        restart=how.get("restart") in (True, "true"),
        stated=True,
    )
