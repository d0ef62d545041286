"""The metrics of a HAProxy that opens no port for them: those of its exporter, and those of its Lua."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from http import HTTPStatus
from http.client import HTTPException, HTTPResponse
from io import BytesIO
from typing import Final

from reconciler.proxy.errors import ProxyError
from reconciler.proxy.haproxy.gateway.pools import POOL_NAME
from reconciler.proxy.haproxy.socket import TIMEOUT, Master, exchange

__all__ = ["MAX_METRICS", "read_metrics"]

PAGES: Final = ("/metrics?scope=global&scope=frontend&scope=backend", "/holds")
"""Not the scope `server`: servers are containers, and each rollout would leave stale series."""
MAX_METRICS: Final = 4 * 1024 * 1024
"""Characters of all of it."""
_OF_POOL: Final = re.compile(rf'[a-z0-9_]+\{{proxy="{POOL_NAME}"[,}}]')
"""A series of a pool, most of which are spare; each route has series of its own."""


def read_metrics(master: Master) -> str:
    """All of it, as text for Prometheus. Raises ProxyError."""
    text = "".join(line for page in PAGES for line in _lines(_fetch(master, page)))
    if len(text) > MAX_METRICS:
        raise ProxyError(f"HAProxy in slot {master.slot} tells more than {MAX_METRICS} characters of metrics")
    return text


def _fetch(master: Master, path: str) -> str:
    """The page that it serves at this path, on its socket for metrics."""
    said = exchange(master, "exporter", f"GET {path} HTTP/1.1\r\nHost: -\r\n\r\n", path, TIMEOUT)
    try:
        with HTTPResponse(_Said(said)) as answer:  # type: ignore[arg-type]
            answer.begin()
            page, status = answer.read(), answer.status
    except (HTTPException, ValueError) as error:
        raise ProxyError(
            f"HAProxy in slot {master.slot} did not answer {path} with a page: {error!r}"
        ) from error
    if status != HTTPStatus.OK:
        raise ProxyError(f"HAProxy in slot {master.slot} answered {path} with status {status}")
    return page.decode(errors="replace")


@dataclass(frozen=True, slots=True)
class _Said:
    """Stands for the socket that an answer was read from, all of it."""

    text: str

    def makefile(self, mode: str) -> BytesIO:
        """The answer."""
        return BytesIO(self.text.encode())


def _lines(page: str) -> Iterator[str]:
    for line in page.splitlines():
        if not _OF_POOL.match(line):
            yield f"{line}\n"
