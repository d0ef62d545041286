"""The reconciler of VaultGateways, over the same engine and objects as that of services.

Few machines have a gateway, and what a pass over one needs takes longer to import than all else in the loop. So it is
imported for the first pass.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from reconciler.api.kinds import VAULT_GATEWAY, VAULT_SERVICE

if TYPE_CHECKING:
    from reconciler.controller.loop.workers import Reconciler
    from reconciler.controller.reconcile.gateway import GatewayWorld
    from reconciler.controller.reconcile.result import Result
    from reconciler.controller.reconcile.world import World
    from reconciler.wiring.application import Application

__all__ = ["gateways"]


def gateways(application: Application, world: World) -> Reconciler:
    """The reconciler of VaultGateways."""
    from reconciler.controller.loop.workers import Reconciler

    mine, records = world.objects.of(VAULT_GATEWAY), world.records.of(VAULT_GATEWAY)
    return Reconciler(
        VAULT_GATEWAY, mine, records, _Passes(application, world).over, follows=(VAULT_SERVICE,)
    )


class _Passes:
    def __init__(self, application: Application, world: World) -> None:
        self._application, self._services = application, world

    def over(self, name: str) -> Result:
        """Run one pass over a gateway."""
        from reconciler.controller.reconcile.gateway import reconcile

        return reconcile(name, self._world)

    @cached_property
    def _world(self) -> GatewayWorld:
        from reconciler.controller.reconcile.gateway import GatewayWorld
        from reconciler.controller.report.journal import Journal

        application, world = self._application, self._services
        return GatewayWorld(
            objects=world.objects,
            router=application.router,
            engine=world.engine,
            gateways=application.gateways,
            journal=Journal(world.records.of(VAULT_GATEWAY), application.recorder, VAULT_GATEWAY),
            bind=application.options.bind,
            key=application.builder.key,
            now=world.now,
            clock=world.clock,
            keepers=application.keepers,
            board=application.gateway_board,
            require=world.require,
            fronts=application.fronts,
        )
