"""One request to a server whose answer is not trusted with our time and memory, such as a registry or an issuer of tokens.

A socket's timeout is for each silence only, and a server could send a byte in each. So a request runs in a thread of its
own that has a deadline; while one that missed it lives, its host is asked nothing more.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlsplit

import requests
from requests.auth import AuthBase
from requests.utils import get_environ_proxies

__all__ = ["Answer", "Http", "Trust", "of_machine"]

USER_AGENT: Final = "vault-reconciler"

Trust = Callable[[str], str | bool]
"""The file with the authorities of a host, such as 127.0.0.1:5000; True for those of the library."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a server said; the names of `headers` are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes = b""


@dataclass(slots=True)
class _Result:
    answer: Answer | None = None
    error: Exception | None = None


@dataclass
class Http:
    """Makes requests. A failure is an `error` with a sentence; `advice` is what to do about a certificate of a host that is
    not trusted. `silence` is the time in seconds for a connection and for each silence of the server, `deadline` that for a
    whole answer, which has at most `most` bytes. Threads may share it.
    """

    error: Callable[[str], Exception]
    trust: Trust
    advice: Callable[[str], str]
    silence: float
    deadline: float
    most: int
    _hanging: dict[str, threading.Thread] = field(default_factory=dict, repr=False)

    def ask(
        self, method: str, url: str, headers: Mapping[str, str], form: Mapping[str, str] | None = None
    ) -> Answer:
        """The answer, whatever its status. Raises `error` if there is none."""
        host = urlsplit(url).netloc
        if (before := self._hanging.get(host)) and before.is_alive():
            raise self.error(f"{host} has not finished its answer to an earlier request")
        result = _Result()

        def run() -> None:
            try:
                result.answer = self._answer(method, url, headers, form)
            except Exception as error:
                result.error = error

        thread = threading.Thread(target=run, name=f"asking {host}", daemon=True)
        thread.start()
        thread.join(self.deadline)
        if thread.is_alive():
            self._hanging[host] = thread
            raise self.error(f"{host} did not finish its answer in {self.deadline:g} s")
        self._hanging.pop(host, None)
        if result.answer is None:
            assert result.error is not None
            raise self.error(self._told(host, result.error)) from None
        return result.answer

    def _answer(
        self, method: str, url: str, headers: Mapping[str, str], form: Mapping[str, str] | None
    ) -> Answer:
        with requests.Session() as session:
            # ~/.netrc would replace our credentials; the proxies of the environment are used all the same.
            session.trust_env = False
            with session.request(
                method,
                url,
                # A compressed answer could come to any length.
                headers={"User-Agent": USER_AGENT, "Accept-Encoding": "identity", **headers},
                data=form,
                auth=_Nothing(),
                proxies=get_environ_proxies(url),
                timeout=self.silence,
                verify=self.trust(urlsplit(url).netloc),
                allow_redirects=False,
                stream=True,
            ) as answer:
                if answer.headers.get("Content-Encoding", "identity").lower() != "identity":
                    raise _UnusableError("its answer is compressed, which was not asked for")
                body = b"" if method == "HEAD" else answer.raw.read(self.most + 1, decode_content=False)
                if len(body) > self.most:
                    raise _UnusableError(f"its answer is longer than {self.most // 1024} KiB")
                found = {name.lower(): text for name, text in answer.headers.items()}
                return Answer(answer.status_code, found, body)

    def _told(self, host: str, error: Exception) -> str:
        """What happened, in words that hold nothing of the request: a proxy's address may have a password."""
        if isinstance(error, _UnusableError):
            return f"{host}: {error}"
        if isinstance(error, requests.exceptions.SSLError):
            return f"{host}: its certificate is not trusted; {self.advice(host)}"
        if isinstance(error, requests.exceptions.Timeout):
            return f"{host} gave no answer in {self.silence:g} s"
        innermost: BaseException = error
        while (inner := innermost.__cause__ or innermost.__context__) is not None:
            innermost = inner
        reason = (
            innermost.strerror
            if isinstance(innermost, OSError) and innermost.strerror
            else type(innermost).__name__
        )
        return f"{host} cannot be reached: {reason}"


def of_machine(environ: Mapping[str, str]) -> str | bool:
    """The authorities that this machine trusts; the environment may name a bundle of them."""
    return environ.get("REQUESTS_CA_BUNDLE") or environ.get("SSL_CERT_FILE") or True


class _UnusableError(Exception):
    """What is wrong with an answer, in words of ours."""


class _Nothing(AuthBase):
    """Adds no credentials, also none of the user's other files."""

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        return request
