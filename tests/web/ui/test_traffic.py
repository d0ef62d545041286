"""The traffic of a service on its page: numbers, curves with words, and the rollouts of the hour."""

from __future__ import annotations

import json
import re
import time
from datetime import timedelta

from reconciler.app.cluster.traffic import Load, Numbers
from reconciler.core.traffic.hour import Hour
from reconciler.core.traffic.tally import Tally
from reconciler.web.ui.traffic import traffic_of
from tests.web.ui.people import House
from tests.web.ui.test_overview import put


def test_before_a_proxy_has_told_there_are_no_numbers(home: House) -> None:
    put(home, "files", 8110)
    text = home.browser("view").get("/service/files").text
    assert "No proxy has told of it yet." in text
    assert "<svg" not in text


def test_numbers_curves_and_rollouts_are_shown(home: House) -> None:
    put(home, "files", 8110)
    now, history = home.site.now(), home.application.history
    for number, ago in ((1, 7200), (2, 1200)):
        spec = json.dumps({"plugin": "whoami", "replicas": number})
        history.open_revision("files", f"v2-{number}", spec, "spec", "", now - timedelta(seconds=ago))
    hour = home.site.meter._hours["files"] = Hour()
    for minute in range(30, 0, -1):
        hour.add(now.timestamp() - 60 * minute, 60.0, Tally(600, 6, (600, *(0,) * 11)))
    hour.add(now.timestamp(), 30.0, Tally(60, 30, (0, 60, *(0,) * 10)))
    home.site.meter._loads["files"] = (time.monotonic(), Load(1.5, 3 << 30))
    text = home.browser("view").get("/service/files").text
    section = text[text.index('<section id="traffic">') : text.index('<section id="told">')]
    for label, shown in (
        ("Requests/s", "2.0"),
        ("Errors", "50.0 %"),
        ("CPU", "1.50 cores"),
        ("Memory", "3 GiB"),
    ):
        assert f'<dt>{label}</dt><dd class="number">{shown}</dd>' in section
    assert section.count("<svg") == 2
    # For those who do not see it.
    labels = re.findall(r'role="img" aria-label="([^"]+)"', section)
    assert labels[0] == (
        "Requests a second, failed ones in red in the last hour: 2.0 in the last minute, at most 10.0"
    )
    assert re.fullmatch(r"p95 in the last hour: \d+ ms in the last minute, at most \d+ ms", labels[1])
    # Of the rollouts the one of this hour.
    assert section.count('class="mark"') == 2
    assert "Dashed lines are rollouts: revision 2." in section
    assert "style=" not in section


def test_an_hour_without_requests_has_no_curve(home: House) -> None:
    hour = Hour()
    hour.add(1_800_000_000.0, 60.0, Tally())
    now = home.site.now().fromtimestamp(1_800_000_010, home.site.now().tzinfo)
    drawn = traffic_of(Numbers(hour.latest(1_800_000_010.0), hour.minutes(1_800_000_010.0)), [], now)
    assert drawn.is_known
    assert [each.drawn.path for each in drawn.charts] == ["", ""]
    assert drawn.charts[1].label.startswith("p95 in the last hour: no answer in the last minute")
