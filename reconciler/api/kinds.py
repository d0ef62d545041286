"""The registry of kinds: what has to be said of a resource once, so that everything else can be derived.

A manifest is read, a CRD is written, a field is explained and a name on the command line is understood by looking the
kind up here. A further kind is a module with its model, and one line in KINDS. The model is named, not imported: a verb
that only prints names builds none.
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
    "Ref",
    "kind_called",
    "ref_of",
]

API_GROUP: Final = "vault.internal"
API_VERSION: Final = "vault.internal/v1alpha1"


@dataclass(frozen=True, slots=True)
class Column:
    """A column of `kubectl get`: its title, and where in the document its value is (JSONPath of Kubernetes)."""

    title: str
    type: Literal["string", "integer", "date"]
    path: str


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of resource. `model` is the module and the class that users' documents are checked with; `scale` are the
    paths of the replicas that are wanted and that are there, for kinds that have replicas.
    """

    name: str
    plural: str
    model: tuple[str, str]
    columns: tuple[Column, ...]
    short_names: tuple[str, ...] = ()
    scale: tuple[str, str] | None = None

    @property
    def singular(self) -> str:
        """The kind in small letters, as in `vaultservice/files`."""
        return self.name.lower()

    def load_model(self) -> type[ApiModel]:
        """The class of its documents."""
        module, name = self.model
        return cast("type[ApiModel]", getattr(import_module(module), name))

    def is_called(self, name: str) -> bool:
        """Whether `name` means this kind, in any of the spellings that kubectl understands."""
        return name.lower() in {self.singular, self.plural, *self.short_names, f"{self.plural}.{API_GROUP}"}


@dataclass(frozen=True, slots=True, order=True)
class Ref:
    """Which object: the key of queues, leases and whatever else is kept for one. It reads as `vaultservice/files`."""

    kind: str
    name: str

    def __str__(self) -> str:
        return f"{self.kind.lower()}/{self.name}"


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
"""Every kind that is served, by name, in the order in which pages list them."""


def kind_called(name: str, kinds: Iterable[Kind] | None = None) -> Kind | None:
    """The kind that is meant by a word such as "vs", "VaultService" or "vaultservices.vault.internal"."""
    return next((kind for kind in kinds or KINDS.values() if kind.is_called(name)), None)


def ref_of(text: str) -> Ref | None:
    """The object that a person means by `NAME` or `KIND/NAME`; None for a kind that is not served."""
    word, slash, name = text.rpartition("/")
    kind = kind_called(word) if slash else VAULT_SERVICE
    return Ref(kind.name, name) if kind else None
