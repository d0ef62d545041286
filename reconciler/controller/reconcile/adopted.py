"""What the record of an adoption or a release means for the stack of its service.

The record decides, not the manifest: a manifest that names a project opens nothing by itself, and while the data of a
service is with a Compose project, no pass starts a second database on it.
"""

from __future__ import annotations

from reconciler.api import VaultService
from reconciler.api.errors import PermanentError, TemporaryError
from reconciler.core.adoption.record import Adoption


def check_record(service: VaultService, record: Adoption | None) -> None:
    """Let a service run as its record says. Raises PermanentError for one that must not, TemporaryError for one that has to
    wait.
    """
    if record and record.is_released:
        raise PermanentError(
            f"{service.name} was released to the Compose project {record.project} in {record.directory}, which has its "
            f"data: remove its manifest, or adopt the project again (vaultctl adopt {record.project}); "
            f"if that project is gone: vaultctl release {service.name} --forget"
        )
    if record and record.closed:
        raise TemporaryError(f"{service.name} {record.closed}")
    adopted = service.spec.compose.adopted if service.spec.compose else None
    if adopted is not None and (record is None or record.project != adopted):
        raise PermanentError(
            f"spec.compose.adopted: project {adopted} was not adopted as {service.name} on this machine; run "
            f"`vaultctl adopt {adopted}`, or leave the field out for volumes and networks of its own"
        )


def listening_on(service: VaultService, port: int) -> VaultService:
    """The service with another port of the host."""
    ports = service.spec.ports.model_copy(update={"http": port})
    return service.model_copy(update={"spec": service.spec.model_copy(update={"ports": ports})})
