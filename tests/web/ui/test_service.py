"""The page of a service shows what passes have seen, as it changes, and no secret."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest

from reconciler.core.plan.preview import Preview
from reconciler.web.ui import service
from reconciler.web.ui.scene import Scene, Stage, scene_of
from tests.controller.worlds import MemoryWorld
from tests.web.ui.people import House, asked_by
from tests.web.ui.test_overview import put


def seen_in_rollout() -> list[Scene]:
    """What passes see from nothing to three replicas, then to three of another version."""
    world, seen = MemoryWorld(), list[Scene]()
    stage = Stage(lambda text, name: text, lambda name: None)

    def saw(name: str, preview: Preview | None) -> None:
        stage.saw(name, preview)
        if (scene := stage.get(name)) is not None:
            seen.append(scene)

    world.world.board.tell(saw)
    world.wish(replicas=3)
    world.converge()
    world.wish(replicas=3, version="2")
    world.converge()
    return seen


@pytest.fixture(scope="module")
def rollout() -> list[Scene]:
    return seen_in_rollout()


def test_a_replica_is_shown_through_its_whole_life(rollout: list[Scene]) -> None:
    lives: dict[str, list[str]] = {}
    for scene in rollout:
        for part in scene.replicas:
            life = lives.setdefault(part.name, [])
            if life[-1:] != [part.state]:
                life.append(part.state)
    first = next(iter(lives.values()))
    assert first[:3] == ["created", "warming", "ready"]
    assert first[3:5] == ["serving", "draining"]
    assert rollout[-1].replicas
    assert {part.state for part in rollout[-1].replicas} == {"serving"}


def test_no_scene_of_a_rollout_is_over_its_budget(rollout: list[Scene]) -> None:
    begun = next(index for index, scene in enumerate(rollout) if scene.budget.serving == 3)
    for scene in rollout[begun:]:
        assert scene.budget.floor <= scene.budget.serving
        assert scene.budget.live <= scene.budget.most
    assert any(scene.budget.may_leave for scene in rollout)


def test_each_operation_has_its_cause(rollout: list[Scene]) -> None:
    steps = [step for scene in rollout for step in scene.steps]
    assert "create 3 × web" in {step.does for step in steps}
    assert all(step.cause for step in steps)
    assert rollout[-1].steps == ()


def test_the_page_has_all_of_it(home: House, rollout: list[Scene]) -> None:
    put(home, "files", 8110)
    busiest = max(rollout, key=lambda scene: len({part.state for part in scene.replicas}))
    home.site.stage._scenes["files"] = busiest
    text = home.browser("view").get("/service/files").text
    for part in busiest.replicas:
        assert (
            f'<th scope="row">{part.name}</th><td><span class="state {part.state}">{part.state}</span>'
            in text
        )
    for step in busiest.steps:
        assert f"<bdi>{step.does}</bdi>" in text
    assert f"At least {busiest.budget.floor} have to take traffic" in text
    assert "so it is" in text


def test_texts_of_a_pass_have_no_secret() -> None:
    world = MemoryWorld()
    previews: list[Preview] = []
    world.world.board.tell(lambda name, preview: previews.append(preview) if preview else None)
    world.wish(replicas=2)
    world.once()
    scene = scene_of(previews[-1], lambda text: text.replace("web", "…"))
    assert scene.steps
    assert "web" not in "".join(
        (*(step.does + step.detail for step in scene.steps), *scene.differences, *scene.waiting)
    )


def test_an_open_page_is_sent_only_the_parts_that_differ(home: House, rollout: list[Scene]) -> None:
    put(home, "files", 8110)
    render = service.changes(asked_by(home, path_params={"name": "files"}))
    home.site.stage._scenes["files"] = rollout[0]
    assert [each["id"] for each in render(None)] == ["now", "routes", "traffic", "told", "history"]
    assert render(("other",)) == []
    assert render(("files",)) == []
    home.site.stage._scenes["files"] = rollout[-1]
    assert [each["id"] for each in render(("files",))] == ["now"]
    home.application.objects.remove("files")
    assert "files is deleted" in render(("files",))[-1]["html"]


def test_revisions_are_compared_without_the_values_of_settings(home: House) -> None:
    put(home, "files", 8110)
    history = home.application.history
    for env, replicas in (("hunter2-before", 2), ("hunter2-after", 3)):
        spec = json.dumps({"plugin": "whoami", "replicas": replicas, "env": {"PASSWORD": env}})
        history.open_revision(
            "files", f"v2-{replicas}", spec, "spec", "main@sha1:0123456789abcdef", home.site.now()
        )
    browser = home.browser("view")
    text = browser.get("/service/files/difference?from=1&to=2").text
    assert "env.PASSWORD" in text
    assert "replicas" in text
    assert "hunter2" not in text
    assert "hunter2" not in browser.get("/service/files").text
    for query in ("from=1&to=9", "from=x&to=2", ""):
        assert browser.get(f"/service/files/difference?{query}").status_code == 404


def test_the_timeline_has_events_rollouts_and_commits_in_their_order(home: House) -> None:
    put(home, "files", 8110)
    history, now = home.application.history, home.site.now()
    for minutes, replicas in ((30, 2), (10, 3)):
        spec = json.dumps({"plugin": "whoami", "replicas": replicas})
        at, commit = now - timedelta(minutes=minutes), f"main@sha1:{replicas}123456789abcdef"
        history.open_revision("files", f"v2-{replicas}", spec, "spec", commit, at)
    for minutes, message in ((20, "a death"), (5, "all replicas run")):
        history.record_event(
            "files", "Normal", "Told", message, now - timedelta(minutes=minutes), commit="main@sha1:abc"
        )
    text = home.browser("view").get("/service/files").text.partition("<h2>Timeline</h2>")[2]
    places = [
        text.index(each)
        for each in ("all replicas run", "revision 2 begins: replicas", "a death", "revision 1 begins")
    ]
    assert places == sorted(places)
    assert '<span class="code faint">3123456789ab</span>' in text
    assert '<span class="code faint">abc</span>' in text


@pytest.mark.parametrize(
    "path",
    [
        "/service/nothing",
        "/service/..%2f..%2fetc",
        "/service/%2e%2e",
        "/service/files%00",
        "/service/gateway%2fmain",
        "/static/..%2fapp.py",
        "/static/../app.py",
        "/static/%2e%2e%2ftemplates%2flogin.html",
        "/live/../static/page.js/",
        "/nowhere",
    ],
)
def test_a_path_leads_to_no_file(home: House, path: str) -> None:
    put(home, "files", 8110)
    answer = home.browser("admin").get(path)
    assert answer.status_code == 404
    assert "import" not in answer.text
