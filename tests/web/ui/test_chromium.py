"""The page in a real browser: hostile text stays text, nothing is loaded from elsewhere, and what is open stays live."""

from __future__ import annotations

import http.server
import json
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from reconciler.api import Condition, Status
from reconciler.api.kinds import VAULT_GATEWAY
from reconciler.api.status import ReplicaCounts
from reconciler.api.vaultgateway import GatewayStatus
from reconciler.app.cluster import traffic
from reconciler.cli.api_serving import observing
from reconciler.cli.ui_serving import serving_ui
from reconciler.core.desired.stack import Stack
from reconciler.core.plan.preview import Preview
from reconciler.core.traffic.tally import NONE, Count, Tally
from reconciler.store import passwords
from reconciler.store.sessions import Sessions
from reconciler.store.users import Users
from reconciler.wiring import Application, Options, utc_now, wire
from tests.controller.worlds import MemoryWorld
from tests.e2e.waiting import until
from tests.web.kube.instances import FakeInstances, instance
from tests.web.ui.apart import chromium_apart
from tests.web.ui.chromium import log_in, opened
from tests.web.ui.people import PASSWORD, AbsentEngine, store

# Each would make an element, an attribute or a script of its own if it were not text.
CORPUS: Final = (
    "<b data-xss>bold</b>",
    "<script data-xss>window.xss = 1</script>",
    "<img data-xss src=x onerror='window.xss = 2'>",
    '"><svg data-xss onload=window.xss=3>',
    "' autofocus onfocus='window.xss = 4' data-xss='",
    "</title></textarea></style><i data-xss>",
    "javascript:window.xss=5//<a data-xss href='javascript:window.xss=6'>",
    "{{ 7 * 7 }}{% raw %}<u data-xss>{% endraw %}",
    "<!--<b data-xss>-->]]><b data-xss>",
    "&lt;b data-xss&gt;&#60;b data-xss&#62;",
    "\u202e\u2066<b data-xss>\x00\x1b[31m",
    'data: x\n\nevent: part\ndata: {"id":"main","html":"<b data-xss>"}\n\n<b data-xss>',
)
SERVICE: Final = """\
apiVersion: vault.internal/v1alpha1
kind: VaultService
metadata: {name: %s}
spec: {plugin: whoami, replicas: 2, ports: {http: %d}, env: {GREETING: %s}}
"""
GATEWAY: Final = """\
apiVersion: vault.internal/v1alpha1
kind: VaultGateway
metadata: {name: door}
spec: {listeners: [{name: web, protocol: HTTP, port: 8290}]}
"""


def status(text: str, ready: Any = "True", serving: int = 2) -> Status:
    condition = Condition(
        type="Ready",
        status=ready,
        reason="Serving",
        message=text,
        last_transition_time=utc_now(),
        observed_generation=1,
    )
    stalled = condition.model_copy(
        update={"type": "Stalled", "status": "True" if ready == "False" else "False"}
    )
    counts = ReplicaCounts(desired=2, current=2, updated=2, ready=serving, serving=serving)
    return Status(
        observed_generation=1, conditions=(condition, stalled), replicas=counts, revision="v2-0123456789ab"
    )


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium_apart() as found:
        yield found


class Counted:
    """A proxy that counts the same from one look to the next, so that no number depends on when that is."""

    def __init__(self) -> None:
        self.each: dict[str, Tally] = {}
        self._tallies: dict[str, Tally] = {}

    def counts(self, stacks: Sequence[tuple[Stack, Sequence[int]]]) -> Iterator[Count]:
        for stack, _ in stacks:
            self._tallies[stack.name] = self._tallies.get(stack.name, NONE) + self.each.get(stack.name, NONE)
            yield Count(stack.name, stack.name, 9999.0, self._tallies[stack.name])


class Served:
    """A state directory with its page."""

    def __init__(self, application: Application, url: str, hostile: str) -> None:
        self.application = application
        self.url = url
        self.hostile = hostile

    @property
    def state(self) -> Path:
        return self.application.options.state_dir


