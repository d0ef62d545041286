"""The login at an OIDC issuer lets in the user that it names, with the role that was granted, and no other."""

from __future__ import annotations

import json
import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from reconciler.cli.api_options import ApiFlags
from reconciler.web.kube.clients.grants import Grants, parse_grant
from reconciler.web.ui.app import create_app
from tests.web.kube.issuer import CLIENT_ID, DISCOVERY, Issuer, issuing, rsa
from tests.web.ui.people import Browser, House, house
from tests.web.ui.provider import SECRET, Answers, providing

URL = "https://vault.test"
SESSION = "__Host-vault-session"
KEY = rsa("one")


def flags_of(directory: Path, url: str, ca_file: Path, *grants: str) -> ApiFlags:
    secret = directory / "secret"
    secret.write_text(SECRET)
    secret.chmod(0o600)
    return ApiFlags(
        oidc_issuer_url=url,
        oidc_client_id=CLIENT_ID,
        oidc_username_prefix="-",
        oidc_groups_claim="groups",
        oidc_ca_file=ca_file,
        oidc_client_secret_file=secret,
        ui_url=URL,
        grants=grants,
    )


@contextmanager
def at(directory: Path, **claims: Any) -> Iterator[tuple[House, Issuer]]:
    """A page whose issuer has a user with these claims."""
    with issuing(directory, KEY) as issuer:
        answers = Answers(issuer, {"sub": "anna", "groups": ["deployers"], **claims})
        issuer.answers[DISCOVERY] = answers.discovery
        issuer.asked_with = {"/authorize": answers.authorize, "/token": answers.token}
        flags = flags_of(directory, issuer.url, issuer.ca_file, "edit=group:deployers")
        with house(directory / "state", flags=flags) as made:
            yield made, issuer


At = Callable[..., AbstractContextManager[tuple[House, Issuer]]]


@pytest.fixture
def page(tmp_path: Path, _cheap: None) -> At:
    return lambda **claims: at(tmp_path, **claims)


def ask(url: str, ca_file: Path) -> str:
    """Where the issuer sends the browser that asks for `url`, relative to the page."""
    answer = httpx.get(url, verify=ssl.create_default_context(cafile=ca_file), timeout=30)
    assert answer.status_code == 200, answer.text
    return answer.headers["x-back"].removeprefix(URL)


def sent_off(browser: Browser, **query: str) -> str:
    """Where the page sends the browser."""
    answer = browser.get("/login/issuer", params=query)
    assert answer.status_code == 303
    return answer.headers["location"]


def lines(home: House) -> list[dict[str, Any]]:
    return [json.loads(each) for each in (home.state / "audit.jsonl").read_text().splitlines()]


def test_a_user_of_a_provider_in_another_process_logs_in(tmp_path: Path) -> None:
    with providing(tmp_path, sub="anna", groups=["deployers"]) as provider:
        flags = flags_of(tmp_path, provider.url, provider.ca_file, "edit=group:deployers")
        with house(tmp_path / "state", flags=flags) as home:
            browser = home.browser()
            form = browser.get("/login", params={"next": "/host"}).text
            assert f"Log in with {provider.url.removeprefix('https://')}" in form
            assert 'href="/login/issuer?next=%2Fhost"' in form
            away = sent_off(browser, next="/host")
            assert SECRET not in away
            back = browser.get(ask(away, provider.ca_file))
            assert (back.status_code, back.headers["location"]) == (303, "/host")
            text = browser.get("/").text
            assert "anna <small>(edit)</small>" in text
            (line,) = lines(home)
            assert (line["user"], line["way"], line["role"], line["code"]) == ("anna", "oidc", "edit", 200)
            # It can act, and leave.
            assert browser.send("/logout").status_code == 303
            assert browser.get("/").status_code == 303


def test_without_an_issuer_there_is_no_such_way(home: House) -> None:
    browser = home.browser()
    assert browser.get("/login/issuer").status_code == 404
    assert browser.get("/login/issuer/back").status_code == 404
    assert "Log in with" not in browser.get("/login").text


def test_the_request_has_pkce_a_state_and_a_nonce_of_its_own(page: At) -> None:
    with page() as (home, _):
        queries = [parse_qs(urlsplit(sent_off(home.browser())).query) for _ in range(3)]
        for name in ("state", "nonce", "code_challenge"):
            assert len({each[name][0] for each in queries}) == 3
        assert queries[0]["code_challenge_method"] == ["S256"]
        assert queries[0]["redirect_uri"] == [f"{URL}/login/issuer/back"]
        assert set(queries[0]["scope"][0].split()) == {"openid", "profile", "email"}


def refused(home: House, browser: Browser, path: str, code: int = 401) -> None:
    answer = browser.get(path)
    assert answer.status_code == code, answer.text
    assert SESSION not in browser.cookies
    assert browser.get("/").status_code == 303
    assert not [each for each in lines(home) if each.get("code") == 200]


