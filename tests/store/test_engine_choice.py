"""Which engine a state directory belongs to."""

from __future__ import annotations

from pathlib import Path

import pytest

from reconciler.api import PermanentError
from reconciler.store.engine_choice import COMPOSE, choose_engine, engine_of

SWARM = "swarm"
ENGINES = (COMPOSE, SWARM)


def test_the_choice_is_kept_for_every_command(tmp_path: Path) -> None:
    state = tmp_path / "state"
    assert engine_of(state, ENGINES) == COMPOSE
    choose_engine(state, COMPOSE, ENGINES, is_in_use=True)
    assert not state.exists(), "nothing has changed"
    choose_engine(state, SWARM, ENGINES, is_in_use=False)
    assert engine_of(state, ENGINES) == SWARM
    choose_engine(state, SWARM, ENGINES, is_in_use=True)
    choose_engine(state, COMPOSE, ENGINES, is_in_use=False)
    assert engine_of(state, ENGINES) == COMPOSE


def test_what_runs_is_not_run_a_second_time(tmp_path: Path) -> None:
    with pytest.raises(
        PermanentError, match="run on engine 'compose', and 'swarm' would run them a second time"
    ):
        choose_engine(tmp_path, SWARM, ENGINES, is_in_use=True)
    assert engine_of(tmp_path, ENGINES) == COMPOSE


def test_another_text_is_told(tmp_path: Path) -> None:
    (tmp_path / "engine").write_bytes(b"nomad\xff\n")
    with pytest.raises(PermanentError, match="names no engine: write compose or swarm into it"):
        engine_of(tmp_path, ENGINES)
