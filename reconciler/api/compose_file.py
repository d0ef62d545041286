"""A Compose file in place of a plugin: `spec.compose`.

The file stays what `docker compose` reads, so it can be tried without the controller. What the controller has to know
besides, which service answers requests and on which port, is said here or follows from the file.
"""

from __future__ import annotations

from typing import Annotated, Final, Self

from pydantic import Field, Strict, model_validator

from reconciler.api.formats import FilePath, TextFormat
from reconciler.api.model import ApiModel
from reconciler.api.traffic import Port

__all__ = ["COMPOSE", "ComposeFile"]

COMPOSE: Final = "compose"
"""The value of `spec.plugin` for a service of a Compose file; it need not be written."""

MAX_INLINE: Final = 256 * 1024

ComposeName = Annotated[
    str,
    TextFormat(
        r"[A-Za-z0-9][A-Za-z0-9._-]*", 128, "a name in a Compose file: letters, digits, '.', '_' and '-'"
    ),
]
ProjectName = Annotated[
    str,
    TextFormat(
        r"[a-z0-9][a-z0-9_-]*", 63, "the name of a Compose project: lower case letters, digits, '_' and '-'"
    ),
]
ContentName = Annotated[
    str, TextFormat(r"v[0-9]{1,3}-[0-9a-f]{12}", 20, "the name of a content as `rollout history` shows it")
]


class ComposeFile(ApiModel):
    """A Compose file that describes the service."""

    file: FilePath | None = Field(
        default=None,
        description=(
            "Path of the Compose file, beside the manifest or in a directory below it. Containers may read what is in "
            "the directory of this file."
        ),
    )
    inline: Annotated[str, Field(max_length=MAX_INLINE)] | None = Field(
        default=None,
        # It may hold a password, and is shown nowhere.
        repr=False,
        description="The text of a Compose file that needs no other file, in place of `file`.",
    )
    web: ComposeName | None = Field(
        default=None,
        description="The service that answers requests. Unset: the only one that publishes a port for HTTP.",
    )
    port: Port | None = Field(
        default=None,
        description="The port that it listens on, in its container. Unset: the only one that it publishes.",
    )
    profiles: Annotated[tuple[ComposeName, ...], Strict(False)] = Field(
        default=(), max_length=64, description="Profiles of the Compose file that are active."
    )
    adopted: ProjectName | None = Field(
        default=None,
        description=(
            "The Compose project whose volumes and networks the service keeps, by their names. `vaultctl adopt` writes it; "
            "without the record of that in the state directory, nothing is started."
        ),
    )
    content: ContentName | None = Field(
        default=None,
        description=(
            "Which content of the file runs, one that the controller has kept; `rollout undo` writes it. Unset: what "
            "the file says now."
        ),
    )

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if (self.file is None) is (self.inline is None):
            raise ValueError("needs one of file and inline")
        return self
