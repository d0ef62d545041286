"""Deliveries in the formats of the three kinds of servers, and deliveries without the secret."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
from urllib.parse import urlencode

import httpx
import pytest

from metrics.exposition import Exposition
from metrics.recorder import Recorder
from reconciler.web.app import create_app
from reconciler.web.health import Health
from reconciler.web.hooks import Answered, HookTarget, hook_route

SECRET = b"correct horse"
PUSH = json.dumps({"ref": "refs/heads/main", "after": "0" * 40}).encode()


class Hook:
    """An application with one source of `main` and one of `production`."""

    def __init__(self) -> None:
        self.pokes: list[str] = []
        self.counts: list[Answered] = []
        targets = [
            HookTarget(name, branch, lambda name=name: self.pokes.append(name))  # type: ignore[misc]
            for name, branch in (("infra@main", "main"), ("infra@production", "production"))
        ]
        route = hook_route(SECRET, targets, self.counts.append)
        app = create_app(Exposition(Recorder()).render, Health(live=tuple, ready=tuple), [route])
        self._transport = httpx.ASGITransport(app, raise_app_exceptions=False)

    def post(self, body: bytes, headers: dict[str, str], method: str = "POST") -> httpx.Response:
        async def ask() -> httpx.Response:
            async with httpx.AsyncClient(transport=self._transport, base_url="http://vault") as client:
                return await client.request(method, "/hooks/git", content=body, headers=headers)

        return asyncio.run(ask())


@pytest.fixture
def hook() -> Hook:
    return Hook()


def signature(body: bytes, secret: bytes = SECRET) -> str:
    return hmac.new(secret, body, hashlib.sha256).hexdigest()


def github(body: bytes = PUSH, event: str = "push") -> dict[str, str]:
    return {"X-GitHub-Event": event, "X-Hub-Signature-256": f"sha256={signature(body)}"}


SENDERS = {
    "GitHub": github(),
    # Gitea sends GitHub's headers too.
    "Gitea": {"X-Gitea-Event": "push", "X-Gitea-Signature": signature(PUSH), **github()},
    "Gitea alone": {"X-Gitea-Event": "push", "X-Gitea-Signature": signature(PUSH)},
    "Forgejo": {"X-Forgejo-Event": "push", "X-Forgejo-Signature": signature(PUSH)},
    "GitLab": {"X-Gitlab-Event": "Push Hook", "X-Gitlab-Token": SECRET.decode()},
}


@pytest.mark.parametrize("headers", SENDERS.values(), ids=SENDERS.keys())
def test_a_push_to_a_branch_wakes_its_source(hook: Hook, headers: dict[str, str]) -> None:
    answer = hook.post(PUSH, headers)
    assert (answer.status_code, answer.json()) == (202, {"enqueued": ["infra@main"]})
    assert (hook.pokes, hook.counts) == (["infra@main"], ["accepted"])


def test_github_may_send_a_form(hook: Hook) -> None:
    body = urlencode({"payload": PUSH.decode()}).encode()
    headers = {**github(body), "Content-Type": "application/x-www-form-urlencoded"}
    assert hook.post(body, headers).status_code == 202
    assert hook.pokes == ["infra@main"]


IGNORED = {
    "another branch": (json.dumps({"ref": "refs/heads/other"}).encode(), "push"),
    "a tag of that name": (json.dumps({"ref": "refs/tags/main"}).encode(), "push"),
    "a ping": (b'{"zen": "x"}', "ping"),
    "an issue": (PUSH, "issues"),
    "no ref": (b"{}", "push"),
}


@pytest.mark.parametrize(("body", "event"), IGNORED.values(), ids=IGNORED.keys())
def test_what_is_about_no_source_is_204(hook: Hook, body: bytes, event: str) -> None:
    answer = hook.post(body, github(body, event))
    assert (answer.status_code, answer.content) == (204, b"")
    assert (hook.pokes, hook.counts) == ([], ["ignored"])


FORGED: dict[str, dict[str, str]] = {
    "nothing": {},
    "another secret": {"X-Hub-Signature-256": f"sha256={signature(PUSH, b'guess')}"},
    "another body": {"X-Hub-Signature-256": f"sha256={signature(PUSH + b' ')}"},
    "an empty signature": {"X-Hub-Signature-256": ""},
    "only SHA-1": {"X-Hub-Signature": f"sha1={hmac.new(SECRET, PUSH, hashlib.sha1).hexdigest()}"},
    "a wrong signature beside a right token": {
        "X-Hub-Signature-256": "sha256=00",
        "X-Gitlab-Token": SECRET.decode(),
    },
    "a wrong token": {"X-Gitlab-Token": "guess"},
    "an empty token": {"X-Gitlab-Token": ""},
    "not ASCII": {"X-Gitea-Signature": "é"},
}


@pytest.mark.parametrize("headers", FORGED.values(), ids=FORGED.keys())
def test_without_proof_it_is_401(hook: Hook, headers: dict[str, str]) -> None:
    encoded = {name: value.encode("latin-1") for name, value in headers.items()}
    answer = hook.post(PUSH, {"X-GitHub-Event": "push", **encoded})  # type: ignore[dict-item]
    assert answer.status_code == 401
    assert "missing or wrong" in answer.json()["error"]
    assert (hook.pokes, hook.counts) == ([], ["rejected"])


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b"\xff", b"[" * 100_000])
def test_what_is_no_delivery_is_400(hook: Hook, body: bytes) -> None:
    assert hook.post(body, github(body)).status_code == 400
    assert hook.counts == ["rejected"]


def test_a_huge_body_is_413(hook: Hook) -> None:
    body = b" " * 10_000_000
    assert hook.post(body, github(body)).status_code == 413
    assert hook.pokes == []


def test_only_post_is_served(hook: Hook) -> None:
    assert hook.post(b"", {}, method="GET").status_code == 405


def test_no_secret_is_no_hook() -> None:
    with pytest.raises(ValueError, match="needs a secret"):
        hook_route(b"", ())
