"""A few faults, each for a short time, in every run; `make chaos` tries all of them."""

from __future__ import annotations

import pytest

from tests.chaos.fault import Fault
from tests.chaos.faults import SHORT
from tests.chaos.ordeal import live_through

pytestmark = [pytest.mark.docker, pytest.mark.promise]


@pytest.mark.parametrize("fault", SHORT, ids=lambda fault: fault.name.replace(" ", "-"))
def test_a_fault_ends_as_promised(fault: Fault) -> None:
    outcome = live_through(fault)
    assert outcome.is_good, str(outcome)