@contextmanager
def page_of(state: Path, listen: str = "127.0.0.1:0") -> Iterator[Served]:
    hostile = " ¦ ".join(CORPUS)
    state.mkdir(mode=0o711, exist_ok=True)
    application = wire(Options(state_dir=state))
    lines = b"".join(b"2026-05-01T12:00:01.5Z " + each.replace("\n", " ").encode() + b"\n" for each in CORPUS)
    application.__dict__["engine"] = AbsentEngine(FakeInstances([instance()], [lines]))
    application.__dict__["counting"] = Counted()
    with observing(application) as parts, serving_ui(application, listen, parts) as url:
        yield Served(application, url, hostile)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    state = tmp_path_factory.mktemp("page") / "state"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(passwords, "COST", 16)
        patch.setattr(traffic, "INTERVAL", 0.2)
        for role in ("view", "edit", "admin"):
            Users(state, utc_now).set_password(role, PASSWORD, role)
        with page_of(state) as made:
            fill(made)
            yield made


def fill(made: Served) -> None:
    """A service of each state, with the corpus wherever others may write."""
    application, hostile = made.application, made.hostile
    for index, (name, ready) in enumerate((("files", "True"), ("broken", "False"), ("changing", "Unknown"))):
        text = SERVICE % (name, 8200 + index, json.dumps(hostile.replace("\x00", "")))
        store(application, text, path=made.state.parent / f"{name}.yaml")
        application.objects.put_status(name, status(hostile, ready, 2 if ready == "True" else 1))
    application.objects.mark_problem("changing", hostile)
    for number, text in enumerate(("one", hostile.replace("\x00", "")), 1):
        spec = json.dumps({"plugin": "whoami", "healthcheck": text, text: "x"})
        opened_as = application.history.open_revision(
            "files", f"v2-{number}", spec, text, text[-30:], utc_now()
        )
        application.history.finish_revision("files", opened_as, "Complete", utc_now())
    store(application, GATEWAY, path=made.state.parent / "door.yaml")
    gateways, records = application.objects.of(VAULT_GATEWAY), application.history.of(VAULT_GATEWAY)
    gateways.put_status("door", GatewayStatus(conditions=status(hostile).conditions))
    records.record_event("door", "Warning", "Crashing", hostile, utc_now())
    for text in (*CORPUS, hostile):
        for name in ("files", ""):
            application.history.record_event(name, "Warning", "Crashing", text, utc_now(), commit=text[:40])


PAGES: Final = (
    "/",
    "/?q=%22%3E%3Cb+data-xss%3E&sort=name",
    "/?q=nothing",
    "/service/files",
    "/service/broken",
    "/service/changing",
    "/service/files/difference?from=1&to=2",
    "/service/files/logs",
    "/service/files/logs?q=%22%3E%3Cb+data-xss%3E",
    "/service/files/do/scale",
    "/service/files/do/scale?replicas=%22%3E%3Cb+data-xss%3E",
    "/service/files/do/set?field=%22%3E%3Cb+data-xss%3E",
    "/service/files/do/restart",
    "/service/files/do/rotate-every?interval=%22%3E%3Cb+data-xss%3E",
    "/service/files/terminal",
    "/service/files/terminal?container=%22%3E%3Cb+data-xss%3E",
    "/gateway/door",
    "/gateway/door/do/set",
    "/gateway/door/delete",
    "/service/files/delete",
    "/service/%3Cb%20data-xss%3E",
    "/routes",
    "/host",
    "/nowhere",
)


@pytest.mark.parametrize("path", PAGES)
def test_hostile_text_is_text_and_every_page_is_accessible(
    served: Served, browser: Browser, path: str
) -> None:
    with opened(browser) as window:
        log_in(window, served.url, "admin")
        window.go(served.url + path)
        check(window.page)
        if path.startswith(("/service/files/logs", "/service/files", "/service/broken")) and "?" not in path:
            assert (
                "<b data-xss>bold</b>" in window.page.inner_text("body")
                or "/do/" in path
                or "/delete" in path
                or "/terminal" in path
            )
        refused = ("404", "409")
        assert [each for each in window.troubles if not any(word in each for word in refused)] == []
        assert {each.partition("/")[2].partition("/")[2].partition("/")[0] for each in window.asked} == {
            served.url.partition("//")[2]
        }


