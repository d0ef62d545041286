"""`POST /hooks/git`: a Git server reports a push, and the source that follows the branch fetches at once.

A delivery is only a hint: its signature proves that the sender knows the secret, and a fetch finds out what was pushed.
So a lost, duplicate or late delivery does no harm.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final, Literal
from urllib.parse import parse_qs

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

__all__ = ["PATH", "Answered", "HookTarget", "hook_route"]

PATH: Final = "/hooks/git"
HEADS: Final = "refs/heads/"

SIGNATURES: Final = (
    ("x-hub-signature-256", "sha256="),
    ("x-forgejo-signature", ""),
    ("x-gitea-signature", ""),
    ("x-gogs-signature", ""),
)
"""Headers with the HMAC-SHA256 of the body, and the prefix of the value: GitHub's, Forgejo's and Gitea's."""

TOKEN: Final = "x-gitlab-token"
EVENTS: Final = ("x-github-event", "x-forgejo-event", "x-gitea-event", "x-gogs-event", "x-gitlab-event")
PUSHES: Final = frozenset({"push", "push hook", "system hook"})

Answered = Literal["accepted", "ignored", "rejected"]


@dataclass(frozen=True, slots=True)
class HookTarget:
    """A source that follows the branch `ref`; `poke` returns at once."""

    name: str
    ref: str
    poke: Callable[[], None]


def hook_route(
    secret: bytes, targets: Sequence[HookTarget], count: Callable[[Answered], None] = lambda answered: None
) -> Route:
    """The route. The Git server signs with `secret`, or sends it (GitLab). Raises ValueError if it is empty.

    Answers 202 with the sources that will fetch, 204 if the push concerns no source, 401 without a valid signature or
    token, 400 for a body that is not a delivery. `count` is called with the result of each delivery.
    """
    if not secret:
        raise ValueError("the webhook needs a secret, or any client could trigger fetches")

    async def receive(request: Request) -> Response:
        try:
            body = await request.body()
            if not _is_proven(request.headers, body, secret):
                raise HTTPException(HTTPStatus.UNAUTHORIZED, "the signature or token is missing or wrong")
            poked = _poke(request.headers, body, targets)
        except HTTPException:
            count("rejected")
            raise
        count("accepted" if poked else "ignored")
        if not poked:
            return Response(status_code=HTTPStatus.NO_CONTENT)
        return JSONResponse({"enqueued": poked}, status_code=HTTPStatus.ACCEPTED)

    return Route(PATH, receive, methods=["POST"])


def _is_proven(headers: Mapping[str, str], body: bytes, secret: bytes) -> bool:
    wanted = hmac.new(secret, body, hashlib.sha256).hexdigest().encode()
    for header, before in SIGNATURES:
        if header in headers:
            given = headers[header].removeprefix(before).lower().encode()
            return hmac.compare_digest(given, wanted)
    return hmac.compare_digest(headers.get(TOKEN, "").encode(), secret)


def _poke(headers: Mapping[str, str], body: bytes, targets: Sequence[HookTarget]) -> list[str]:
    """Wake the sources whose branch was pushed to; returns their names."""
    event = next((headers[name] for name in EVENTS if name in headers), "")
    if event.lower() not in PUSHES:
        return []
    ref = _payload(headers, body).get("ref")
    if not isinstance(ref, str):
        # A system hook of GitLab also reports users and projects.
        return []
    poked = [target for target in targets if ref == HEADS + target.ref]
    for target in poked:
        target.poke()
    return [target.name for target in poked]


def _payload(headers: Mapping[str, str], body: bytes) -> Mapping[str, Any]:
    try:
        text = body.decode()
        if headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
            text = parse_qs(text, strict_parsing=True, max_num_fields=8)["payload"][0]
        payload = json.loads(text)
    except (ValueError, KeyError, RecursionError):
        payload = None
    if not isinstance(payload, dict):
        raise HTTPException(HTTPStatus.BAD_REQUEST, "the body is not a webhook delivery in JSON")
    return payload
