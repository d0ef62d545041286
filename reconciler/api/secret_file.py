"""A secret that containers get as a file below /run/secrets, which is in no environment and on no disk."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, Strict

from reconciler.api.formats import EnvName, FileName, FilePath, WorkloadName
from reconciler.api.model import ApiModel

__all__ = ["SecretFile"]


class SecretFile(ApiModel):
    """A file below /run/secrets of containers."""

    name: FileName = Field(description="Its name below /run/secrets.")
    file: FilePath = Field(
        description=(
            "File that holds it, relative to the manifest: encrypted by age or SOPS, or plain. The whole of a plain "
            "one is given only where the operator lets containers mount it."
        )
    )
    key: EnvName | None = Field(
        default=None,
        description="The setting of a KEY=VALUE or SOPS file that it consists of. Unset: the whole file.",
    )
    workloads: Annotated[tuple[WorkloadName, ...], Strict(False)] = Field(
        default=(), description="Services of the plugin that get it. Unset: those that answer web requests."
    )
