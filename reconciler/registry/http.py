"""One request to a registry, whose answer is not trusted with our time and memory: a manifest names the host.

A socket's timeout is for each silence only, and a server could send a byte in each. So a request runs in a thread of its
own that has a deadline; while one that missed it lives, its host is asked nothing more.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import requests
from requests.auth import AuthBase
from requests.utils import get_environ_proxies

from reconciler.registry.errors import RegistryError

__all__ = ["Answer", "Http", "is_local"]

SILENCE: Final = 10.0
"""Seconds for a connection, and for each silence of the server."""
DEADLINE: Final = 40.0
"""Seconds for a whole answer."""
MAX_BYTES: Final = 4 * 1024 * 1024
"""Of one answer; registries limit manifests to this."""
USER_AGENT: Final = "vault-reconciler"
CERTIFICATES: Final = Path("/etc/docker/certs.d")
"""Where the engine, too, finds the authorities of registries that no other one knows."""


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
    """Makes requests; `environ` may name a bundle of authorities, `deadline` is in seconds. Threads may share it."""

    environ: Mapping[str, str] = field(default_factory=dict, repr=False)
    certificates: Path = CERTIFICATES
    silence: float = SILENCE
    deadline: float = DEADLINE
    _hanging: dict[str, threading.Thread] = field(default_factory=dict, repr=False)

    def ask(
        self, method: str, url: str, headers: Mapping[str, str], form: Mapping[str, str] | None = None
    ) -> Answer:
        """The answer, whatever its status. Raises RegistryError if there is none."""
        host = urlsplit(url).netloc
        if (before := self._hanging.get(host)) and before.is_alive():
            raise RegistryError(f"{host} has not finished its answer to an earlier request")
        result = _Result()

        def run() -> None:
            try:
                result.answer = self._answer(method, url, headers, form)
            except Exception as error:
                result.error = error

        thread = threading.Thread(target=run, name=f"registry {host}", daemon=True)
        thread.start()
        thread.join(self.deadline)
        if thread.is_alive():
            self._hanging[host] = thread
            raise RegistryError(f"{host} did not finish its answer in {self.deadline:g} s")
        self._hanging.pop(host, None)
        if result.answer is None:
            assert result.error is not None
            raise _told(host, result.error, self.silence) from None
        return result.answer

    def _answer(
        self, method: str, url: str, headers: Mapping[str, str], form: Mapping[str, str] | None
    ) -> Answer:
        with requests.Session() as session:
            # ~/.netrc would replace our credentials; the proxies of the environment are used all the same.
            session.trust_env = False
            answer = session.request(
                method,
                url,
                # A compressed answer could come to any length.
                headers={"User-Agent": USER_AGENT, "Accept-Encoding": "identity", **headers},
                data=form,
                auth=_Nothing(),
                proxies=get_environ_proxies(url),
                timeout=self.silence,
                verify=self._authorities(url),
                allow_redirects=False,
                stream=True,
            )
            if answer.headers.get("Content-Encoding", "identity").lower() != "identity":
                raise _UnusableError("its answer is compressed, which was not asked for")
            body = (
                b""
                if method == "HEAD"
                else _read(lambda: answer.raw.read(MAX_BYTES + 1, decode_content=False))
            )
            return Answer(
                answer.status_code, {name.lower(): text for name, text in answer.headers.items()}, body
            )

    def _authorities(self, url: str) -> str | bool:
        own = self.certificates / urlsplit(url).netloc / "ca.crt"
        if own.is_file():
            return str(own)
        return self.environ.get("REQUESTS_CA_BUNDLE") or self.environ.get("SSL_CERT_FILE") or True


class _UnusableError(Exception):
    """What is wrong with an answer, in words of ours."""


class _Nothing(AuthBase):
    """Adds no credentials, also none of the user's other files."""

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        return request


def _read(read: Callable[[], bytes]) -> bytes:
    body = read()
    if len(body) > MAX_BYTES:
        raise _UnusableError(f"its answer is longer than {MAX_BYTES // 1024} KiB")
    return body


def is_local(host: str) -> bool:
    """Whether a registry is on this machine, where the engine, too, speaks plain HTTP to it."""
    name = urlsplit(f"//{host}").hostname or ""
    return name in ("localhost", "::1") or (name.startswith("127.") and name.replace(".", "").isdecimal())


def _told(host: str, error: Exception, silence: float) -> RegistryError:
    """What happened, in words that hold nothing of the request: a proxy's address may have a password."""
    if isinstance(error, _UnusableError):
        return RegistryError(f"{host}: {error}")
    if isinstance(error, requests.exceptions.SSLError):
        return RegistryError(
            f"{host}: its certificate is not trusted; put its authority into {CERTIFICATES}/{host}/ca.crt"
        )
    if isinstance(error, requests.exceptions.Timeout):
        return RegistryError(f"{host} gave no answer in {silence:g} s")
    innermost: BaseException = error
    while (inner := innermost.__cause__ or innermost.__context__) is not None:
        innermost = inner
    reason = (
        innermost.strerror
        if isinstance(innermost, OSError) and innermost.strerror
        else type(innermost).__name__
    )
    return RegistryError(f"{host} cannot be reached: {reason}")