def test_the_answer_to_another_browser_lets_no_other_in(page: At) -> None:
    """Login CSRF: an attacker leads a victim to the page with the attacker's own code."""
    with page() as (home, issuer):
        attacker, victim, fresh = home.browser(), home.browser(), home.browser()
        stolen = ask(sent_off(attacker), issuer.ca_file)
        refused(home, fresh, stolen)
        own = ask(sent_off(victim), issuer.ca_file)
        refused(home, victim, stolen)
        # Nor does the victim's own state with the code of the attacker: its verifier and its nonce are others.
        victim = home.browser()
        own = ask(sent_off(victim), issuer.ca_file)
        state = parse_qs(urlsplit(own).query)["state"][0]
        code = parse_qs(urlsplit(stolen).query)["code"][0]
        refused(home, victim, f"/login/issuer/back?code={code}&state={state}", 503)


def test_a_browser_comes_back_once(page: At) -> None:
    with page() as (home, issuer):
        browser = home.browser()
        back = ask(sent_off(browser), issuer.ca_file)
        kept = dict(browser.cookies)
        assert "__Host-vault-away" in kept
        assert browser.get(back).status_code == 303
        assert "__Host-vault-away" not in browser.cookies
        browser.cookies.clear()
        assert browser.get(back).status_code == 401
        # A copy of the cookie does not help: the code was used.
        for name, value in kept.items():
            browser.cookies.set(name, value)
        assert browser.get(back).status_code == 503
        assert browser.get("/").status_code == 303


@pytest.mark.parametrize(
    "claims",
    [
        {"nonce": "another"},
        {"nonce": None},
        {"aud": "another client"},
        {"aud": [CLIENT_ID, "another"], "azp": "another"},
        {"iss": "https://elsewhere.example"},
        {"exp": int(time.time()) - 3600},
        {"sub": None},
        # The name of a user with a password.
        {"sub": "admin"},
        {"sub": "system:masters"},
    ],
)
def test_a_token_that_is_not_the_answer_to_this_login_is_refused(page: At, claims: dict[str, Any]) -> None:
    with page(**claims) as (home, issuer):
        browser = home.browser()
        refused(home, browser, ask(sent_off(browser), issuer.ca_file))


def test_an_answer_of_another_issuer_and_an_error_are_refused(page: At) -> None:
    with page() as (home, issuer):
        for more in ("&iss=https%3A%2F%2Felsewhere.example", "&code=" + "x" * 5000):
            browser = home.browser()
            refused(home, browser, ask(sent_off(browser), issuer.ca_file) + more)
        browser = home.browser()
        state = parse_qs(urlsplit(sent_off(browser)).query)["state"][0]
        refused(home, browser, f"/login/issuer/back?error=access_denied&state={state}")
        assert "/token" not in issuer.asked


def test_a_user_without_a_role_does_not_get_in(page: At) -> None:
    with page(groups=["others"]) as (home, issuer):
        browser = home.browser()
        refused(home, browser, ask(sent_off(browser), issuer.ca_file), 403)
        assert lines(home)[-1]["user"] == "anna"


def test_the_role_is_what_is_granted_now(page: At) -> None:
    with page() as (home, issuer):
        browser = home.browser()
        assert browser.get(ask(sent_off(browser), issuer.ca_file)).status_code == 303
        visitors = home.site.visitors
        for grants, role in ((["admin=user:anna"], "admin"), (["view=group:deployers"], "view"), ([], None)):
            granted = replace(visitors, grants=Grants(tuple(map(parse_grant, grants))))
            later = Browser(create_app(replace(home.site, visitors=granted)))
            later.cookies.update(browser.cookies)
            answer = later.get("/")
            assert answer.status_code == (200 if role else 303)
            assert role is None or f"({role})" in answer.text
        # With another issuer, or without one, the session is over.
        elsewhere = replace(home.site, visitors=replace(visitors, issuer="https://elsewhere.example"))
        later = Browser(create_app(elsewhere))
        later.cookies.update(browser.cookies)
        assert later.get("/").status_code == 303


@pytest.mark.parametrize("goal", ["https://evil.example/", "//evil.example/", "/\\evil.example"])
def test_it_leads_to_no_other_host(page: At, goal: str) -> None:
    with page() as (home, issuer):
        browser = home.browser()
        answer = browser.get(ask(sent_off(browser, next=goal), issuer.ca_file))
        assert (answer.status_code, answer.headers["location"]) == (303, "/")


def test_it_makes_a_new_session_whatever_cookie_the_browser_had(page: At) -> None:
    with page() as (home, issuer):
        planted = home.browser("view").cookies[SESSION]
        victim = home.browser()
        back = ask(sent_off(victim), issuer.ca_file)
        victim.cookies.set(SESSION, planted, domain="vault.test", path="/")
        assert victim.get(back).status_code == 303
        assert victim.cookies[SESSION] != planted


def test_an_issuer_that_is_away_is_said_and_the_password_still_works(page: At) -> None:
    with page() as (home, issuer):
        browser = home.browser()
        back = ask(sent_off(browser), issuer.ca_file)
        issuer.away = True
        issuer.asked_with.clear()
        assert browser.get("/login/issuer").status_code == 503
        assert browser.get(back).status_code == 503
        assert home.browser("view").get("/").status_code == 200
