"""The page of a controller that follows a Git server, in a real browser: what people do is one commit of theirs."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from typing import Final

import pytest
from playwright.sync_api import expect

from tests.e2e.docker_cli import died_at, docker, inspect
from tests.e2e.farm import Farm
from tests.e2e.load import FRESH_GET, KEPT_GET, Load
from tests.e2e.stage import Stage
from tests.e2e.team import Team, gathered
from tests.e2e.test_page import serving as replicas_serve
from tests.e2e.waiting import until
from tests.web.ui.chromium import WATCH

pytestmark = [pytest.mark.docker, pytest.mark.turns, pytest.mark.promise]

RATE: Final = 20.0
RECORD: Final = """() => {
  window.looks = [];
  const texts = (selector) => [...document.querySelectorAll(selector)].map((each) => each.textContent.trim());
  const look = () => {
    const rows = [...document.querySelectorAll('#now [aria-label=Replicas] tbody tr')]
      .map((row) => [row.cells[0].textContent, row.cells[1].textContent.trim()]);
    const [said] = texts('#now h2 + p');
    const of = (words) => Number(said.match(words)[1]);
    const limits = { floor: of(/At least ([0-9]+)/), most: of(/there may be ([0-9]+)/) };
    window.looks.push({ rows, ...limits, plan: texts('#now ol > li > bdi') });
  };
  new MutationObserver(look).observe(document.getElementById('main'), {childList: true, subtree: true});
  look();
}"""
"""What the page of a service shows, each time that it changes: its replicas, its budget, and its plan."""
ORDER: Final = ("created", "warming", "ready", "serving", "draining", "stopping", "dead")
BEFORE: Final = {
    "start": {"created"},
    "stop": {"draining", "serving", "dead"},
    "remove": {"stopping", "dead", "created"},
}
"""The states in which a replica may be while an operation on it is planned."""


@pytest.fixture
def team(stage: Stage) -> Iterator[Team]:
    with gathered(Farm.made(stage)) as found:
        yield found


def test_actions_are_commits_of_people_and_two_do_not_overwrite_each_other(team: Team) -> None:
    stage = team.stage
    with (
        Load(stage.port, RATE, (FRESH_GET, KEPT_GET)) as load,
        team.person("anna") as anna,
        team.person("ben") as ben,
    ):
        replicas_serve(anna, 3)
        before = len(team.log())

        # Both see the same, and want something else.
        team.preview(anna, "Scale", Replicas="4")
        team.preview(ben, "Scale", Replicas="2")
        team.confirm(anna, "Scale")
        ben.get_by_role("button", name=f"Scale {stage.name}").click()
        expect(ben.get_by_role("alert")).to_contain_text("changed since this preview")
        expect(ben.locator(".diff .removed")).to_contain_text(["replicas: 4"])
        assert team.log()[before:] == [team.did("anna", f"scale({stage.name}): replicas 3 -> 4")]
        # The page of the other one follows, without a look of its own.
        replicas_serve(anna, 4)
        ben.get_by_role("link", name="Cancel").click()
        replicas_serve(ben, 4)

        # What is asked is counted by HAProxy and drawn.
        traffic = anna.locator("#traffic")
        expect(traffic.locator("svg").first).to_be_visible()
        expect(traffic.locator("dd").first).to_have_text(re.compile(r"[1-9]"))
        expect(traffic.locator("path.bars").first).to_have_attribute("d", re.compile("M"))
    assert load.lost == []


def test_a_rollout_is_watched_step_by_step(team: Team) -> None:
    with team.person("anna") as page:
        replicas_serve(page, 3)
        team.preview(page, "Set a field", Field_of_the_spec="env.GREETING", Value="hello")
        expect(page.locator("ol")).to_contain_text("create")
        team.confirm(page, "Set a field")
        page.evaluate(RECORD)
        old = {name for name, _ in page.evaluate("window.looks[0].rows")}
        expect(page.locator("#history tbody tr")).to_have_count(2)
        expect(page.locator("#history tbody tr").first).to_contain_text("Complete")
        replicas_serve(page, 3)
        looks = page.evaluate("window.looks")
    lives: dict[str, list[str]] = {}
    planned = set[str]()
    for look in looks:
        states = dict(look["rows"])
        for name, state in states.items():
            lives.setdefault(name, []).append(state)
        # What the plan says is what the replicas are ready for.
        for verb, _, name in (step.partition(",")[0].partition(" ") for step in look["plan"]):
            planned.add(verb)
            if verb in BEFORE and name in states:
                assert states[name] in BEFORE[verb], look
        # The budget is kept.
        assert sum(state == "serving" for state in states.values()) >= look["floor"], look
        assert sum(state not in ("stopping", "dead") for state in states.values()) <= look["most"], look
    for life in lives.values():
        assert life == sorted(life, key=ORDER.index), lives
    new = lives.keys() - old
    assert len(old) == len(new) == 3
    assert all(lives[name][-1] == "serving" for name in new), lives
    assert any({"draining", "stopping"} & set(lives[name]) for name in old), lives
    assert "create" in planned, looks
    # Of steps that are soon over some are shown together with the next ones.
    assert {"drain", "stop", "remove"} & planned, looks


def test_rotation_is_switched_on_and_off(team: Team) -> None:
    stage = team.stage
    with team.person("ben") as page:
        before, names = len(team.log()), set(stage.replicas())
        team.preview(page, "Rotation", Interval="2s")
        team.confirm(page, "Rotation")
        until("a replica was rotated", lambda: names - set(stage.replicas()))
        expect(page.locator("#told")).to_contain_text("(rotation)")
        team.preview(page, "Rotation off")
        team.confirm(page, "Rotation off")
        assert team.log()[before:] == [
            team.did("ben", f"rotate({stage.name}): interval never -> 2s"),
            team.did("ben", f"rotate({stage.name}): never"),
        ]
        stage.converged()


def test_a_bad_image_is_rolled_back_and_undone_by_a_commit(team: Team) -> None:
    stage = team.stage
    with team.person("anna") as page:
        replicas_serve(page, 3)
        before = len(team.log())
        team.preview(page, "Set a field", Field_of_the_spec="images.whoami", Value="127.0.0.1:9/nothing:1")
        team.confirm(page, "Set a field")
        expect(page.locator("#told")).to_contain_text("RolledBack")
        expect(page.locator("#history tbody tr").first).to_contain_text("RolledBack")
        replicas_serve(page, 3)
        # The fields in which the two differ, then back to the first.
        page.locator("#history tbody tr").first.get_by_role("link", name="images.whoami").click()
        expect(page.get_by_role("rowheader", name="images.whoami")).to_be_visible()
        page.go_back()
        page.get_by_role("link", name="Undo to 1").click()
        page.get_by_role("button", name="Preview").click()
        team.confirm(page, "Undo")
        expect(page.locator("#now .state").first).to_have_text("ready")
        expect(page.locator("#now")).to_contain_text("Nothing to do")
        said = [each.partition(": ")[2] for each in team.log()[before:]]
        assert said == [f"set({stage.name}): images.whoami", f"undo({stage.name}): back to revision 1"]
        assert stage.get()[0] == 200


def test_a_killed_replica_is_seen_by_its_event(team: Team, record_property: object) -> None:
    """No look is due within an hour, so what is seen was told by the engine's event."""
    stage, seconds = team.stage, list[float]()
    with team.person("anna") as page:
        for _ in range(3):
            replicas_serve(page, 3)
            stage.converged()
            page.evaluate(WATCH)
            victim, began = stage.replicas()[0], time.time()
            docker("kill", victim)
            seconds.append(page.evaluate("window.seen") / 1000 - died_at(victim, began))
        replicas_serve(page, 3)
    record_property("seconds from a death to the page", seconds)  # type: ignore[operator]
    print(f"seconds from a death to the page: {', '.join(f'{each:.3f}' for each in seconds)}")


