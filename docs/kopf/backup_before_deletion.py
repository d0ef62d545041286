"""Backs up a VaultService before it is deleted: its finalizer holds the deletion back until the backup is complete.

    BACKUP_COMMAND=/usr/local/bin/backup-volumes kopf run --standalone --namespace default backup_before_deletion.py

The command gets the name of the service; it has to be safe to repeat, because a killed operator starts it again.
"""

import asyncio
import os
from typing import Any

import kopf

COMMAND = os.environ.get("BACKUP_COMMAND", "backup-volumes")
AGAIN_SECONDS = float(os.environ.get("BACKUP_AGAIN_SECONDS", "60"))
OURS = "backup.example.com"


@kopf.on.startup()
def configure(settings: kopf.OperatorSettings, **_: Any) -> None:
    """Keep everything of this operator under its own name: several can look after one service."""
    settings.persistence.finalizer = f"{OURS}/finalizer"
    settings.persistence.progress_storage = kopf.AnnotationsProgressStorage(prefix=OURS)
    settings.persistence.diffbase_storage = kopf.AnnotationsDiffBaseStorage(prefix=OURS)


@kopf.on.delete("vault.internal", "v1alpha1", "vaultservices")
async def backup(name: str, body: kopf.Body, **_: Any) -> None:
    """Run the command; the service runs on until it has succeeded."""
    process = await asyncio.create_subprocess_exec(COMMAND, name)
    try:
        code = await process.wait()
    except asyncio.CancelledError:
        process.kill()
        raise
    if code != 0:
        raise kopf.TemporaryError(f"the backup of {name} ended with exit code {code}", delay=AGAIN_SECONDS)
    kopf.info(body, reason="BackupComplete", message=f"the volumes of {name} are backed up")
