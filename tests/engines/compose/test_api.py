"""Calls of the Docker API, on the real engine."""

from __future__ import annotations

from functools import partial

import pytest

from reconciler.engines.compose.api import CONNECTIONS, DockerApi
from tests.descriptors import sockets

pytestmark = pytest.mark.docker


def test_asking_about_many_containers_keeps_few_connections() -> None:
    api = DockerApi()
    before = sockets()
    for number in range(30):
        assert api.ask("inspect", partial(_inspect, f"t-nobody-{number}"), missing=None) is None
    assert 1 <= sockets() - before <= CONNECTIONS
    api.close()
    assert sockets() == before


def _inspect(name: str, api: object) -> object:
    return api.inspect_container(name)  # type: ignore[attr-defined]
