"""Tags that mean another image than the one that runs: kept for replicas, told of all, and nothing else follows."""

from __future__ import annotations

from reconciler.core.assess.diff import Kind, diff
from reconciler.core.plan.planner import plan
from reconciler.proxy.haproxy.front import FRONT
from tests.core.scenes import Scene, read_scene

OLD, NEW = "sha256:aaaaaaaaaaaaaaaa", "sha256:bbbbbbbbbbbbbbbb"


def scene(*replicas: str, image: str = NEW) -> Scene:
    lines = [f"web-{n} up image={content}" for n, content in enumerate(replicas, 1)]
    return read_scene(
        f"about: moved\nwish: {{replicas: {len(lines)}}}\nimages: {{'web:1': '{image}'}}\nweb: {lines}"
    )


def told(looked: Scene) -> list[str]:
    return [str(d) for d in diff(looked.assessment) if d.kind is Kind.IMAGE]


def test_a_tag_that_means_what_runs_is_no_difference() -> None:
    assert told(scene(NEW, NEW)) == []


def test_a_moved_tag_is_told_with_what_takes_it_and_changes_nothing() -> None:
    moved = scene(OLD, OLD)
    (text,) = told(moved)
    assert text.startswith("web: image web:1 has moved from sha256:aaaaaaaaaaaa to sha256:bbbbbbbbbbbb")
    assert "vaultctl rollout restart files" in text
    assert not plan(moved.assessment, moved.history, FRONT).operations


def test_what_a_restart_does_not_take_says_so() -> None:
    looked = read_scene(
        f"about: moved\nwish: {{plugin: stateful}}\nimages: {{'database:1': '{NEW}', 'haproxy:3.0': '{NEW}'}}\n"
        f"dependencies: [database-1 image={OLD}, migrate-1 exited code=0]\n"
        f"proxies: [haproxy-1 slot=1 joined=gateway-1 image={OLD}]\nweb: [web-1 up, web-2 up, web-3 up]"
    )
    proxy, database = sorted(told(looked), key=lambda text: "database" in text)
    assert proxy.endswith("name another version in spec.proxy.image to take one")
    assert database.endswith(
        "rollout restart replaces web replicas only: name another version in the fragment to take one"
    )


def test_mixed_content_is_told() -> None:
    (text,) = told(scene(OLD, NEW, OLD))
    assert "1 of 3 containers run the new one" in text


def test_what_is_not_known_is_not_told() -> None:
    """An engine that says nothing of a container's image, or an image that is not there any more."""
    looked = read_scene("about: unknown\nimages: {}\nweb: [web-1 up, web-2 up, web-3 up]")
    assert told(looked) == []
