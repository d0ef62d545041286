"""How far there is to go, in words and in numbers."""

from __future__ import annotations

import pytest

from reconciler.core.assess.diff import Kind, count_by_kind, diff
from tests.core.scenes import read_scene

GOOD = "web-1 @1 up, web-2 @1 up, web-3 @1 up"


def told(text: str) -> list[str]:
    scene = read_scene(f"about: diff\n{text}")
    lines = [str(difference) for difference in diff(scene.assessment)]
    return [line.replace(scene.stack.web[0].revision, "<now>") for line in lines]


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        (f"web: [{GOOD}]", []),
        (f"wish: {{replicas: 5}}\nweb: [{GOOD}]", ["web: 3 containers of <now>, 5 wanted"]),
        (f"wish: {{replicas: 1}}\nweb: [{GOOD}]", ["web: 3 containers of <now>, 1 wanted"]),
        (
            f"wish: {{version: '2'}}\nweb: [{GOOD}]",
            ["web: 3 of another revision than <now>", "web: 0 containers of <now>, 3 wanted"],
        ),
        (
            "web: [web-1 @1 unhealthy down, web-2 @1 up, web-3 @1 up]",
            ["web: 2 containers of <now>, 3 wanted", "web-1: its health check fails"],
        ),
        (
            "web: [web-1 @1 exited code=3, web-2 @1 up, web-3 @1 up]",
            ["web: 2 containers of <now>, 3 wanted", "web-1: exited with code 3"],
        ),
        (f"wish: {{rotated: 2026-05-01 11:59:00}}\nweb: [{GOOD}]", ["web: 3 containers to be rotated"]),
        ("web: [web-1 @1, web-2 @1 up, web-3 @1 up]", ["web-1: ready, not in service"]),
        ("wish: {rotation: {interval: 1h, mode: single-active}}\nweb: [web-1 @1 up, web-2 @1, web-3 @1]", []),
        (
            f"configured: {{}}\nweb: [{GOOD}]",
            ["haproxy.cfg: does not name server web-1_______, which serves"],
        ),
        (f"dependencies: [former-1]\nweb: [{GOOD}]", ["former-1: service 'former' is not in the stack"]),
        (f"written: none\nweb: [{GOOD}]", ["haproxy.cfg: is not written yet"]),
        (f"written: old\nweb: [{GOOD}]", ["haproxy.cfg: its structure differs from the spec"]),
        (
            f"proxies: [haproxy-1 slot=1 joined=gateway-1 structure=old]\nweb: [{GOOD}]",
            ["haproxy: 1 still serve an older configuration"],
        ),
        (
            f"strays: {{gone-1: '10.0.0.9:80'}}\nweb: [{GOOD}]",
            [
                "haproxy: has server gone-1______, which is no container",
            ],
        ),
        (
            f"gateways: [gateway-1 exited code=1]\nweb: [{GOOD}]",
            ["gateway-1: exited with code 1"],
        ),
    ],
)
def test_differences(text: str, lines: list[str]) -> None:
    found = told(text)
    for line in lines:
        assert line in found
    assert bool(found) == bool(lines)


def test_every_kind_is_counted_also_when_there_is_none() -> None:
    scene = read_scene(f"about: diff\nwish: {{replicas: 5}}\nweb: [{GOOD}]")
    numbers = count_by_kind(diff(scene.assessment))
    assert set(numbers) == {kind.value for kind in Kind}
    assert numbers["missing"] == 1
    assert sum(numbers.values()) == 1
