"""The list of services: what is shown, in which order, and what an open page is sent."""

from __future__ import annotations

import asyncio
import json
import re
import time
from datetime import timedelta
from typing import Any

import pytest

from reconciler.api import Condition, Status
from reconciler.api.kinds import VAULT_SERVICE
from reconciler.api.status import ReplicaCounts
from reconciler.app.cluster.traffic import Load, Numbers
from reconciler.core.traffic.hour import Hour, Span
from reconciler.core.traffic.tally import Tally
from reconciler.web.ui import live, overview
from reconciler.web.ui.overview import Row, Selection, selection_of
from tests.web.ui.people import House, asked_by

SERVICE = """\
apiVersion: vault.internal/v1alpha1
kind: VaultService
metadata: {{name: {name}}}
spec: {{plugin: whoami, ports: {{http: {port}}}}}
"""


def put(home: House, name: str, port: int, ready: str = "True", serving: int = 1) -> None:
    home.apply(SERVICE.format(name=name, port=port))
    reason = "Serving" if ready == "True" else "Progressing"
    conditions = [_condition(home, "Ready", ready, reason, "so it is")]
    if ready == "False":
        conditions.append(_condition(home, "Stalled", "True", "Crashing", "<b>dies</b>"))
    counts = {"desired": 1, "current": 1, "updated": 1, "ready": serving, "serving": serving}
    home.application.objects.put_status(
        name,
        Status(observed_generation=1, conditions=tuple(conditions), replicas=ReplicaCounts(**counts)),
    )


def _condition(home: House, kind: Any, status: Any, reason: str, message: str) -> Condition:
    return Condition(
        type=kind,
        status=status,
        reason=reason,
        message=message,
        last_transition_time=home.site.now(),
        observed_generation=1,
    )


def names(text: str) -> list[str]:
    return re.findall(r'<tr id="service-([^"]+)"', text)


@pytest.fixture
def three(home: House) -> House:
    put(home, "alpha", 8101)
    put(home, "broken", 8102, ready="False", serving=0)
    put(home, "changing", 8103, ready="Unknown", serving=0)
    return home


def test_problems_come_first_and_filters_are_in_the_address(three: House) -> None:
    browser = three.browser("view")
    assert names(browser.get("/").text) == ["broken", "changing", "alpha"]
    assert names(browser.get("/?sort=name").text) == ["alpha", "broken", "changing"]
    assert names(browser.get("/?sort=name&down=1").text) == ["changing", "broken", "alpha"]
    assert names(browser.get("/?state=failed").text) == ["broken"]
    assert names(browser.get("/?q=ALPH").text) == ["alpha"]
    # What it does not know changes nothing.
    assert names(browser.get("/?state=x&sort=y&down=z").text) == ["broken", "changing", "alpha"]
    assert "&lt;b&gt;dies&lt;/b&gt;" in browser.get("/").text


def test_the_first_page_teaches_the_first_command(home: House) -> None:
    text = home.browser("view").get("/").text
    assert "vaultctl apply -f files.yaml" in text
    assert "No service matches" not in text


def test_an_address_says_what_is_shown() -> None:
    assert selection_of({"q": "x" * 1000}).text == "x" * 200
    assert Selection("a b", "failed", "age", True).address() == "?q=a+b&state=failed&sort=age&down=1"
    assert Selection(order="name").turned("name") == "?sort=name&down=1"
    assert Selection(order="name", down=True).turned("name") == "?sort=name"
    assert Selection().address() == "?"


def row(name: str, **values: Any) -> Row:
    fields = {
        "plugin": "",
        "state": "ready",
        "reason": "",
        "message": "",
        "serving": 1,
        "desired": 1,
        "updated": 1,
    }
    return Row(
        **{"name": name, **fields, "revision": "", "commit": "", "oldest": None, "routes": (), **values}
    )


def test_the_oldest_replica_is_first_by_age(three: House) -> None:
    now = three.site.now()
    rows = [
        row("none"),
        row("young", oldest=now),
        row("old", oldest=now - timedelta(days=9)),
    ]
    assert [each.name for each in Selection(order="age").sorted(rows)] == ["old", "young", "none"]


def test_the_certificate_that_ends_first_is_first(three: House) -> None:
    now = three.site.now()
    rows = [
        row("none"),
        row("later", certificate_ends=now + timedelta(days=80)),
        row("soon", certificate_ends=now + timedelta(days=3)),
    ]
    assert [each.name for each in Selection(order="certificate").sorted(rows)] == ["soon", "later", "none"]


def test_few_days_of_a_certificate_are_a_warning(three: House, monkeypatch: pytest.MonkeyPatch) -> None:
    ends = {
        "alpha": three.site.now() + timedelta(days=3, hours=1),
        "broken": three.site.now() + timedelta(days=80),
    }
    monkeypatch.setattr(overview, "ends_of", lambda gateways: ends)
    text = three.browser("view").get("/").text
    assert '<td class="warn">3 days</td>' in text
    assert re.search('<td class="">(79|80) days</td>', text)


def numbers(requests: int, errors: int, cpu: float) -> Numbers:
    return Numbers(Span(0.0, 10.0, Tally(requests, errors)), (), Load(cpu, 1 << 20))


