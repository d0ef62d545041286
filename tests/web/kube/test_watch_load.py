"""20 watchers, 1,000 changes, a reader that stops reading, a restart: each watcher ends with what a fresh list gives."""

from __future__ import annotations

import http.client
import json
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import yaml

from reconciler.api import Status
from tests.web.kube.cluster import SECONDS, Cluster, served

PATH = "/apis/vault.internal/v1alpha1/namespaces/default/vaultservices"
WATCHERS, CHANGES, NAMES = 20, 1000, 37
MANIFEST = """
apiVersion: vault.internal/v1alpha1
kind: VaultService
metadata: {{name: s{0}}}
spec: {{plugin: whoami, suspend: true}}
"""


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
        connection.request("GET", PATH + query, headers=self._headers)
        return connection, connection.getresponse()

    def list(self) -> tuple[str, dict[str, str]]:
        connection, answer = self.open()
        try:
            found = json.loads(answer.read())
        finally:
            connection.close()
        items = {each["metadata"]["name"]: each["metadata"]["resourceVersion"] for each in found["items"]}
        return found["metadata"]["resourceVersion"], items


class Watcher(threading.Thread):
    """Keeps what it is told; lists again only when its version is too old."""

    def __init__(self, client: Client) -> None:
        super().__init__(daemon=True)
        self.known: dict[str, str] = {}
        self.lists = 0
        self.ended = threading.Event()
        self.wrong: list[str] = []
        self._client = client
        self._number = ""

    def run(self) -> None:
        while not self.ended.is_set():
            try:
                if not self._number:
                    self._number, self.known = self._client.list()
                    self.lists += 1
                connection, answer = self._client.open(f"?watch=1&resourceVersion={self._number}")
                try:
                    for line in iter(answer.readline, b""):
                        self._take(json.loads(line))
                finally:
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
            self.known.pop(name, None)
        else:
            self.known[name] = self._number


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
