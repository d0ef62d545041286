"""Logs of all replicas are merged, without secrets, as text, and followed until the session ends."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest

from reconciler.web.ui import logs
from tests.web.kube.instances import FakeInstances, instance
from tests.web.ui.people import AbsentEngine, House, asked_by, house
from tests.web.ui.test_overview import put

LINES = [
    b"2026-05-01T12:00:01.5Z first <b>line</b>\n2026-05-01T12:00:0",
    b"2.5Z has hunter2 in it\n2026-05-01T12:00:03.5Z " + b"\xff\x1b[31m\xe2\x80\xaered\n",
]


@pytest.fixture
def instances() -> FakeInstances:
    return FakeInstances(
        [instance(), instance("vault-files-web-2"), instance("other-web-1", label="other")], LINES
    )


@pytest.fixture
def home(tmp_path: Path, instances: FakeInstances, _cheap: None) -> Iterator[House]:
    with house(tmp_path / "state", AbsentEngine(instances)) as made:
        put(made, "files", 8130)
        made.parts.observer.look_everywhere()
        made.application.secrets.learn("files", ["hunter2"])
        yield made


def test_the_last_lines_are_in_the_order_in_which_they_were_written(home: House) -> None:
    text = home.browser("view").get("/service/files/logs").text
    lines = [line for line in text.split("<div>") if 'class="from"' in line]
    assert [line.partition("</span>")[0][-17:] for line in lines] == [
        "vault-files-web-1",
        "vault-files-web-2",
    ] * 3
    assert "first &lt;b&gt;line&lt;/b&gt;" in lines[0]
    assert "hunter2" not in text
    assert "<b>line" not in text
    # What would colour a terminal, or turn the letters around, is not to be seen.
    assert "\x1b" not in text
    assert "\u202e" not in text
    assert "other-web-1" not in text


def test_lines_are_searched(home: House) -> None:
    text = home.browser("view").get("/service/files/logs?q=FIRST").text
    assert text.count('class="from"') == 2
    assert (
        "No replica has written a line with this text yet"
        in home.browser("view").get("/service/files/logs?q=no").text
    )
    assert home.browser("view").get("/service/nothing/logs").status_code == 404


def test_new_lines_and_those_of_new_replicas_are_followed(home: House, instances: FakeInstances) -> None:
    visitor = home.site.visitors
    asked = asked_by(home, query_params={}, path_params={"name": "files"})
    lasts = [True]
    object.__setattr__(visitor, "is_there", lambda _: lasts[0])

    async def run() -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        async with aclosing(logs.follow(home.site, "files", "", asked)) as events:  # type: ignore[type-var]
            async for each in events:
                for line in each.decode().splitlines():
                    if line.startswith("data: ["):
                        found += json.loads(line[6:])
                if instances.open_logs == 2 and len(instances.found) == 3:
                    instances.found.append(instance("vault-files-web-3"))
                    home.site.pulse.touch("files")
                if len(found) == 3 and lasts[0]:
                    assert instances.open_logs == 3
                    lasts[0] = False
                    home.site.pulse.touch("files")
        return found

    found = asyncio.run(asyncio.wait_for(run(), 60))
    # Of those that the page has shown, only what is new; of one that is new everything.
    assert [each["from"] for each in found] == ["vault-files-web-3"] * 3
    assert found[0]["text"] == "first <b>line</b>"
    assert "hunter2" not in json.dumps(found)
    assert [options.tail for options in instances.asked] == [0, 0, None]
    assert all(options.follow for options in instances.asked)
    # The engine is asked for nothing any more.
    assert instances.open_logs == 0
