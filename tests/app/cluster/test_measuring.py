"""`kubectl top` gets rates from two measurements, and waits for the first one only when there is none."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from types import SimpleNamespace
from typing import Any, cast

from reconciler.api.kinds import VAULT_SERVICE, Ref
from reconciler.app.cluster.measuring import KEPT, Measuring
from reconciler.app.cluster.running import Running
from reconciler.engines.instances import Instance, Usage
from tests.web.kube.instances import BORN, instance


@dataclass
class Machine:
    """An engine that measures what is `here`, and a clock."""

    here: Collection[str] = ()
    seconds: float = 0.0
    slept: list[float] = field(default_factory=list)
    node: str = "node-1"

    @property
    def instances(self) -> Any:
        return SimpleNamespace(usage=self.usage, machine_usage=lambda: None)

    def owned(self) -> list[tuple[Ref, Instance]]:
        return [(Ref(VAULT_SERVICE, "files"), instance(name)) for name in ("here", "away")]

    def usage(self, ids: Collection[str]) -> Mapping[str, Usage]:
        now = BORN + timedelta(seconds=self.seconds)
        return {each: Usage(self.seconds / 2, 1 << 20, now) for each in ids if each in self.here}

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.seconds += seconds


def test_a_container_on_another_node_costs_no_second_measurement_each_time() -> None:
    machine = Machine(here=[instance("here").id])
    measuring = Measuring(cast(Running, machine), lambda: machine.seconds, machine.sleep)
    for _ in range(3):
        (document,) = measuring.pods().values()
        assert document["containers"][0]["usage"]["cpu"] == "500000000n"
        machine.seconds += KEPT + 1
    assert len(machine.slept) == 1
