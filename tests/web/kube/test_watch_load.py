"""20 watchers, 1,000 changes, a reader that stops reading, a restart or three kills in the middle: each watcher ends with
what a fresh list gives, and is told of each deletion.
"""

from __future__ import annotations

import gc
import http.client
import json
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import pytest
import yaml

from reconciler.api import Status
from tests.e2e.stage import free_port
from tests.web.kube.apart import apart
from tests.web.kube.cluster import SECONDS, Cluster, served

PATH = "/apis/vault.internal/v1alpha1/namespaces/default/vaultservices"
# Python's ssl forgets a socket whose connection is reset before the handshake, as those of a server that is killed are.
pytestmark = pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")

WATCHERS, CHANGES, NAMES, LIVES = 20, 1000, 37, 4
MANIFEST = """
apiVersion: vault.internal/v1alpha1
kind: VaultService
metadata: {{name: s{0}}}
spec: {{plugin: whoami, suspend: true}}
"""


@pytest.fixture(autouse=True)
def forgotten() -> Iterator[None]:
    """Such sockets end with the test that made them, not in a later one."""
    yield
    gc.collect()


class Client:
    """What a client needs for a connection; the server may be another one at the same address later."""

    def __init__(self, cluster: Cluster) -> None:
        config = yaml.safe_load(cluster.kubeconfig("view").read_text())
        self._host, port = cluster.url.removeprefix("https://").split(":")
        self._port = int(port)
        self._context = ssl.create_default_context(cafile=str(cluster.state / "api" / "ca.crt"))
        self._headers = {"Authorization": f"Bearer {config['users'][0]['user']['token']}"}

    def open(self, query: str = "") -> tuple[http.client.HTTPSConnection, http.client.HTTPResponse]:
        connection = http.client.HTTPSConnection(
            self._host, self._port, timeout=SECONDS, context=self._context
        )
        with ExitStack() as opened:
            opened.callback(connection.close)
            connection.request("GET", PATH + query, headers=self._headers)
            # It has the socket, where the answer ends with the connection.
            answer = opened.enter_context(closing(connection.getresponse()))
            if answer.status != 200:
                # Clients try again; the server may be about to end.
                raise ConnectionError(answer.status)
            opened.pop_all()
        return connection, answer

    def list(self) -> tuple[str, dict[str, str], dict[str, str]]:
        """The number of the list, and by name the number and the UID of each object."""
        connection, answer = self.open()
        try:
            found = json.loads(answer.read())
        finally:
            connection.close()
        items = [each["metadata"] for each in found["items"]]
        versions = {each["name"]: each["resourceVersion"] for each in items}
        return found["metadata"]["resourceVersion"], versions, {each["name"]: each["uid"] for each in items}


class Watcher(threading.Thread):
    """Keeps what it is told; lists again only when its version is too old."""

    def __init__(self, client: Client) -> None:
        super().__init__(daemon=True)
        self.known: dict[str, str] = {}
        self.uids: dict[str, str] = {}
        self.deletions = 0
        self.lists = 0
        self.ended = threading.Event()
        self.wrong: list[str] = []
        self._client = client
        self._number = ""

    def run(self) -> None:
        while not self.ended.is_set():
            try:
                if not self._number:
                    self._number, self.known, self.uids = self._client.list()
                    self.lists += 1
                connection, answer = self._client.open(f"?watch=1&resourceVersion={self._number}")
                try:
                    for line in iter(answer.readline, b""):
                        self._take(json.loads(line))
                finally:
                    answer.close()
                    connection.close()
            except (OSError, http.client.HTTPException, ValueError):
                # The server is away, or its last line was cut.
                self.ended.wait(0.05)

    def _take(self, event: dict[str, Any]) -> None:
        if event["type"] == "ERROR":
            self._number = ""
            return
        metadata = event["object"]["metadata"]
        name, self._number = metadata["name"], metadata["resourceVersion"]
        if (event["type"] == "ADDED") == (name in self.known):
            self.wrong.append(f"{event['type']} {name}")
        if event["type"] == "DELETED":
            self.deletions += 1
            self.known.pop(name, None)
            self.uids.pop(name, None)
            return
        self.known[name] = self._number
        if self.uids.setdefault(name, metadata["uid"]) != metadata["uid"]:
            self.wrong.append(f"the deletion of {name} was missed")


