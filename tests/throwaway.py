"""A second kind that exists only in tests: a model, a line in the registry, and a reconciler.

It proves that a kind needs nothing else to be read, stored, listed, described, reconciled and deleted.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal, Self

import pytest
from pydantic import Field, Strict

from reconciler import wiring
from reconciler.api import Condition, set_condition
from reconciler.api.formats import FilePath, ServiceName
from reconciler.api.kinds import KINDS, VAULT_SERVICE, Column, Kind, Ref
from reconciler.api.model import ApiModel
from reconciler.api.resource import Metadata, Resource
from reconciler.api.status import ObjectStatus
from reconciler.controller.loop.workers import Reconciler
from reconciler.controller.reconcile.result import Result
from reconciler.controller.reconcile.world import World
from reconciler.store.base import Objects, Records
from reconciler.wiring import Application

__all__ = ["MANIFEST", "THROWAWAY", "Throwaway", "ThrowawayStatus", "reconciler_of", "throwaway"]

MANIFEST: Final = """\
apiVersion: vault.internal/v1alpha1
kind: Throwaway
metadata: {name: NAME}
spec: {size: SIZE}
"""


class ThrowawaySpec(ApiModel):
    """What it is to be."""

    size: int = Field(default=1, ge=1, description="How big it is.")
    suspend: bool = Field(default=False, description="Whether it is left alone.")
    port: int | None = Field(default=None, description="The port that it publishes.")
    colors: FilePath | None = Field(default=None, description="A file of colours.")
    serves: Annotated[tuple[ServiceName, ...], Strict(False)] = Field(
        default=(), description="VaultServices that it waits for."
    )


class ThrowawayStatus(ObjectStatus):
    """What was seen of it."""

    size: int = Field(default=0, description="How big it was.")


class Throwaway(Resource):
    """A resource that exists only in tests."""

    kind: Literal["Throwaway"] = Field(default="Throwaway", description="Always Throwaway.")
    metadata: Metadata = Field(description="Identity of the Throwaway.")
    spec: ThrowawaySpec = Field(default=ThrowawaySpec(), description="What it is to be.")
    status: ThrowawayStatus | None = Field(default=None, description="What was seen of it.")

    @property
    def settings_files(self) -> Mapping[str, str]:
        return {"spec.colors": self.spec.colors} if self.spec.colors else {}

    def with_settings_files(self, files: tuple[str, ...]) -> Self:
        colors = files[0] if files else None
        return self.model_copy(update={"spec": self.spec.model_copy(update={"colors": colors})})

    @property
    def ports(self) -> Mapping[str, int]:
        return {"spec.port": self.spec.port} if self.spec.port else {}

    @property
    def waits_for(self) -> tuple[Ref, ...]:
        return tuple(Ref(VAULT_SERVICE, name) for name in self.spec.serves)


THROWAWAY: Final = Kind(
    name="Throwaway",
    plural="throwaways",
    model=(__name__, "Throwaway"),
    columns=(
        Column("Size", "integer", ".status.size"),
        Column("Ready", "string", '.status.conditions[?(@.type=="Ready")].status'),
    ),
    short_names=("ta",),
)


def reconciler_of(application: Application, world: World) -> Reconciler:
    """As `wiring` makes those of other kinds."""
    objects, records = application.objects.of(THROWAWAY), application.history.of(THROWAWAY)

    def reconcile(name: str) -> Result:
        return _pass(name, objects, records, world)

    return Reconciler(THROWAWAY, objects, records, reconcile)


def _pass(name: str, objects: Objects[Any, Any], records: Records, world: World) -> Result:
    stored = objects.get(name)
    if stored is None:
        return Result(gone=True)
    if stored.deletion:
        objects.remove(name)
        records.forget(name)
        return Result(gone=True)
    before, now = objects.status(name), world.now()
    size = stored.resource.spec.size
    number = records.open_revision(name, f"v1-{size}", "{}", "spec", stored.origin.commit, now)
    records.finish_revision(name, number, "Complete", now)
    records.record_event(name, "Normal", "Resized", f"is {size}", now, revision=f"v1-{size}")
    ready = Condition(
        type="Ready",
        status="True",
        reason="Serving",
        message=f"is {size}",
        observed_generation=stored.generation,
    )
    after = {
        "size": size,
        "observed_generation": stored.generation,
        "last_handled_reconcile_at": stored.requested_at,
        "conditions": set_condition(before.conditions, ready, now),
    }
    objects.put_status(name, before.model_copy(update=after))
    return Result(converged=True)


@pytest.fixture
def throwaway(monkeypatch: pytest.MonkeyPatch) -> Kind:
    """The kind, registered for one test."""
    monkeypatch.setitem(KINDS, THROWAWAY.name, THROWAWAY)
    monkeypatch.setitem(wiring.RECONCILERS, THROWAWAY.name, reconciler_of)
    return THROWAWAY
