"""WebSockets of clients that do not keep to any rule: refused with a Status or closed, and never a traceback."""

from __future__ import annotations

import json
import logging
import os
import struct
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
import yaml
from websockets.client import ClientProtocol
from websockets.exceptions import ConnectionClosed, InvalidStatus, WebSocketException
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Subprotocol

from tests.web.kube.cluster import SECONDS, Cluster, served
from tests.web.kube.instances import FakeInstances, instance
from tests.web.sockets import trust_for_threads

MANIFEST = """
apiVersion: vault.internal/v1alpha1
kind: VaultService
metadata: {name: files}
spec: {plugin: whoami, ports: {http: 8081}}
"""
POD = "/api/v1/namespaces/default/pods/vault-files-web-1"
MOST = 150
V4, V5, SPDY = "v4.channel.k8s.io", "v5.channel.k8s.io", "SPDY/3.1+portforward.k8s.io"


@pytest.fixture(scope="module")
def instances() -> FakeInstances:
    return FakeInstances([instance()])


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory, instances: FakeInstances) -> Iterator[Cluster]:
    home = tmp_path_factory.mktemp("streams")
    with served(home / "state", home, instances=instances) as found:
        found.apply(MANIFEST)
        found.until(lambda: "files" in found.kubectl("get", "vs").stdout)
        yield found


def token(cluster: Cluster, role: str) -> str:
    config = yaml.safe_load(cluster.kubeconfig(role).read_text())
    return str(config["users"][0]["user"]["token"])


def talk(
    cluster: Cluster, path: str, protocol: str | None = V5, role: str = "admin", **others: Any
) -> ClientConnection:
    """A WebSocket, whose protocol the library would not let us name."""
    context = trust_for_threads(cluster.state / "api" / "ca.crt")
    headers = {"Authorization": f"Bearer {others.get('token') or token(cluster, role)}"}
    if protocol == SPDY:
        headers["Sec-WebSocket-Protocol"] = protocol
        protocol = None
    with mock.patch.object(ClientProtocol, "process_subprotocol", return_value=None):
        found: ClientConnection = connect(
            cluster.url.replace("https://", "wss://") + path,
            ssl=context,
            additional_headers=headers,
            subprotocols=[Subprotocol(protocol)] if protocol else None,
            compression=None,
            open_timeout=SECONDS,
            proxy=None,
        )
    return found


