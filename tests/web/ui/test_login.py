"""Who gets in, who does not, and how a session ends."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest

from reconciler.store.sessions import LIFE, Sessions
from reconciler.web.ui.delay import FREE, LONGEST
from tests.web.ui.people import PASSWORD, Browser, House

SESSION = "__Host-vault-session"


def test_without_a_login_each_page_leads_to_it_and_back(home: House) -> None:
    browser = home.browser()
    asked = browser.get("/?state=failed")
    assert (asked.status_code, asked.headers["location"]) == (303, "/login?next=%2F%3Fstate%3Dfailed")
    assert 'name="next" value="/?state=failed"' in browser.get(asked.headers["location"]).text
    answer = browser.log_in("view", next="/?state=failed")
    assert (answer.status_code, answer.headers["location"]) == (303, "/?state=failed")
    assert browser.get("/?state=failed").status_code == 200
    assert browser.get("/login").headers["location"] == "/"


def test_the_cookie_is_for_this_host_for_https_and_for_no_script(home: House) -> None:
    browser = home.browser()
    (cookie,) = (
        each for each in browser.log_in("view").headers.get_list("set-cookie") if each.startswith(SESSION)
    )
    for attribute in ("HttpOnly", "Secure", "SameSite=lax", "Path=/"):
        assert f"; {attribute}" in cookie
    assert "Domain" not in cookie


@pytest.mark.parametrize(
    ("name", "password"), [("view", "wrong wrong wrong"), ("unknown", PASSWORD), ("", "")]
)
def test_a_wrong_name_and_a_wrong_password_have_one_answer(home: House, name: str, password: str) -> None:
    answer = home.browser().log_in(name, password)
    assert answer.status_code == 401
    assert "This name and this password do not belong together." in answer.text
    assert SESSION not in answer.headers.get("set-cookie", "")


def test_a_login_makes_a_new_session_whatever_cookie_the_browser_had(home: House) -> None:
    """Session fixation: an attacker plants a session in a browser, and waits for its user to log in."""
    planted = home.browser("view").cookies[SESSION]
    victim = home.browser()
    token = victim.token()
    victim.cookies.set(SESSION, planted, domain="vault.test", path="/")
    fields = {"token": token, "name": "admin", "password": PASSWORD}
    assert victim.post("/login", data=fields).status_code == 303
    assert victim.cookies[SESSION] != planted
    attacker = home.browser()
    attacker.cookies.set(SESSION, planted)
    assert "admin" not in attacker.get("/").text


def test_a_cookie_that_was_not_signed_here_is_nothing(home: House) -> None:
    browser = home.browser("admin")
    good = browser.cookies[SESSION]
    text, _, signature = good.rpartition(".")
    # The last letter has bits that mean nothing.
    other_one = f"{text}.{'A' if signature[0] != 'A' else 'B'}{signature[1:]}"
    for forged in (other_one, "x", good.partition(".")[0], ""):
        other = home.browser()
        other.cookies.set(SESSION, forged)
        assert other.get("/").status_code == 303
    # The same text, signed for another purpose.
    visitors = home.site.visitors
    admin = visitors.users.get("admin")
    assert admin is not None
    secret = visitors.sessions.begin(admin.name, admin.epoch, "")
    for purpose, code in (("device", 303), ("form", 303), ("session", 200)):
        other = home.browser()
        other.cookies.set(SESSION, visitors.signing.sign(purpose, secret))
        assert other.get("/").status_code == code


def test_logout_ends_the_session_on_the_server(home: House) -> None:
    browser = home.browser("view")
    cookie = browser.cookies[SESSION]
    assert browser.send("/logout").headers["location"] == "/login"
    kept = home.browser()
    kept.cookies.set(SESSION, cookie)
    assert kept.get("/").status_code == 303


def test_logout_everywhere_ends_all_sessions_of_the_user_and_no_other(home: House) -> None:
    one, other, admin = home.browser("view"), home.browser("view"), home.browser("admin")
    one.send("/logout-everywhere")
    assert [each.get("/").status_code for each in (one, other, admin)] == [303, 303, 200]


def test_another_password_and_a_deleted_user_end_all_sessions(home: House) -> None:
    users = home.site.visitors.users
    view, edit = home.browser("view"), home.browser("edit")
    users.set_password("view", "another password", None)
    assert users.remove("edit")
    assert [each.get("/").status_code for each in (view, edit)] == [303, 303]
    users.set_password("edit", PASSWORD, "edit")
    assert edit.get("/").status_code == 303


def test_sessions_outlast_the_controller_and_not_their_life(home: House) -> None:
    now = home.site.now()
    secret = home.site.visitors.sessions.begin("view", "epoch", "")
    assert Sessions(home.state, lambda: now + LIFE - timedelta(minutes=1)).find(secret)
    assert Sessions(home.state, lambda: now + LIFE + timedelta(minutes=1)).find(secret) is None
    assert secret not in (home.state / "sessions.json").read_text()
    assert (home.state / "sessions.json").stat().st_mode & 0o077 == 0
    assert (home.state / "users.json").stat().st_mode & 0o077 == 0


def test_wrong_passwords_wait_longer_each_time(home: House) -> None:
    browser = home.browser()
    waits = []
    for _ in range(FREE + 18):
        answer = browser.log_in("view", "wrong wrong wrong")
        if answer.status_code == 429:
            waits.append(int(answer.headers["retry-after"]))
            home.clock.now += waits[-1]
    # The right one helps nothing before the time is over.
    browser.log_in("view", "wrong wrong wrong")
    assert browser.log_in("view").status_code == 429
    home.clock.now += LONGEST
    assert browser.log_in("view").status_code == 303
    assert waits == sorted(waits)
    assert waits[-1] > waits[0]
    assert max(waits) <= LONGEST + 1


def test_an_attacker_does_not_lock_the_owner_out(home: House) -> None:
    attacker = home.browser(address="198.51.100.1")
    owner = home.browser("admin")
    owner.send("/logout")
    for _ in range(FREE):
        attacker.log_in("admin", "wrong wrong wrong")
    assert attacker.log_in("admin", "wrong wrong wrong").status_code == 429
    # From elsewhere, and with a browser that has logged in before even from the same address.
    assert home.browser(address="192.0.2.8").log_in("admin").status_code == 303
    beside = Browser(owner.app, "198.51.100.1")
    beside.cookies.update(owner.cookies)
    assert beside.log_in("admin").status_code == 303
    # And from the attacker's address with another password, which the owner sets on the machine.
    home.site.visitors.users.set_password("admin", "another password", None)
    assert home.browser(address="198.51.100.1").log_in("admin", "another password").status_code == 303


def test_the_cookie_of_a_browser_helps_only_its_own_user(home: House) -> None:
    browser = home.browser("view")
    browser.send("/logout")
    for _ in range(FREE):
        browser.log_in("admin", "wrong wrong wrong")
    fresh = home.browser()
    assert fresh.log_in("admin").status_code == 429


def test_a_login_form_of_another_browser_is_refused(home: House) -> None:
    """Otherwise another site could log a user in as someone else, and see what the user does."""
    token = home.browser().token()
    victim = home.browser()
    fields = {"token": token, "name": "view", "password": PASSWORD}
    assert victim.post("/login", data=fields).status_code == 403
    assert victim.get("/").status_code == 303


def test_each_login_and_logout_is_in_the_audit_log_and_no_password(home: House) -> None:
    browser = home.browser("edit")
    browser.send("/logout")
    browser.log_in("edit", "wrong wrong wrong")
    browser.log_in("my password by mistake", "wrong wrong wrong")
    done, refused = ((home.state / name).read_text() for name in ("audit.jsonl", "audit-refused.jsonl"))
    text = done + refused
    lines = [json.loads(line) for line in text.splitlines()]
    said = [(each["user"], each["verb"], each.get("code")) for each in lines]
    assert said == [
        ("edit", "login", 200),
        ("edit", "logout", None),
        ("edit", "login", 401),
        ("", "login", 401),
    ]
    assert len(refused.splitlines()) == 2
    assert "wrong wrong" not in text
    assert "by mistake" not in text
    assert {each["client"] for each in lines} == {"192.0.2.7"}


@pytest.mark.parametrize(
    "goal",
    [
        "https://evil.example/",
        "//evil.example/",
        "/\\evil.example",
        "/\t/evil.example",
        "\\\\evil.example",
        "javascript:alert(1)",
        "/%0d%0aSet-Cookie:x\r\nx",
        "evil.example",
    ],
)
def test_a_login_leads_to_no_other_host(home: House, goal: str) -> None:
    browser = home.browser()
    answer = browser.log_in("view", next=goal)
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    assert browser.get("/login", params={"next": goal}).headers["location"] == "/"


def test_without_users_the_form_says_how_to_make_one(home: House) -> None:
    for role in ("view", "edit", "admin"):
        home.site.visitors.users.remove(role)
    assert "vaultctl user set-password NAME" in home.browser().get("/login").text


def test_no_login_is_done_that_the_audit_log_cannot_have(home: House) -> None:
    (home.state / "audit.jsonl").mkdir()
    browser = home.browser()
    assert browser.log_in("admin").status_code == 503
    assert SESSION not in browser.cookies
