"""The files that containers have below /run/secrets: which workload gets which, and the directory of the host with them.

The directory is named by a keyed digest of its content. So another value is another mount, and with it another revision of
the workloads that have it, while the containers of the former one keep theirs.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from reconciler.core.compose.fragment import BuildError, Service
from reconciler.core.compose.mounts import read_mounts

__all__ = ["NO_SECRET_FILES", "SecretFile", "SecretFiles", "mounted_at"]

TARGET: Final = "/run/secrets"
DIGITS: Final = 24
UNKNOWN: Final = "0" * DIGITS
"""In place of a digest while there is no key: without one it could be guessed."""


@dataclass(frozen=True, slots=True)
class SecretFile:
    """One file; `workloads` are the services that get it, none for those that answer web requests."""

    name: str
    content: bytes = field(repr=False)
    workloads: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class SecretFiles:
    """The files of a service; `root` is the directory of the host below which they are."""

    root: str = ""
    files: tuple[SecretFile, ...] = ()

    def of(self, workload: str, *, is_web: bool) -> Mapping[str, bytes]:
        """What a workload gets, by name."""
        return {
            each.name: each.content
            for each in self.files
            if (workload in each.workloads if each.workloads else is_web)
        }

    def directory(self, files: Mapping[str, bytes], key: bytes) -> str:
        """Where a workload's files are on the host."""
        parts = (part for name, content in sorted(files.items()) for part in (name.encode(), content))
        text = b"".join(b"%d:%b" % (len(part), part) for part in parts)
        return f"{self.root}/{hmac.digest(key, text, 'sha256').hex()[:DIGITS] if key else UNKNOWN}"

    def check(self, names: Mapping[str, Any]) -> None:
        """Raises BuildError for a workload that is not one of `names`."""
        for each in self.files:
            for unknown in sorted(each.workloads - set(names)):
                raise BuildError(
                    f"spec.secrets: {each.name!r} is for workload {unknown!r}, which is none of {', '.join(sorted(names))}"
                )


NO_SECRET_FILES: Final = SecretFiles()


def mounted_at(workload: str, definition: Service, directory: str) -> list[Any]:
    """The volumes of a service, and the mount of its secrets. Raises BuildError if something else is there."""
    volumes = definition.get("volumes") or ()
    tmpfs = definition.get("tmpfs") or ()
    taken = [mount.target for mount in read_mounts(volumes)]
    taken += [str(each).partition(":")[0] for each in ((tmpfs,) if isinstance(tmpfs, str) else tmpfs)]
    if definition.get("secrets") or any(f"{each.rstrip('/')}/".startswith(f"{TARGET}/") for each in taken):
        raise BuildError(
            f"services.{workload} mounts something at {TARGET} itself, where spec.secrets has its files; use one of the two"
        )
    # The engine would make a missing directory, empty and for everyone; so the start fails, and the next pass writes it.
    bind = {"create_host_path": False}
    return [
        *volumes,
        {"type": "bind", "source": directory, "target": TARGET, "read_only": True, "bind": bind},
    ]