def check(page: Page) -> None:
    """No text became an element or ran, and axe-core finds no barrier, in light and in dark, on a telephone and at 4K."""
    assert page.evaluate("window.xss") is None
    assert page.evaluate("document.querySelectorAll('[data-xss]').length") == 0
    for scheme, width in (("light", 1280), ("dark", 360), ("dark", 3840)):
        page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
        page.set_viewport_size({"width": width, "height": 800})
        page.evaluate("document.querySelectorAll('details').forEach((each) => { each.open = true; })")
        found = Axe().run(page)
        assert found.violations_count == 0, f"{scheme}, {width}: {found.generate_report()}"
        assert page.evaluate("document.documentElement.scrollWidth") <= width, "the page scrolls sideways"


def test_times_are_in_the_zone_of_the_reader(served: Served, browser: Browser) -> None:
    hours = []
    for zone in ("Asia/Kathmandu", "America/St_Johns"):
        with opened(browser, timezone_id=zone, locale="en-GB") as window:
            log_in(window, served.url, "view")
            window.go(f"{served.url}/service/files/difference?from=1&to=2")
            first = window.page.locator("main time").first
            # What a reader without JavaScript sees is the same moment.
            moment = first.get_attribute("datetime")
            assert moment is not None
            local = datetime.fromisoformat(moment).astimezone(ZoneInfo(zone))
            expect(first).to_have_text(f"{local:%d/%m/%Y, %H:%M:%S}")
            hours.append(local.utcoffset())
    assert hours[0] != hours[1]


def test_the_login_is_accessible(served: Served, browser: Browser) -> None:
    with opened(browser) as window:
        window.go(f"{served.url}/login")
        check(window.page)
        window.page.get_by_label("Name").fill("admin")
        window.page.get_by_label("Password").fill("wrong wrong wrong")
        window.page.keyboard.press("Enter")
        expect(window.page.get_by_role("alert")).to_contain_text("do not belong together")
        check(window.page)


def test_an_open_page_follows_and_its_hostile_news_are_text(served: Served, browser: Browser) -> None:
    with opened(browser) as window:
        log_in(window, served.url, "view")
        row = window.page.locator("#service-files")
        expect(row).to_contain_text("2/2")
        window.page.evaluate("window.same = true")
        served.application.objects.put_status("files", status(f"other {served.hostile}", "False", 0))
        expect(row).to_contain_text("0/2")
        expect(row).to_contain_text("<b data-xss>bold</b>")
        assert window.page.evaluate("document.querySelectorAll('[data-xss]').length") == 0
        assert window.page.evaluate("window.xss") is None
        store(served.application, SERVICE % ("fresh", 8299, "hello"), path=served.state.parent / "fresh.yaml")
        expect(window.page.locator("#service-fresh")).to_be_visible()
        served.application.objects.remove("fresh")
        expect(window.page.locator("#service-fresh")).to_have_count(0)
        assert window.page.evaluate("window.same") is True
        served.application.objects.put_status("files", status(served.hostile))
        expect(row).to_contain_text("2/2")


def test_a_log_is_followed_as_text(served: Served, browser: Browser) -> None:
    engine: Any = served.application.engine
    with opened(browser) as window:
        log_in(window, served.url, "view")
        window.go(f"{served.url}/service/files/logs")
        before = window.page.locator("#log > div").count()
        assert before == len(CORPUS)
        until("the page follows the first one", lambda: engine.instances.open_logs > 0)
        # Of the first only what is new; of one that comes meanwhile everything.
        engine.instances.found.append(instance("vault-files-web-9"))
        served.application.objects.put_status("files", status("a replica has come"))
        expect(window.page.locator("#log > div")).to_have_count(before + len(CORPUS))
        assert window.page.evaluate("document.querySelectorAll('[data-xss]').length") == 0
        assert window.page.evaluate("window.xss") is None
        engine.instances.found.pop()
        served.application.objects.put_status("files", status(served.hostile))


