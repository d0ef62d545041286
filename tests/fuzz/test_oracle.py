"""Compose reads in what we write what the fragment meant; `make fuzz` asks it 20,000 times."""

from __future__ import annotations

from random import Random

import pytest
import yaml

from tests.fuzz import oracle
from tests.fuzz.oracle import compare, draw
from tests.fuzz.pieces import FIELDS, Piece

FRAGMENTS = 500


@pytest.mark.docker
def test_compose_reads_what_the_fragments_mean() -> None:
    found = compare(0, FRAGMENTS)
    assert not found.differences, "\n".join(map(str, found.differences[:20]))
    assert found.fragments == FRAGMENTS


@pytest.mark.docker
def test_a_value_that_compose_reads_otherwise_is_a_difference(monkeypatch: pytest.MonkeyPatch) -> None:
    """The writer of before, which knew only YAML 1.1, is caught."""
    pieces = {7: {"environment": Piece({"A": "0089", "B": "x"}, {"A": "0089", "B": "x"})}}
    assert list(oracle.differences(pieces)) == []
    monkeypatch.setattr(oracle, "dump", yaml.safe_dump)
    (found,) = oracle.differences(pieces)
    assert str(found).endswith("Compose reads {'A': '89', 'B': 'x'}")


def test_every_field_is_drawn_and_a_seed_draws_it_again() -> None:
    assert {field for seed in range(FRAGMENTS) for field in draw(Random(seed))} == set(FIELDS)
    assert repr(draw(Random(3))) == repr(draw(Random(3)))
