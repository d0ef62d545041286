"""Secrets and configs of a stack as Swarm's own, under names with the revision that uses them.

Swarm's are immutable, so another content is another object. The revision of a workload covers the content of its files and
is keyed: the name tells nothing of a secret.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from reconciler.core.desired.stack import JSON
from reconciler.engines.errors import RefusedError
from reconciler.engines.swarm.fit import CONTENTS, refuse
from reconciler.engines.swarm.marks import PROJECT
from reconciler.engines.swarm.shortening import FILE_NAME, shortened

__all__ = ["SwarmFile", "files_of", "reference"]

MODE: Final = 0o444
SECRETS: Final = "/run/secrets/"


@dataclass(frozen=True, slots=True)
class SwarmFile:
    """One secret or config. `kind` is "secrets" or "configs", `target` the path in the container."""

    kind: str
    name: str
    target: str
    content: bytes = field(repr=False)
    uid: str = "0"
    gid: str = "0"
    mode: int = MODE

    def spec(self, project: str) -> dict[str, Any]:
        """What creates it."""
        data = base64.b64encode(self.content).decode()
        return {"Name": self.name, "Labels": {PROJECT: project}, "Data": data}


def files_of(
    workload: str, revision: str, service: JSON, document: JSON, mounted: Mapping[str, Mapping[str, bytes]]
) -> tuple[SwarmFile, ...]:
    """The files of a workload. `mounted`: directories of the host that hold files of spec.secrets, with these; they become
    secrets, since other nodes have no such directory. Raises RefusedError.
    """
    refuse(CONTENTS, workload, service, document)
    found = [
        _file(kind, workload, revision, entry, document)
        for kind in ("secrets", "configs")
        for entry in service.get(kind) or ()
    ]
    for mount in service.get("volumes") or ():
        for name, content in mounted.get(mount.get("source") or "", {}).items():
            path = f"{mount['target'].rstrip('/')}/{name}"
            full = f"{document['name']}_{name}-{Path(mount['source']).name}"
            found.append(SwarmFile("secrets", shortened(full, FILE_NAME), path, content))
    return tuple(found)


def reference(file: SwarmFile, identifier: str) -> dict[str, Any]:
    """How a container spec names it."""
    prefix = "Secret" if file.kind == "secrets" else "Config"
    target = file.target.removeprefix(SECRETS) if file.kind == "secrets" else file.target
    place = {"Name": target, "UID": file.uid, "GID": file.gid, "Mode": file.mode}
    return {f"{prefix}ID": identifier, f"{prefix}Name": file.name, "File": place}


def _file(kind: str, workload: str, revision: str, entry: Any, document: JSON) -> SwarmFile:
    entry = entry if isinstance(entry, Mapping) else {"source": entry}
    source = str(entry["source"])
    body = (document.get(kind) or {}).get(source) or {}
    default = f"{SECRETS}{source}" if kind == "secrets" else f"/{source}"
    return SwarmFile(
        kind=kind,
        name=shortened(f"{document['name']}_{source}-{revision}", FILE_NAME),
        target=str(entry.get("target") or default),
        content=_content(f"{kind}.{source}", workload, body),
        uid=str(entry.get("uid") or "0"),
        gid=str(entry.get("gid") or "0"),
        mode=int(entry.get("mode") or MODE),
    )


def _content(place: str, workload: str, body: JSON) -> bytes:
    if "content" in body:
        return str(body["content"]).encode()
    path = body["file"]
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise RefusedError(
            f"{place}, which {workload!r} uses: {path} cannot be read: {error.strerror}"
        ) from error


def targets(files: Sequence[SwarmFile]) -> frozenset[str]:
    """The paths in the container that are files of Swarm."""
    return frozenset(file.target for file in files)