def test_what_a_command_says_is_text(served: Served, browser: Browser) -> None:
    with opened(browser) as window:
        log_in(window, served.url, "admin")
        window.go(f"{served.url}/service/files/terminal")
        expect(window.page.get_by_label("Line")).to_be_hidden()
        hostile = CORPUS[0] + CORPUS[1].replace("'", "") + CORPUS[10].replace("\x00", "")
        # It repeats its command, and then each line in upper case.
        window.page.get_by_label("Command").fill(f"echo '{hostile}'")
        window.page.get_by_role("button", name="Run").click()
        output = window.page.locator("#output")
        expect(output).to_contain_text("<b data-xss>bold</b>")
        # It is there once a line goes to the container.
        window.page.get_by_label("Line").fill("<img data-xss src=x onerror=window.xss=1>")
        window.page.keyboard.press("Enter")
        expect(output).to_contain_text("<IMG DATA-XSS SRC=X")
        check(window.page)
        assert "\u202e" not in output.inner_text()
        window.page.get_by_role("button", name="End of input").click()
        expect(output).to_contain_text("ended with 0")
        expect(window.page.get_by_role("button", name="Run")).to_be_enabled()
        assert window.troubles == []


def test_a_session_that_the_server_ends_leaves_an_open_page(served: Served, browser: Browser) -> None:
    with opened(browser) as window, opened(browser) as other:
        log_in(window, served.url, "edit")
        log_in(other, served.url, "edit")
        other.page.get_by_text("edit (edit)").click()
        other.page.get_by_role("button", name="Log out everywhere").click()
        other.page.wait_for_url(f"{served.url}/login")
        served.application.objects.put_status("files", status("something has changed"))
        window.page.wait_for_url(f"{served.url}/login")
        served.application.objects.put_status("files", status(served.hostile))
    assert Sessions(served.state, utc_now).of("edit") == ()


def test_it_reads_and_acts_without_javascript_and_by_keyboard(served: Served, browser: Browser) -> None:
    with opened(browser, java_script_enabled=False) as window:
        log_in(window, served.url, "edit")
        page = window.page
        page.get_by_label("Find").fill("file")
        page.keyboard.press("Enter")
        page.wait_for_url(f"{served.url}/?q=file&state=")
        page.get_by_role("link", name="files", exact=True).focus()
        page.keyboard.press("Enter")
        page.get_by_role("link", name="Scale").click()
        page.get_by_label("Replicas").fill("3")
        page.keyboard.press("Enter")
        expect(page.locator(".diff")).to_contain_text("replicas: 3")
        page.get_by_role("button", name="Scale files").click()
        expect(page.get_by_role("status")).to_be_visible()
    stored = served.application.objects.get("files")
    assert stored is not None
    assert stored.resource.spec.replicas == 3


def test_the_first_page_is_small(served: Served, browser: Browser) -> None:
    with opened(browser) as window:
        log_in(window, served.url, "view")
        window.bytes, window.asked = 0, []
        window.page.reload()
        window.page.wait_for_load_state("load")
        assert 0 < window.bytes < 100_000


class Attacker(http.server.BaseHTTPRequestHandler):
    """A site that frames the page, and sends its forms."""

    target = ""

    def do_GET(self) -> None:
        body = {
            "/frame": f'<iframe id="victim" src="{self.target}/"></iframe>',
            "/send": f'<form method="post" action="{self.target}/service/broken/delete">'
            '<input name="typed" value="broken"></form><script>document.forms[0].submit()</script>',
            "/socket": "<script>const socket = new WebSocket("
            f"'{self.target.replace('https', 'wss')}/live/terminal/files');"
            "socket.onopen = () => { document.title = 'open'; };"
            "socket.onclose = () => { document.title = 'refused'; };</script>",
        }.get(self.path, "")
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(f"<!doctype html><title>x</title>{body}".encode())

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def attacker(served: Served) -> Iterator[str]:
    handler = type("Handler", (Attacker,), {"target": served.url})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def test_another_site_cannot_frame_the_page(served: Served, browser: Browser, attacker: str) -> None:
    with opened(browser) as window:
        log_in(window, served.url, "admin")
        window.go(f"{attacker}/frame")
        frame = window.page.frames[1]
        assert "Services" not in frame.content()
        assert any("frame" in each for each in window.troubles)


