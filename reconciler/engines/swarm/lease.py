"""The lease of a Swarm: a config without content, whose labels say which controller acts on the Swarm.

Swarm changes a config only for a request that names its current version, and only with a majority of its managers. So of
two controllers that write at the same time one succeeds, and one without a majority cannot write at all.

A second config says that there was a lease: a Swarm without either has never had a holder that may still be at work.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any, Final

from reconciler.engines.compose.api import DockerApi
from reconciler.engines.errors import EngineError
from reconciler.engines.lease import Lease
from reconciler.engines.swarm.api import CONFLICT, OUT_OF_SEQUENCE, status_of
from reconciler.engines.swarm.marks import NODE, TERM

__all__ = ["CALL_SECONDS", "NAME", "SwarmLease"]

NAME: Final = "vault-lease"
MARKER: Final = "vault-lease-made"
CALL_SECONDS: Final = 4.0
"""Timeout of one call: a lease is to be renewed several times before it ends."""
HOLDER: Final = "internal.vault.holder"
# A config cannot be empty.
CONTENT: Final = b"The labels of this config say which controller of vault-reconciler acts on this Swarm.\n"
MARKED: Final = (
    b"A controller of vault-reconciler has acted on this Swarm: without its lease, others wait for its end.\n"
)


class SwarmLease:
    """The lease of the Swarm that `docker` is a manager of; its calls end soon, as that was made to."""

    def __init__(self, docker: DockerApi) -> None:
        self._docker = docker

    def read(self) -> Lease | None:
        """What is written now; None if nothing is. Raises EngineError."""
        row = self._docker.read("read the lease of the Swarm", "/configs/{}", NAME, missing=None)
        if row is None:
            return None
        try:
            marks = row["Spec"].get("Labels") or {}
            return Lease(
                int(row["Version"]["Index"]),
                marks.get(HOLDER, ""),
                marks.get(NODE, ""),
                int(marks.get(TERM) or 0),
            )
        except (AttributeError, LookupError, TypeError, ValueError) as error:
            raise EngineError(f"config {NAME} was not understood: {error!r}") from error

    def is_first(self) -> bool:
        """See LeaseRecord.is_first."""
        spec = {"Name": MARKER, "Labels": {}, "Data": base64.b64encode(MARKED).decode()}
        try:
            self._docker.send("mark that there is a lease", "POST", "/configs/create", body=spec)
        except EngineError as error:
            if status_of(error) == CONFLICT:
                return False
            raise
        return True

    def write(self, before: Lease | None, holder: str, node: str, term: int) -> bool:
        """Write it, if it is still as `before`; whether it was. After an EngineError it may be written or not."""
        spec = _spec(holder, node, term)
        try:
            if before is None:
                self._docker.send("create the lease of the Swarm", "POST", "/configs/create", body=spec)
                return True
            self._docker.send(
                "write the lease of the Swarm",
                "POST",
                "/configs/{}/update",
                NAME,
                query={"version": before.version},
                body=spec,
            )
        except EngineError as error:
            if status_of(error) == CONFLICT or OUT_OF_SEQUENCE in str(error):
                return False
            raise
        return True


def _spec(holder: str, node: str, term: int) -> Mapping[str, Any]:
    marks = {HOLDER: holder, NODE: node, TERM: str(term)}
    return {"Name": NAME, "Labels": marks, "Data": base64.b64encode(CONTENT).decode()}
