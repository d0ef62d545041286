"""Answers that take long: they are given their time, and what has to be cut in the end is told."""

from __future__ import annotations

import http.client
import threading

import pytest

from tests.e2e.proof import NEW_VERSION
from tests.e2e.stage import Stage

pytestmark = pytest.mark.docker


def test_a_download_is_finished_before_its_replica_goes(harsh: Stage) -> None:
    download = Download(harsh.port, seconds=6)
    harsh.write(**NEW_VERSION)
    harsh.converged()
    assert download.finished().endswith(b"end\n")


def test_a_download_that_is_cut_at_the_deadline_is_told(harsh: Stage) -> None:
    harsh.write(strategy={"drainSeconds": 2})
    harsh.converged()
    download = Download(harsh.port, seconds=60)
    harsh.write(**NEW_VERSION)
    harsh.converged()
    assert not download.finished().endswith(b"end\n")
    assert "cutting 1 session" in harsh.vaultctl("events", harsh.name).stdout


class Download:
    """A response that takes long, read by a thread; it has begun when this is made."""

    def __init__(self, port: int, seconds: int) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=90)
        self._connection.request("GET", f"/stream?seconds={seconds}")
        self._answer = self._connection.getresponse()
        self._body = b""
        self._thread = threading.Thread(target=self._read)
        self._thread.start()

    def _read(self) -> None:
        try:
            self._body = self._answer.read()
        except http.client.IncompleteRead as cut:
            self._body = cut.partial
        finally:
            self._connection.close()

    def finished(self) -> bytes:
        """What came, when no more comes."""
        self._thread.join()
        return self._body