def test_a_form_of_another_site_changes_nothing(served: Served, browser: Browser, attacker: str) -> None:
    with opened(browser) as window:
        log_in(window, served.url, "admin")
        window.go(f"{attacker}/send")
        window.page.wait_for_url(f"{served.url}/**")
    stored = served.application.objects.get("broken")
    assert stored is not None
    assert stored.deletion is None


def test_another_site_gets_no_terminal(served: Served, browser: Browser, attacker: str) -> None:
    engine: Any = served.application.engine
    before = len(engine.instances.executions)
    with opened(browser) as window:
        log_in(window, served.url, "admin")
        window.go(f"{attacker}/socket")
        expect(window.page).to_have_title("refused")
    assert len(engine.instances.executions) == before


DRAWN: Final = """() => {
    const bars = [...document.querySelectorAll("#traffic path.bars")];
    return bars.length === 2 && bars.every((each) => each.getBoundingClientRect().height > 0);
}"""
"""Whether all requests and those with errors have bars that can be seen."""


def test_curves_are_drawn_and_follow(served: Served, browser: Browser) -> None:
    application, counted = served.application, served.application.counting
    assert isinstance(counted, Counted)
    world, previews = MemoryWorld(), list[Preview]()
    world.world.board.tell(lambda _, preview: previews.append(preview) if preview else None)
    world.wish(replicas=1)
    world.once()
    with opened(browser) as window:
        log_in(window, served.url, "view")
        window.go(f"{served.url}/service/files")
        expect(window.page.locator("#traffic dd").nth(1)).to_have_text("–")
        counted.each["files"] = Tally(600, 60, (540, *(0,) * 10, 60))
        application.board._tell("files", previews[-1])
        expect(window.page.locator("#traffic dd").nth(1)).to_have_text("10.0 %")
        # Looked at in one moment: an update replaces them.
        window.page.wait_for_function(DRAWN)
        check(window.page)
        window.go(f"{served.url}/")
        expect(window.page.locator("#service-files")).to_contain_text("10.0 %")
        counted.each["files"] = Tally(600, 600)
        expect(window.page.locator("#service-files")).not_to_contain_text("10.0 %")
        application.board._tell("files", None)
        assert window.troubles == []


def test_ten_wrong_passwords_slow_down_the_attacker_alone(served: Served, browser: Browser) -> None:
    with opened(browser) as owner, opened(browser) as attacker:
        log_in(owner, served.url, "edit")
        owner.page.get_by_text("edit (edit)").click()
        owner.page.get_by_role("button", name="Log out", exact=True).click()
        owner.page.wait_for_url(f"{served.url}/login")
        said = []
        attacker.go(f"{served.url}/login")
        for number in range(10):
            attacker.page.get_by_label("Name").fill("edit")
            attacker.page.get_by_label("Password").fill(f"wrong password {number}")
            with attacker.page.expect_response(f"{served.url}/login") as answered:
                attacker.page.get_by_role("button", name="Log in").click()
            said.append(answered.value.status)
            expect(attacker.page.get_by_role("alert")).to_be_visible()
        assert set(said) == {401, 429}
        # From the same address, with the browser that has logged in before.
        log_in(owner, served.url, "edit")


def test_a_page_outlasts_its_controller(
    tmp_path: Path, browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(passwords, "COST", 16)
    state = tmp_path / "state"
    Users(state, utc_now).set_password("view", PASSWORD, "view")
    with opened(browser) as window:
        with page_of(state) as first:
            fill(first)
            log_in(window, first.url, "view")
            listen = first.url.partition("//")[2]
            expect(window.page.locator("#service-files")).to_contain_text("2/2")
        banner = window.page.locator("#connection")
        expect(banner).to_be_visible()
        expect(window.page.locator("#service-files")).to_contain_text("2/2")
        with page_of(state, listen) as second:
            second.application.objects.put_status("files", status("after", "True", 1))
            expect(banner).to_be_hidden()
            # The session is the same, and what has changed meanwhile is there.
            expect(window.page.locator("#service-files")).to_contain_text("1/2")
