"""The base class of all kinds of resources: an identity, a spec, a status.

The store, the sources and the checks between manifests work with any kind. What they need to know of a spec (its settings
files, its ports, what it waits for) is asked here; the defaults are right for a spec without such fields.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import NoneType
from typing import Any, Literal, Self, cast, get_args

from pydantic import Field

from reconciler.api.formats import LabelKey, LabelValue, ServiceName
from reconciler.api.kinds import API_VERSION, KINDS, Kind, Ref
from reconciler.api.model import ApiModel
from reconciler.api.status import ObjectStatus

__all__ = ["Metadata", "Resource"]


class Metadata(ApiModel):
    """Identity of the resource."""

    name: ServiceName = Field(
        description="Unique name; prefix of the Compose project, its containers and networks."
    )
    labels: Mapping[LabelKey, LabelValue] = Field(
        default={}, description="Labels for selecting and grouping."
    )
    annotations: Mapping[LabelKey, str] = Field(
        default={},
        description=(
            "Annotations. The controller reads two: vault.internal/admission (restricted, baseline or privileged) and "
            "vault.internal/allow-prune. `vaultctl start` reads vault.internal/replicas, which `stop` writes."
        ),
    )
    generation: int = Field(default=1, ge=1, description="Counts changes of the spec; set by the controller.")


class Resource(ApiModel):
    """A document of any kind. A kind narrows `kind`, `spec` and `status` to its own types."""

    api_version: Literal["vault.internal/v1alpha1"] = Field(
        default=API_VERSION, description="Always vault.internal/v1alpha1."
    )
    kind: str = Field(description="The kind of resource.")
    metadata: Metadata = Field(description="Identity of the resource.")
    spec: Any = Field(description="What the user wants.")
    status: Any = Field(
        default=None, description="State that the controller observed last; ignored in manifests."
    )

    @classmethod
    def status_model(cls) -> type[ObjectStatus]:
        """The model of the kind's status."""
        (model,) = (each for each in get_args(cls.model_fields["status"].annotation) if each is not NoneType)
        return cast("type[ObjectStatus]", model)

    @property
    def name(self) -> str:
        """Shorthand for `metadata.name`."""
        return self.metadata.name

    @property
    def of_kind(self) -> Kind:
        """The registered kind."""
        return KINDS[self.kind]

    @property
    def ref(self) -> Ref:
        """Kind and name: the key of every queue, lease, label and record."""
        return Ref(self.of_kind, self.name)

    @property
    def is_suspended(self) -> bool:
        """Whether the controller makes no changes to it."""
        return bool(getattr(self.spec, "suspend", False))

    @property
    def is_orphaned(self) -> bool:
        """Whether what it started keeps running when its manifest is removed."""
        return getattr(self.spec, "deletion_policy", "Delete") == "Orphan"

    @property
    def settings_files(self) -> Mapping[str, str]:
        """The files that the spec names, as they are written, by the field that does."""
        return {}

    @property
    def secret_files(self) -> Mapping[str, str]:
        """Those of `settings_files` that only their owner should be able to read."""
        return self.settings_files

    def with_settings_files(self, files: tuple[str, ...]) -> Self:
        """The same with other paths in place of `settings_files`. Raises ValidationError for one that is not allowed."""
        assert not files, f"{self.kind} names no files"
        return self

    def located(self, base: Path) -> Self:
        """The same with absolute paths of its files, which are relative to `base`. Raises ValidationError."""
        # Links are not resolved: if a link is switched, the file that it then points to has to be read.
        files = (str((base / file).absolute()) for file in self.settings_files.values())
        return self.with_settings_files(tuple(files))

    @property
    def ports(self) -> Mapping[str, int]:
        """The ports of the host that it publishes, by the field that says so."""
        return {}

    @property
    def waits_for(self) -> tuple[Ref, ...]:
        """The resources that have to be Ready before it is changed, as `spec.dependsOn` names them."""
        return ()