def changes(cluster: Cluster, numbers: range) -> None:
    objects = cluster.application.objects
    for number in numbers:
        name = number % NAMES
        if number % 10 == 9:
            objects.remove(f"s{name}")
        elif objects.get(f"s{name}") is None:
            cluster.apply(MANIFEST.format(name))
        else:
            objects.put_status(f"s{name}", Status(observed_generation=number))


def reader_that_stops(client: Client) -> Iterator[None]:
    """A watch of which nothing is read."""
    connection, _ = client.open("?watch=1")
    assert isinstance(connection.sock, socket.socket)
    connection.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
    yield
    connection.close()


def test_kills_in_the_middle_of_changes_cost_no_watcher_a_change(tmp_path: Path) -> None:
    state, listen = tmp_path / "state", f"127.0.0.1:{free_port()}"
    with served(state, tmp_path, listen) as cluster:
        # Its authority and a kubeconfig; the changes are written by this process, as a source writes them.
        client = Client(cluster)
    with ExitStack() as stack:
        watchers = [Watcher(client) for _ in range(WATCHERS)]
        stopped: list[Iterator[None]] = []
        for life in range(LIVES):
            with apart(state, tmp_path, listen) as process:
                if not life:
                    for each in watchers:
                        stack.callback(each.ended.set)
                        each.start()
                    stopped.append(reader_that_stops(client))
                    next(stopped[0])
                    stack.callback(lambda: next(stopped[0], None))
                begin = life * CHANGES // LIVES
                changes(cluster, range(begin, begin + CHANGES // LIVES // 2))
                if life < LIVES - 1:
                    process.kill()
                    # Some happen while nothing serves.
                    changes(cluster, range(begin + CHANGES // LIVES // 2, begin + CHANGES // LIVES))
                    continue
                changes(cluster, range(begin + CHANGES // LIVES // 2, CHANGES))
                cluster.until(
                    lambda: (listed := client.list())[1] and all(each.known == listed[1] for each in watchers)
                )
                assert all(each.uids == client.list()[2] for each in watchers)
                for each in watchers:
                    each.ended.set()
        for each in watchers:
            each.join(SECONDS)
    assert [each.wrong for each in watchers] == [[]] * WATCHERS
    assert [each.lists for each in watchers] == [1] * WATCHERS
    assert min(each.deletions for each in watchers) > 0


def test_each_watcher_ends_with_what_a_list_gives(tmp_path: Path) -> None:
    state = tmp_path / "state"
    with ExitStack() as stack:
        with served(state, tmp_path) as cluster:
            client = Client(cluster)
            listen = cluster.url.removeprefix("https://")
            watchers = [Watcher(client) for _ in range(WATCHERS)]
            for each in watchers:
                stack.callback(each.ended.set)
                each.start()
            stopped = reader_that_stops(client)
            next(stopped)
            stack.callback(lambda: next(stopped, None))
            changes(cluster, range(CHANGES // 2))
        # Some happen while nothing serves.
        changes(cluster, range(CHANGES // 2, CHANGES // 2 + 50))
        with served(state, tmp_path, listen) as cluster:
            changes(cluster, range(CHANGES // 2 + 50, CHANGES))
            cluster.until(
                lambda: (listed := client.list()[1]) and all(each.known == listed for each in watchers)
            )
            for each in watchers:
                each.ended.set()
        for each in watchers:
            each.join(SECONDS)
    assert [each.wrong for each in watchers] == [[]] * WATCHERS
    assert [each.lists for each in watchers] == [1] * WATCHERS