def test_the_highest_number_is_first() -> None:
    rows = [row("none"), row("busy", numbers=numbers(90, 0, 0.1)), row("broken", numbers=numbers(10, 5, 0.9))]
    for order, first in (("rate", "busy"), ("errors", "broken"), ("cpu", "broken")):
        found = [each.name for each in Selection(order=order).sorted(rows)]
        assert (found[0], found[-1]) == (first, "none")
        assert not Selection(order=order).rises
    assert [each.name for each in Selection(order="rate", down=True).sorted(rows)][-1] == "busy"
    assert rows[2].texts.fails
    assert not rows[1].texts.fails


def test_a_row_has_its_numbers(three: House) -> None:
    meter = three.site.meter
    meter._hours["alpha"] = Hour()
    meter._hours["alpha"].add(three.site.now().timestamp(), 10.0, Tally(42, 21, (0,) * 11 + (42,)))
    meter._loads["alpha"] = (time.monotonic(), Load(0.25, 7 << 20))
    text = three.browser("view").get("/?sort=rate").text
    first = text[text.index('<tr id="service-') : text.index("</tr>", text.index('<tr id="service-'))]
    assert 'id="service-alpha"' in first
    for shown in ("4.2", "50.0 %", "10.0 s", "0.25", "7 MiB"):
        assert f">{shown}</td>" in first
    assert '<th scope="col" aria-sort="descending"><a href="?sort=rate&amp;down=1">Requests/s</a>' in text


def test_the_first_page_of_300_services_is_small(home: House) -> None:
    """With all that it loads, at most 100 kB."""
    for number in range(300):
        put(home, f"service-number-{number}", 20_000 + number)
    browser = home.browser("view")
    page = browser.get("/")
    assert len(names(page.text)) == 300
    loaded = re.findall(r'(?:src|href)="(/static/[^"]+)"', page.text)
    assert len(loaded) == 3
    answers = [page, *map(browser.get, loaded)]
    assert sum(int(each.headers["content-length"]) for each in answers) < 100_000
    # For one that does not decompress it is the same text.
    plain = browser.get("/", headers={"accept-encoding": "identity"})
    assert "content-encoding" not in plain.headers
    assert names(plain.text) == names(page.text)


def test_no_two_pages_have_the_same_token(home: House) -> None:
    """Pages are compressed: one could be guessed from lengths if it came twice."""
    browser = home.browser("view")
    tokens = {browser.token("/") for _ in range(10)} | {home.browser().token("/login") for _ in range(10)}
    assert len(tokens) == 20
    # What is shorter compressed begins with a dot.
    assert all(len({token.lstrip(".").split(".")[part] for token in tokens}) == 20 for part in (0, -1))


def parts(home: House, number: int, query: str = "") -> tuple[int, list[dict[str, Any]]]:
    at, changed = home.site.pulse.since(number)
    asked = asked_by(home, query_params=dict(re.findall(r"(\w+)=(\w+)", query)))
    return at, overview.changes(asked)(changed)


def test_an_open_page_is_sent_what_has_changed_and_no_more(three: House) -> None:
    silence = three.site.pulse.follow(three.parts.versions)
    three.parts.observer.look_everywhere([VAULT_SERVICE])
    number, everything = parts(three, -1)
    assert sorted(each["id"] for each in everything) == [
        "service-alpha",
        "service-broken",
        "service-changing",
    ]
    put(three, "alpha", 8101, ready="False", serving=0)
    three.parts.observer.look_everywhere([VAULT_SERVICE])
    number, changed = parts(three, number)
    assert [each["id"] for each in changed] == ["service-alpha"]
    assert "failed" in changed[0]["html"]
    put(three, "alpha", 8101)
    three.parts.observer.look_everywhere([VAULT_SERVICE])
    # It is not one of those that this page shows any more.
    assert parts(three, number, "state=failed")[1] == [{"id": "service-alpha", "html": None, "into": "rows"}]
    three.application.objects.remove("broken")
    three.parts.observer.look_everywhere([VAULT_SERVICE])
    assert {"id": "service-broken", "html": None, "into": "rows"} in parts(three, number)[1]
    silence()


def test_a_number_of_a_former_controller_gets_everything(three: House) -> None:
    assert three.site.pulse.since(5)[1] is None
    assert three.site.pulse.since(three.site.pulse.number + 1)[1] is None
    assert three.site.pulse.since(three.site.pulse.number)[1] == ()


def test_a_stream_ends_with_its_session(three: House) -> None:
    lasts = [True]

    async def run() -> list[bytes]:
        found = []
        events = live.stream(
            three.site.pulse,
            three.site.bells,
            -1,
            overview.changes(asked_by(three, query_params={})),
            lambda: lasts[0],
        )
        async for each in events:
            found.append(each)
            if len(found) == 2:
                lasts[0] = False
                three.site.pulse.touch("alpha")
        return found

    start, first, end = asyncio.run(run())
    assert start == b"retry: 1000\n\n"
    data = [json.loads(line[6:]) for line in first.decode().splitlines() if line.startswith("data: ")]
    assert len(data) == 3
    assert end == b"event: end\ndata: {}\n\n"


def test_a_stream_is_only_for_those_who_are_logged_in(three: House) -> None:
    answer = three.browser().get("/live/services", headers={"accept": "text/event-stream"})
    assert answer.status_code == 401


def test_a_user_has_a_limited_number_of_open_pages() -> None:
    streams = live.Streams(most=3, most_of_one=2)
    with streams.one_of("a"), streams.one_of("a"):
        assert not streams.has_room("a")
        assert streams.has_room("b")
        with streams.one_of("b"):
            assert not streams.has_room("c")
    assert streams.has_room("a")
