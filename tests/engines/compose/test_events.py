"""Events of the real engine, over a way to it that can be cut."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from reconciler.core.assess.cause import Cause
from reconciler.core.desired.stack import Stack
from reconciler.core.plan.operations import CreateReplicas
from reconciler.engines.compose.engine import ComposeEngine
from tests.e2e.docker_cli import docker
from tests.e2e.relay import Relay
from tests.e2e.waiting import PATIENCE

if TYPE_CHECKING:
    from tests.engines.conftest import MakeStack

pytestmark = pytest.mark.docker

IMAGE = "vault-reconciler/whoami:latest"
MISSED = ""


@dataclass(frozen=True)
class Box:
    """A container of a stack."""

    id: str
    stack: Stack


class Heard:
    """The events that an engine tells, collected by a thread."""

    def __init__(self, engine: ComposeEngine) -> None:
        self.engine = engine
        self._names: queue.Queue[str] = queue.Queue()
        self._enough = False
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()

    def _listen(self) -> None:
        for event in self.engine.events():
            if self._enough:
                return
            self._names.put(event.service)

    def wait_for(self, name: str) -> None:
        """Read until an event of that name; fails when none comes."""
        while self._names.get(timeout=PATIENCE) != name:
            pass

    def forget(self) -> None:
        """Forget what was heard."""
        while not self._names.empty():
            self._names.get()

    def enough(self) -> None:
        """End at the next event."""
        self._enough = True

    def close(self) -> None:
        """Hear no more."""
        self.enough()
        self._thread.join(PATIENCE)
        self.engine.close()


@pytest.fixture
def relay(tmp_path: Path) -> Iterator[Relay]:
    with closing(Relay(tmp_path / "engine.sock")) as relay:
        yield relay


@pytest.fixture
def heard(relay: Relay) -> Iterator[Heard]:
    """What an engine behind the relay tells; its stream is open."""
    with closing(Heard(ComposeEngine(relay.url))) as heard:
        heard.wait_for(MISSED)
        yield heard
        heard.enough()
        # A cut stream is opened again, which the listener hears and ends at.
        relay.cut_events()


@pytest.fixture
def box(engine: ComposeEngine, make_stack: MakeStack, heard: Heard) -> Box:
    """A container of ours that runs, and was heard of."""
    stack = make_stack()
    engine.create(stack, (CreateReplicas(workload="box", count=1, existing=0, cause=Cause.MISSING),))
    (box,) = engine.observe(stack).containers
    engine.start((box.id,))
    heard.wait_for(stack.name)
    return Box(box.id, stack)


def test_a_stream_that_is_cut_is_opened_again_and_says_that_something_was_missed(
    box: Box, heard: Heard, relay: Relay
) -> None:
    relay.withhold_events()
    docker("pause", box.id)
    relay.cut_events()
    heard.wait_for(MISSED)

    heard.forget()
    docker("unpause", box.id)
    heard.wait_for(box.stack.name)


def test_a_name_that_was_asked_for_is_told_to_all_when_it_means_another_image(
    box: Box, heard: Heard, engine: ComposeEngine
) -> None:
    """`docker compose build` gives a new image the name; the stacks have its ID only."""
    name = f"{box.stack.project}-built"
    listener = heard.engine
    assert listener.image_id(name) == ""
    heard.forget()
    try:
        docker("tag", box.stack.web[0].image, name)
        heard.wait_for(MISSED)
        assert listener.image_id(name) == engine.observe(box.stack).images[box.stack.web[0].image]
    finally:
        docker("image", "rm", name)


def test_what_happens_to_a_network_of_ours_is_told_too(box: Box, heard: Heard) -> None:
    heard.forget()
    docker("network", "disconnect", f"{box.stack.project}_vault-net", box.id)
    heard.wait_for(box.stack.name)
