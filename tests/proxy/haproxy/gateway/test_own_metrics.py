"""What a HAProxy tells at its socket for metrics; that a real one does is shown in tests/proxy/remote/test_gateway.py."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from reconciler.core.desired.stack import Site
from reconciler.proxy.errors import ProxyAwayError, ProxyError
from reconciler.proxy.haproxy.gateway import own_metrics
from reconciler.proxy.haproxy.gateway.own_metrics import PAGES, read_metrics
from reconciler.proxy.haproxy.gateway.pools import PoolKind, pool_names
from reconciler.proxy.haproxy.socket import Master

Speak = Callable[..., Master]


@pytest.fixture
def speak(tmp_path: Path) -> Iterator[Speak]:
    """Listen as slot 1, and answer the requests one after the other with these bytes; gives what was asked."""
    listener = socket.socket(socket.AF_UNIX)
    site = Site(tmp_path, os.geteuid(), os.getegid())
    site.run.mkdir(parents=True)
    threads = []

    def serve(answers: tuple[bytes, ...]) -> None:
        for answer in answers:
            connection, _ = listener.accept()
            with connection:
                while connection.recv(4096):
                    pass
                connection.sendall(answer)

    def start(*answers: bytes) -> Master:
        listener.bind(str(site.run / "exporter-1.sock"))
        listener.listen()
        threads.append(threading.Thread(target=serve, args=(answers,), daemon=True))
        threads[0].start()
        return Master(site, 1, time.monotonic() + 5)

    yield start
    listener.close()
    for each in threads:
        each.join(10)


def page(text: str) -> bytes:
    head = f"HTTP/1.1 200 OK\r\ncontent-length: {len(text)}\r\ncontent-type: text/plain\r\n\r\n"
    return f"{head}{text}".encode()


def test_both_pages_are_told_without_series_of_pools(speak: Speak) -> None:
    pools = pool_names(dict.fromkeys(PoolKind, 2))
    series = "".join(f'haproxy_backend_status{{proxy="{pool}",state="UP"}} 1\n' for pool in pools)
    chunked = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\na 1\n\r\n0\r\n\r\n"
    kept = '# HELP x Of h001.\nhaproxy_frontend_status{proxy="http",state="UP"} 1\n'
    assert read_metrics(speak(page(kept + series), chunked)) == f"{kept}a 1\n"
    assert len(PAGES) == 2


@pytest.mark.parametrize(
    ("said", "problem"),
    [
        (b"", "did not answer /metrics"),
        (b"haproxy_up 1\n", "did not answer /metrics"),
        (b"HTTP/1.1 503 Service Unavailable\r\n\r\nno", "with status 503"),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nshort", "did not answer /metrics"),
        (b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n", "did not answer /metrics"),
    ],
)
def test_what_is_no_page_is_an_error(speak: Speak, said: bytes, problem: str) -> None:
    with pytest.raises(ProxyError, match=problem):
        read_metrics(speak(said))


def test_more_than_fits_into_an_answer_is_an_error(speak: Speak, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(own_metrics, "MAX_METRICS", 10)
    with pytest.raises(ProxyError, match="more than 10 characters"):
        read_metrics(speak(page("a 1\n"), page("b 22222\n")))


def test_without_a_socket_it_is_away(tmp_path: Path) -> None:
    site = Site(tmp_path, os.geteuid(), os.getegid())
    site.run.mkdir(parents=True)
    with pytest.raises(ProxyAwayError):
        read_metrics(Master(site, 1, time.monotonic() + 5))
