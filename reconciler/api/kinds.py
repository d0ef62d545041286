"""The registry of kinds: the properties of each kind of resource, from which everything else is derived.

The manifest reader, the store, the CRD, `explain` and the command line look kinds up here. A new kind is a module with its
model, one line in KINDS, and a reconciler in `wiring`. The model is given by name, not imported, so that a command which
only prints names does not build it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Final, Literal, cast

if TYPE_CHECKING:
    from reconciler.api.resource import Resource

__all__ = [
    "API_GROUP",
    "API_VERSION",
    "KINDS",
    "NAMESPACE",
    "SERVED_VERSION",
    "VAULT_GATEWAY",
    "VAULT_SERVICE",
    "Column",
    "Kind",
    "Ref",
    "kind_called",
    "names_of_kinds",
    "ref_labelled",
]

API_GROUP: Final = "vault.internal"
API_VERSION: Final = "vault.internal/v1alpha1"
SERVED_VERSION: Final = API_VERSION.rpartition("/")[2]
NAMESPACE: Final = "default"
"""The only namespace there is."""


@dataclass(frozen=True, slots=True)
class Column:
    """A column of `kubectl get`: title and JSONPath of the value (Kubernetes dialect). `wide`: only of `-o wide`."""

    title: str
    type: Literal["string", "integer", "date"]
    path: str
    wide: bool = False


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of resource. `model` is the module and class that validates documents; `scale` are the paths of the
    desired and the current number of replicas, for kinds that have replicas. `deletion_waits` where a deletion may have to
    wait for other objects: applying such an object again takes the deletion back.
    """

    name: str
    plural: str
    model: tuple[str, str]
    columns: tuple[Column, ...]
    short_names: tuple[str, ...] = ()
    scale: tuple[str, str] | None = None
    deletion_waits: bool = False

    @property
    def singular(self) -> str:
        """The kind in lower case, as in `vaultservice/files`."""
        return self.name.lower()

    @property
    def directory(self) -> str:
        """The directory of its objects in the state directory: `services` for vaultservices."""
        return self.plural.removeprefix("vault")

    def load_model(self) -> type[Resource]:
        """Import the model class."""
        module, name = self.model
        return cast("type[Resource]", getattr(import_module(module), name))

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

VAULT_GATEWAY: Final = Kind(
    name="VaultGateway",
    plural="vaultgateways",
    model=("reconciler.api.vaultgateway", "VaultGateway"),
    columns=(
        Column("Routes", "integer", ".status.routes"),
        Column("Ready", "string", '.status.conditions[?(@.type=="Ready")].status'),
        Column("Age", "date", ".metadata.creationTimestamp"),
    ),
    short_names=("vg", "gateway", "gateways"),
    deletion_waits=True,
)

KINDS: Final[Mapping[str, Kind]] = {kind.name: kind for kind in (VAULT_SERVICE, VAULT_GATEWAY)}
"""Every served kind by name, in the order of the generated pages."""


@dataclass(frozen=True, slots=True)
class Ref:
    """A kind and a name: what is unique. Two resources of different kinds may have the same name."""

    kind: Kind
    name: str

    def __str__(self) -> str:
        return f"{self.kind.singular}/{self.name}"

    @property
    def label(self) -> str:
        """Its name in messages and logs: only VaultServices go without their kind. Names contain no slash."""
        return self.name if self.kind == VAULT_SERVICE else str(self)


def names_of_kinds() -> str:
    """The kinds, as an error lists them."""
    return " or ".join(KINDS)


def kind_called(name: str, kinds: Iterable[Kind] | None = None) -> Kind | None:
    """The kind with a name such as "vs", "VaultService" or "vaultservices.vault.internal"."""
    return next((kind for kind in kinds or KINDS.values() if kind.is_called(name)), None)


def ref_labelled(label: str) -> Ref | None:
    """The object with this `Ref.label`, such as "files" or "vaultgateway/main"; None for one of an unknown kind."""
    singular, slash, name = label.rpartition("/")
    if not slash:
        return Ref(VAULT_SERVICE, name)
    return next((Ref(kind, name) for kind in KINDS.values() if kind.singular == singular), None)
