"""Load on an application: requests that are never repeated, from before a block to after it."""

from __future__ import annotations

import http.client
import threading
import time
from dataclasses import dataclass, field

from tests.catalogue.visitor import ANSWER_SECONDS


@dataclass(frozen=True)
class Loss:
    """A request without an answer, or with one that tells an error of the server. Times are monotonic seconds."""

    began: float
    ended: float
    what: str

    def around(self, moment: float, seconds: float) -> bool:
        """Whether it was under way at that moment, or began at most so many seconds later."""
        return self.began <= moment + seconds and moment <= self.ended


@dataclass
class Visits:
    """Requests for one path, `at_once` at a time, each on a connection of its own, with a pause of `pause` seconds."""

    port: int
    path: str
    at_once: int = 4
    pause: float = 0.1
    lost: list[Loss] = field(default_factory=list)
    answered: int = 0

    def __post_init__(self) -> None:
        self._done = threading.Event()
        self._lock = threading.Lock()
        self._threads = [threading.Thread(target=self._visit, name="visits") for _ in range(self.at_once)]

    def __enter__(self) -> Visits:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        for thread in self._threads:
            thread.join(ANSWER_SECONDS + 10)

    def _visit(self) -> None:
        while not self._done.wait(self.pause):
            began = time.monotonic()
            what = self._ask()
            with self._lock:
                if what:
                    self.lost.append(Loss(began, time.monotonic(), what))
                else:
                    self.answered += 1

    def _ask(self) -> str:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=ANSWER_SECONDS)
        try:
            connection.request("GET", self.path)
            answer = connection.getresponse()
            answer.read()
        except (OSError, http.client.HTTPException) as error:
            return f"{type(error).__name__}: {error}"
        finally:
            connection.close()
        return "" if answer.status < 500 else f"status {answer.status}"
