"""The ways of benchmarks/several.py lead through HAProxies that answer, and its rows have what they say."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks import several
from benchmarks.several import Ways
from reconciler.threads import one_by_one, side_by_side


def test_each_node_is_asked_in_both_orders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(several, "ANSWER_SECONDS", 0.0)
    ways = Ways(tmp_path, 10)
    for abreast in (side_by_side, one_by_one):
        assert ways.look(abreast) > 0
        assert ways.replace(abreast) > 0
    # Whatever was there is taken out again.
    assert not any(worker.servers for each in ways.observe().instances for worker in each.workers)
    ways.close()
