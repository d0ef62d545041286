"""The end of a project whose containers take their time, with an engine that is played."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import docker
import pytest
import requests.exceptions

from reconciler.engines.compose.engine import ComposeEngine
from reconciler.engines.errors import EngineAwayError, EngineError
from tests.engines.compose.fake_engine import VERSION, FakeEngine, at_socket


@pytest.fixture
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeEngine]:
    """An engine that gives no answer to a stop in time."""

    def stop(self: object, container: str, timeout: int | None = None) -> None:
        raise requests.exceptions.ReadTimeout

    monkeypatch.setattr(docker.APIClient, "stop", stop)
    with closing(at_socket(tmp_path / "engine.sock")) as fake:
        fake.answer_sent = lambda method, target: (200, b"{}")
        _answer(fake, "/containers/json", [{"Id": "c1", "Labels": {}}])
        _answer(fake, "/networks", [])
        yield fake


def _answer(fake: FakeEngine, path: str, document: Any) -> None:
    fake.answers[f"/v{VERSION}{path}"] = (200, json.dumps(document).encode())


def _tear_down(fake: FakeEngine) -> None:
    with closing(ComposeEngine(f"unix://{fake.address}")) as engine:
        engine.tear_down("vault-shop", volumes=False)


def test_a_container_that_is_still_ending_is_no_engine_that_is_away(fake: FakeEngine) -> None:
    _answer(fake, "/containers/c1/json", {"Name": "/vault-shop-web-1", "State": {"Running": True}})
    with pytest.raises(EngineError, match="vault-shop-web-1 has not ended yet") as caught:
        _tear_down(fake)
    assert not isinstance(caught.value, EngineAwayError)
    assert fake.sent == [], "it is not removed"


def test_one_that_has_ended_meanwhile_is_removed(fake: FakeEngine) -> None:
    _answer(fake, "/containers/c1/json", {"Name": "/vault-shop-web-1", "State": {"Running": False}})
    _tear_down(fake)
    (method, target, _) = fake.sent[0]
    assert (method, target.partition("?")[0]) == ("DELETE", f"/v{VERSION}/containers/c1")