def test_logs_are_followed_and_a_command_runs_in_a_replica(team: Team) -> None:
    stage = team.stage
    with team.person("anna") as page:
        page.get_by_role("link", name="Terminal").click()
        name = str(inspect(stage.replicas()[0])["Name"]).removeprefix("/")
        page.get_by_label("Container").select_option(name)
        page.get_by_role("button", name="Run").click()
        page.get_by_label("Line").fill("echo $((6 * 7)) '<b>' >&2; hostname")
        page.keyboard.press("Enter")
        output = page.locator("#output")
        expect(output.locator(".err")).to_have_text("42 <b>\n")
        page.get_by_label("Line").fill("echo told > /proc/1/fd/1; exit 3")
        page.keyboard.press("Enter")
        expect(output).to_contain_text("ended with 3")
        page.get_by_role("heading").get_by_role("link", name=stage.name).click()
        page.get_by_role("link", name="Logs of all replicas").click()
        lines = page.locator("#log")
        expect(lines).to_contain_text("told")
        page.evaluate("window.same = true")
        docker("exec", stage.replicas()[0], "sh", "-c", "echo followed > /proc/1/fd/1")
        expect(lines).to_contain_text("followed")
        assert page.evaluate("window.same")
    with team.person("ben") as page:
        assert page.get_by_role("link", name="Terminal").count() == 0