@pytest.mark.parametrize(
    ("path", "others", "code", "reason"),
    [
        ("/", {}, 404, "NotFound"),
        ("/api/v1/namespaces/default/pods", {}, 404, "NotFound"),
        (f"{POD}/attach?command=x", {}, 404, "NotFound"),
        (f"{POD}/exec", {}, 400, "BadRequest"),
        (f"{POD}/exec?command=a%00b", {}, 400, "BadRequest"),
        (f"{POD}/exec?" + "command&" * 1001, {}, 400, "BadRequest"),
        (f"{POD}/exec?command=x&container=y", {}, 400, "BadRequest"),
        (f"{POD}/exec?command=x", {"protocol": None}, 400, "BadRequest"),
        (f"{POD}/exec?command=x", {"protocol": "v9.channel.k8s.io"}, 400, "BadRequest"),
        (f"{POD}/exec?command=x", {"role": "edit"}, 403, "Forbidden"),
        (f"{POD}/exec?command=x", {"token": "nothing"}, 401, "Unauthorized"),
        ("/api/v1/namespaces/other/pods/vault-files-web-1/exec?command=x", {}, 404, "NotFound"),
        ("/api/v1/namespaces/default/pods/never/exec?command=x", {}, 404, "NotFound"),
        (f"{POD}/portforward", {"role": "view"}, 403, "Forbidden"),
        (f"{POD}/portforward", {"protocol": V4}, 400, "BadRequest"),
        (f"{POD}/portforward?ports=0", {"protocol": V4}, 400, "BadRequest"),
        (f"{POD}/portforward?ports=99999", {"protocol": V4}, 400, "BadRequest"),
        (f"{POD}/portforward?ports=" + "1," * 101, {"protocol": V4}, 400, "BadRequest"),
    ],
)
def test_what_is_wrong_is_answered_with_a_status(
    cluster: Cluster,
    path: str,
    others: dict[str, Any],
    code: int,
    reason: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    with pytest.raises(InvalidStatus) as refused:
        talk(cluster, path, **others)
    response = refused.value.response
    document = json.loads(response.body)
    assert (response.status_code, document["code"], document["reason"]) == (code, code, reason)
    assert document["kind"] == "Status"
    assert [each.getMessage() for each in caplog.records if is_ours(each)] == []


@pytest.mark.parametrize("protocol", [V4, V5])
def test_channels(cluster: Cluster, protocol: str) -> None:
    with talk(cluster, f"{POD}/exec?command=exit&command=3&stdin=true&tty=true", protocol) as websocket:
        assert websocket.response is not None
        assert websocket.response.headers["Sec-WebSocket-Protocol"] == protocol
        assert websocket.recv(SECONDS) == b"\x01exit 3\n"
        for nonsense in (
            b"",
            b"\x04{",
            b"\x04[1]",
            b'\x04{"Width":-1,"Height":1e999}',
            b"\x63x",
            b"\xff\x09",
            "\x00t",
        ):
            websocket.send(nonsense)
        assert websocket.recv(SECONDS) == b"\x01T"
        if protocol == V5:
            websocket.send(b"\xff\x00")
            assert websocket.recv(SECONDS) == b"\x02warning\n"
            ended = websocket.recv(SECONDS)
            assert ended[:1] == b"\x03"
            assert json.loads(ended[1:])["details"]["causes"] == [{"reason": "ExitCode", "message": "3"}]


def test_a_message_that_is_too_long_ends_the_command(cluster: Cluster, instances: FakeInstances) -> None:
    with talk(cluster, f"{POD}/exec?command=cat&stdin=true") as websocket:
        websocket.recv(SECONDS)
        assert is_closed(websocket, b"\0" * (3 << 20))
    assert cluster.until(lambda: instances.executions[-1].closed.is_set())


@pytest.mark.parametrize("seed", range(5))
def test_broken_frames_end_the_connection(
    cluster: Cluster, seed: int, caplog: pytest.LogCaptureFixture
) -> None:
    with talk(cluster, f"{POD}/portforward", SPDY) as websocket:
        assert is_closed(websocket, struct.pack(">HHL", 0x8002 + seed % 2, 1, 4) + os.urandom(200))
    assert [each.getMessage() for each in caplog.records if is_ours(each)] == []


def test_a_revoked_token_ends_its_streams(cluster: Cluster, tmp_path: Path) -> None:
    config = yaml.safe_load(
        cluster.vaultctl("kubeconfig", "--server", cluster.url, "--user", "leaving", "--role", "admin")
    )
    text = config["users"][0]["user"]["token"]
    with talk(cluster, f"{POD}/exec?command=cat&stdin=true", token=text) as websocket:
        websocket.recv(SECONDS)
        cluster.vaultctl("token", "revoke", text.split("_")[1])
        assert is_closed(websocket)


def test_a_revoked_token_ends_the_logs_that_it_follows(cluster: Cluster, instances: FakeInstances) -> None:
    config = cluster.home / "follower.kubeconfig"
    config.write_text(cluster.vaultctl("kubeconfig", "--server", cluster.url, "--user", "follower"))
    with cluster.follow("logs", "-f", "vault-files-web-1", role="follower") as following:
        cluster.until(lambda: instances.open_logs == 1)
        (row,) = [each for each in cluster.vaultctl("token", "list").splitlines() if " follower " in each]
        cluster.vaultctl("token", "revoke", row.split()[0])
        assert following.wait(SECONDS) == 0
        assert following.communicate()[0] == ""
    assert instances.open_logs == 0


def test_a_line_that_is_too_long_ends_the_connection(
    cluster: Cluster, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises((WebSocketException, OSError, EOFError)):
        talk(cluster, f"{POD}/exec?command=" + "a" * 10_000)
    assert [each.getMessage() for each in caplog.records if is_ours(each)] == []


def test_streams_are_counted(cluster: Cluster) -> None:
    with ExitStack() as streams:
        count = 0
        while count < MOST and (found := opened(cluster)) is not None:
            streams.enter_context(found)
            count += 1
        assert 0 < count < MOST
    # They are given back.
    cluster.until(lambda: opened(cluster))


def opened(cluster: Cluster) -> ClientConnection | None:
    """A stream, or None if there are too many."""
    try:
        return talk(cluster, f"{POD}/exec?command=cat&stdin=true")
    except (WebSocketException, OSError, EOFError):
        return None


def is_closed(websocket: ClientConnection, data: bytes = b"") -> bool:
    """Whether the other side ends the connection, after data if there is some."""
    try:
        if data:
            websocket.send(data)
        while True:
            websocket.recv(SECONDS)
    except TimeoutError:
        return False
    except ConnectionClosed:
        return True


def is_ours(record: logging.LogRecord) -> bool:
    """Whether it is an error of the server; the client's library has the same log."""
    return record.levelno >= logging.ERROR and not record.name.startswith("websockets.client")
