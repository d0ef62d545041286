"""Calls of the Docker API, on the real engine."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from functools import partial
from pathlib import Path

import pytest

from reconciler.engines.compose.api import CONNECTIONS, DockerApi
from tests.descriptors import sockets
from tests.e2e.relay import Relay

pytestmark = pytest.mark.docker


def test_asking_about_many_containers_keeps_few_connections() -> None:
    api = DockerApi()
    before = sockets()
    for number in range(30):
        assert api.ask("inspect", partial(_inspect, f"t-nobody-{number}"), missing=None) is None
    assert 1 <= sockets() - before <= CONNECTIONS
    api.close()
    assert sockets() == before


def test_the_engine_is_asked_once_for_its_version(tmp_path: Path) -> None:
    relay = Relay(tmp_path / "engine.sock")
    with closing(relay), closing(DockerApi(relay.url)) as api:
        for _ in range(3):
            with ThreadPoolExecutor(1) as thread:
                before = relay.requests
                thread.submit(api.ask, "answer", lambda client: client.ping()).result()
        assert relay.requests - before == 1
        api.forget_client()
        api.ask("answer", lambda client: client.ping())
        assert relay.requests - before == 3, "another engine may answer now"


def _inspect(name: str, api: object) -> object:
    return api.inspect_container(name)  # type: ignore[attr-defined]
