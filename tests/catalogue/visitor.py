"""A visitor of a web application, who does what a list of steps says. A step is a mapping:

do: POST /login                what is asked; `$name` is replaced by what was kept, here and in all texts below
as: olga:secret                the login of HTTP (Basic); a text without a colon is a bearer token
headers: {Name: value}
form: {name: value}            or `json: …`, or `body: text`, or `upload: {field: text}` (a file of a form)
status: 201                    which has to be the answer; otherwise any below 400, after redirects
has: text                      which has to be in the answer
keep: {name: expression}       the first group of a regular expression, from the lines of the head or the body
patient: true                  is asked again until it is answered like that
"""

from __future__ import annotations

import base64
import hashlib
import html
import http.cookiejar
import json
import re
import secrets
import string
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from tests.e2e.waiting import until

ANSWER_SECONDS: Final = 90.0
"""Longer than HAProxy holds a request."""
BOUNDARY: Final = "boundary-of-the-visitor"


class UnexpectedAnswerError(AssertionError):
    """The application did not answer as the step says."""


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: Any) -> None:
        return None


@dataclass
class Visitor:
    """Has its own cookies. `kept` is what steps refer to: a new `word`, the `sha256` of "about $word", the `port`."""

    port: int
    kept: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.kept.setdefault("word", f"word{secrets.token_hex(6)}")
        self.kept.setdefault("port", str(self.port))
        content = f"about {self.kept['word']}".encode()
        self.kept.setdefault("sha256", f"sha256:{hashlib.sha256(content).hexdigest()}")
        self._cookies = urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar())

    def take(self, steps: Iterable[Mapping[str, Any]]) -> None:
        """Take all steps. Raises UnexpectedAnswerError."""
        for step in steps:
            if step.get("patient"):
                until(str(step["do"]), lambda step=step: self._succeeds(step))  # type: ignore[misc]
            else:
                self._take(step)

    def _succeeds(self, step: Mapping[str, Any]) -> bool:
        try:
            self._take(step)
        except (UnexpectedAnswerError, OSError):
            return False
        return True

    def _take(self, step: Mapping[str, Any]) -> None:
        method, path = self._filled(step["do"]).split(maxsplit=1)
        url = path if path.startswith("http") else f"http://127.0.0.1:{self.port}{path}"
        data, headers = self._content(step)
        headers |= {name: self._filled(value) for name, value in step.get("headers", {}).items()}
        if login := self._filled(step.get("as", "")):
            is_basic = ":" in login
            word = base64.b64encode(login.encode()).decode() if is_basic else login
            headers["Authorization"] = f"{'Basic' if is_basic else 'Bearer'} {word}"
        request = urllib.request.Request(url, data, headers, method=method)
        handlers = [self._cookies, *([_NoRedirect()] if "status" in step else [])]
        try:
            answer = urllib.request.build_opener(*handlers).open(request, timeout=ANSWER_SECONDS)
        except urllib.error.HTTPError as error:
            answer = error
        with answer:
            text = answer.read().decode(errors="replace")
        self._judge(step, answer.status, str(answer.headers), text)

    def _judge(self, step: Mapping[str, Any], status: int, head: str, text: str) -> None:
        def wrong(what: str) -> UnexpectedAnswerError:
            return UnexpectedAnswerError(
                f"{self._filled(step['do'])}: {what}, the answer is {status}:\n{head}{text[:3000]}"
            )

        if status != step["status"] if "status" in step else status >= 400:
            raise wrong(f"status {step.get('status', 'below 400')} was expected")
        if (expected := self._filled(step.get("has", ""))) not in text:
            raise wrong(f"{expected!r} is not there")
        for name, expression in step.get("keep", {}).items():
            if (found := re.search(expression, head + text)) is None:
                raise wrong(f"{expression!r} matches nothing")
            self.kept[name] = html.unescape(found[1])

    def _content(self, step: Mapping[str, Any]) -> tuple[bytes | None, dict[str, str]]:
        if "form" in step:
            fields = {name: self._filled(value) for name, value in step["form"].items()}
            return urllib.parse.urlencode(fields).encode(), {}
        if "json" in step:
            return self._filled(json.dumps(step["json"])).encode(), {"Content-Type": "application/json"}
        if "multipart" in step:
            parts = [self._part(name, value) for name, value in step["multipart"].items()]
            content = "".join(parts) + f"--{BOUNDARY}--\r\n"
            return content.encode(), {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}
        if "body" in step:
            return self._filled(step["body"]).encode(), {"Content-Type": "application/octet-stream"}
        return None, {}

    def _part(self, name: str, value: str) -> str:
        head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"'
        return f"{head}\r\n\r\n{self._filled(value)}\r\n"

    def _filled(self, text: str) -> str:
        return string.Template(text).safe_substitute(self.kept)
