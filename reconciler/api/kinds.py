"""The registry of kinds: the properties of each kind of resource, from which everything else is derived.

The manifest reader, the CRD, `explain` and the command line look kinds up here. A new kind is a module with its model
and one line in KINDS. The model is given by name, not imported, so that a command which only prints names does not build
it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Final, Literal, cast

if TYPE_CHECKING:
    from reconciler.api.model import ApiModel

__all__ = [
    "API_GROUP",
    "API_VERSION",
    "KINDS",
    "VAULT_SERVICE",
    "Column",
    "Kind",
    "kind_called",
]

API_GROUP: Final = "vault.internal"
API_VERSION: Final = "vault.internal/v1alpha1"


@dataclass(frozen=True, slots=True)
class Column:
    """A column of `kubectl get`: its title and the JSONPath of its value (Kubernetes dialect)."""

    title: str
    type: Literal["string", "integer", "date"]
    path: str


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of resource. `model` is the module and class that validates documents; `scale` are the paths of the
    desired and the current number of replicas, for kinds that have replicas.
    """

    name: str
    plural: str
    model: tuple[str, str]
    columns: tuple[Column, ...]
    short_names: tuple[str, ...] = ()
    scale: tuple[str, str] | None = None

    @property
    def singular(self) -> str:
        """The kind in lower case, as in `vaultservice/files`."""
        return self.name.lower()

    def load_model(self) -> type[ApiModel]:
        """Import the model class."""
        module, name = self.model
        return cast("type[ApiModel]", getattr(import_module(module), name))

    def is_called(self, name: str) -> bool:
        """Whether `name` is one of the names of this kind that kubectl accepts."""
        return name.lower() in {self.singular, self.plural, *self.short_names, f"{self.plural}.{API_GROUP}"}


VAULT_SERVICE: Final = Kind(
    name="VaultService",
    plural="vaultservices",
    model=("reconciler.api.vaultservice", "VaultService"),
    columns=(
        Column("Plugin", "string", ".spec.plugin"),
        Column("Replicas", "integer", ".status.replicas.desired"),
        Column("Serving", "integer", ".status.replicas.serving"),
        Column("Ready", "string", '.status.conditions[?(@.type=="Ready")].status'),
        Column("Age", "date", ".metadata.creationTimestamp"),
    ),
    short_names=("vs",),
    scale=(".spec.replicas", ".status.replicas.current"),
)

KINDS: Final[Mapping[str, Kind]] = {kind.name: kind for kind in (VAULT_SERVICE,)}
"""Every served kind by name, in the order of the generated pages."""


def kind_called(name: str, kinds: Iterable[Kind] | None = None) -> Kind | None:
    """The kind with a name such as "vs", "VaultService" or "vaultservices.vault.internal"."""
    return next((kind for kind in kinds or KINDS.values() if kind.is_called(name)), None)
