"""How registries are asked: a manifest names the host, so little of ours is given to an answer."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from reconciler.http import Http, of_machine
from reconciler.registry.errors import RegistryError

__all__ = ["http_for", "is_local"]

SILENCE: Final = 10.0
DEADLINE: Final = 40.0
MAX_BYTES: Final = 4 * 1024 * 1024
"""Of one answer; registries limit manifests to this."""
CERTIFICATES: Final = Path("/etc/docker/certs.d")
"""Where the engine, too, finds the authorities of registries that no other one knows."""


def http_for(
    environ: Mapping[str, str],
    certificates: Path = CERTIFICATES,
    silence: float = SILENCE,
    deadline: float = DEADLINE,
) -> Http:
    """What asks registries; the times are in seconds. It raises RegistryError."""

    def trust(host: str) -> str | bool:
        own = certificates / host / "ca.crt"
        return str(own) if own.is_file() else of_machine(environ)

    def advice(host: str) -> str:
        return f"put its authority into {CERTIFICATES}/{host}/ca.crt"

    return Http(RegistryError, trust, advice, silence, deadline, MAX_BYTES)


def is_local(host: str) -> bool:
    """Whether a registry is on this machine, where the engine, too, speaks plain HTTP to it."""
    name = urlsplit(f"//{host}").hostname or ""
    return name in ("localhost", "::1") or (name.startswith("127.") and name.replace(".", "").isdecimal())
