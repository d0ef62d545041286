"""What an image declares as its data and no mount covers, as a table."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from reconciler.core.assess.assessment import assess
from reconciler.core.assess.observation import EngineObservation, Observation, ProxyObservation
from reconciler.core.assess.unkept import unkept
from tests.core.compose.test_forms import built

NOW = datetime(2026, 5, 1, 12, 0, tzinfo=UTC)


def told(
    declared: dict[str, tuple[str, ...]], web: dict[str, Any] | None = None, db: dict[str, Any] | None = None
) -> list[str]:
    stack = built(web, db, volumes={"data": {}})
    seen = EngineObservation(containers=(), volumes=declared)
    return list(unkept(assess(stack, Observation(seen, ProxyObservation("x", None, {})), NOW)))


@pytest.mark.parametrize(
    "mounts",
    [
        {"volumes": ["data:/data"]},
        {"volumes": ["data:/data/"]},
        {"volumes": ["/srv/x:/data:ro"]},
        {"volumes": [{"type": "volume", "source": "data", "target": "/data"}]},
        {"volumes": [{"type": "tmpfs", "target": "/data"}]},
        # Without a name, but chosen by the author; there is advice of its own for that.
        {"volumes": ["/data"]},
        {"tmpfs": "/data"},
        {"tmpfs": ["/tmp", "/data:size=1m"]},
    ],
    ids=str,
)
def test_a_mount_of_any_kind_covers_it(mounts: dict[str, Any]) -> None:
    assert told({"db:1": ("/data",)}, db=mounts) == []


@pytest.mark.parametrize(
    "mounts",
    [
        {},
        {"volumes": ["data:/other"]},
        {"volumes": ["data:/data/inner"]},
        # The engine puts the image's volume into the one around it.
        {"volumes": ["data:/"], "tmpfs": "/dat"},
    ],
    ids=str,
)
def test_what_no_mount_covers_is_told_with_the_way_out(mounts: dict[str, Any]) -> None:
    (text,) = told({"db:1": ("/data/",)}, db=mounts)
    assert text == (
        "services.db: image db:1 declares /data as a volume, and no mount covers that: it gets a volume without a name "
        "there, which no other container finds; mount a named volume there, or tmpfs if nothing is to be kept"
    )


def test_a_mount_around_it_covers_nothing() -> None:
    assert told({"db:1": ("/var/lib/db/data",)}, db={"volumes": ["data:/var/lib/db"]})


def test_replicas_lose_it_with_each_container() -> None:
    (text,) = told({"web:1": ("/a", "/b", "/c")}, web={"volumes": ["data:/b"]})
    assert "declares /a and /c as volumes" in text
    assert "each replica gets an empty volume there, which is removed with it" in text


def test_images_that_declare_nothing_and_those_of_haproxy_say_nothing() -> None:
    assert told({}) == []
    assert told({"haproxy:3.0": ("/var",)}) == []
    assert told({"db:1": ("/data",)}, db={"volumes": ["data:/data"], "restart": "no"}) == []
