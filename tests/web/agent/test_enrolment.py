"""How an agent gets its first certificate, and who gets none: over real connections to a real server."""

from __future__ import annotations

import hashlib
import http.client
import json
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from reconciler.api.errors import PermanentError
from reconciler.certificates.agents import (
    AUTHORITY,
    ENROLMENT_NAME,
    fingerprint,
    keep_controller,
    node_request,
)
from reconciler.certificates.self_signed import new_key
from reconciler.proxy.errors import ProxyError
from reconciler.store.agents import Agents
from reconciler.web.agent.enrolment import enrol, enrolment_app, enrolment_tls
from reconciler.web.agent.identity import AgentIdentity
from reconciler.web.server import Server

ADDRESS = "10.0.0.2:9443"


class Clock:
    """The controller's."""

    ahead = timedelta()

    def __call__(self) -> datetime:
        return datetime.now(UTC) + self.ahead


@dataclass
class Controller:
    directory: Path
    agents: Agents
    clock: Clock
    server: Server

    def token(self, node: str = "node-2") -> str:
        return self.agents.invite(node, ADDRESS, fingerprint((self.directory / AUTHORITY).read_bytes()))

    def post(self, body: bytes, path: str = "/enrol") -> tuple[int, bytes]:
        """What it says to a client that trusts it already."""
        context = ssl.create_default_context(cafile=str(self.directory / AUTHORITY))
        bare = socket.create_connection(("127.0.0.1", self.server.port), timeout=20)
        with context.wrap_socket(bare, server_hostname=ENROLMENT_NAME) as connection:
            head = f"POST {path} HTTP/1.1\r\nHost: a\r\nContent-Length: {len(body)}\r\n\r\n"
            connection.sendall(head.encode() + body)
            answer = http.client.HTTPResponse(connection, method="POST")
            answer.begin()
            return answer.status, answer.read()


@contextmanager
def controller_in(directory: Path) -> Iterator[Controller]:
    keep_controller(directory / "agents", datetime.now(UTC))
    clock = Clock()
    agents = Agents(directory, clock)
    app = enrolment_app(directory / "agents", agents, clock)
    with Server(app, "127.0.0.1", 0, enrolment_tls(directory / "agents")) as server:
        yield Controller(directory / "agents", agents, clock, server)


@pytest.fixture
def controller(tmp_path: Path) -> Iterator[Controller]:
    with controller_in(tmp_path / "state") as made:
        yield made


@pytest.fixture
def identity(tmp_path: Path) -> AgentIdentity:
    return AgentIdentity(tmp_path / "node" / "identity", lambda: datetime.now(UTC))


def test_a_token_enrols_its_node(controller: Controller, identity: AgentIdentity) -> None:
    assert enrol(identity, "127.0.0.1", controller.server.port, controller.token()) == "node-2"
    assert identity.node == "node-2"
    agent = controller.agents.get("node-2")
    assert agent
    pem = (identity.directory / "agent.pem").read_text().partition("-----BEGIN CERTIFICATE-----")
    assert [each.fingerprint for each in agent.certificates] == [fingerprint((pem[1] + pem[2]).encode())]


def test_a_token_enrols_one_agent(controller: Controller, identity: AgentIdentity, tmp_path: Path) -> None:
    token = controller.token()
    enrol(identity, "127.0.0.1", controller.server.port, token)
    another = AgentIdentity(tmp_path / "other", lambda: datetime.now(UTC))
    with pytest.raises(
        PermanentError, match="does not accept the token: it was used, or is older than an hour"
    ):
        enrol(another, "127.0.0.1", controller.server.port, token)
    assert not another.exists


def test_a_token_that_has_ended_enrols_none(controller: Controller, identity: AgentIdentity) -> None:
    token = controller.token()
    controller.clock.ahead = timedelta(hours=1)
    with pytest.raises(PermanentError, match="does not accept the token"):
        enrol(identity, "127.0.0.1", controller.server.port, token)
    assert not identity.exists


def test_a_token_of_another_node_enrols_none(controller: Controller, identity: AgentIdentity) -> None:
    token = controller.token().replace("node-2", "node-3")
    with pytest.raises(PermanentError, match="does not accept the token"):
        enrol(identity, "127.0.0.1", controller.server.port, token)


def test_the_node_is_that_of_the_token_whatever_the_request_says(controller: Controller) -> None:
    from cryptography import x509
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.serialization import Encoding
    from cryptography.x509.oid import NameOID

    from reconciler.certificates.self_signed import load_key

    asked = (
        x509.CertificateSigningRequestBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "controller")]))
        .add_extension(
            x509.SubjectAlternativeName([x509.DNSName("node-3.agents.vault.internal")]), critical=False
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(load_key(new_key()), SHA256())
        .public_bytes(Encoding.PEM)
        .decode()
    )
    status, said = controller.post(json.dumps({"token": controller.token(), "request": asked}).encode())
    assert status == 200
    made = x509.load_pem_x509_certificate(json.loads(said)["certificate"].encode())
    names = made.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["node-2.agents.vault.internal"]
    assert made.extensions.get_extension_for_class(x509.BasicConstraints).value.ca is False
    assert made.subject.rfc4514_string() == "CN=agent node-2"


def test_a_token_is_sent_to_no_server_of_another_authority(
    controller: Controller, identity: AgentIdentity, tmp_path: Path
) -> None:
    """One that took the address of the controller."""
    token = controller.token()
    with controller_in(tmp_path / "thief") as thief:
        heard: list[str] = []
        thief.agents.redeem = lambda text, issue: heard.append(text)  # type: ignore[method-assign]
        with pytest.raises(PermanentError, match="is not the controller that printed the token"):
            enrol(identity, "127.0.0.1", thief.server.port, token)
        assert heard == []
    assert enrol(identity, "127.0.0.1", controller.server.port, token)


def test_a_token_is_sent_to_no_server_that_only_knows_the_authority(
    controller: Controller, identity: AgentIdentity, tmp_path: Path
) -> None:
    """Its certificate is public: a server that shows it has to have one of it."""
    token = controller.token()
    with controller_in(tmp_path / "thief") as thief:
        (thief.directory / AUTHORITY).write_bytes((controller.directory / AUTHORITY).read_bytes())
        with pytest.raises(ProxyError, match="shows a certificate that is not accepted"):
            enrol(identity, "127.0.0.1", thief.server.port, token)
    assert enrol(identity, "127.0.0.1", controller.server.port, token)


def test_a_token_is_sent_to_no_agent(controller: Controller, identity: AgentIdentity, tmp_path: Path) -> None:
    """Which has a certificate of the authority, too."""
    from reconciler.certificates.agents import sign_agent

    key = new_key()
    theirs = sign_agent(controller.directory, "node-9", node_request(key), datetime.now(UTC))
    with controller_in(tmp_path / "thief") as thief:
        (thief.directory / AUTHORITY).write_bytes((controller.directory / AUTHORITY).read_bytes())
        (thief.directory / "enrolment.key").write_text(key)
        (thief.directory / "enrolment.crt").write_bytes(theirs)
        with pytest.raises(ProxyError, match="Hostname mismatch"):
            enrol(identity, "127.0.0.1", thief.server.port, controller.token())


@pytest.mark.parametrize("token", ["", "x", "vaultagent_node-2_x_y", "vault_0123_secret"])
def test_what_is_no_token_is_not_sent(identity: AgentIdentity, token: str) -> None:
    with pytest.raises(PermanentError, match="no token of an agent"):
        enrol(identity, "127.0.0.1", 1, token)


@pytest.mark.parametrize(
    "body",
    [b"", b"x", b"{}", b"[]", b'{"token": 1, "request": ""}', b'{"token": "", "request": "", "more": 1}'],
)
def test_garbage_enrols_none(controller: Controller, body: bytes) -> None:
    assert controller.post(body) == (400, b'{"error":"the request is not understood"}')


def test_a_long_body_is_not_read(controller: Controller) -> None:
    assert controller.post(b" " * 40_000)[0] == 413


def test_a_request_that_cannot_be_signed_leaves_the_token(
    controller: Controller, identity: AgentIdentity
) -> None:
    token = controller.token()
    status, said = controller.post(json.dumps({"token": token, "request": "x"}).encode())
    assert (status, b"cannot be read" in said) == (400, True)
    assert enrol(identity, "127.0.0.1", controller.server.port, token)


def test_the_server_shows_a_renewed_certificate(controller: Controller, identity: AgentIdentity) -> None:
    def shown() -> str:
        context = ssl.create_default_context(cafile=str(controller.directory / AUTHORITY))
        bare = socket.create_connection(("127.0.0.1", controller.server.port), timeout=20)
        with context.wrap_socket(bare, server_hostname=ENROLMENT_NAME) as connection:
            return hashlib.sha256(connection.getpeercert(binary_form=True) or b"").hexdigest()

    before = shown()
    # As when it is in the second half of its life.
    (controller.directory / "enrolment.crt").unlink()
    keep_controller(controller.directory, datetime.now(UTC))
    assert shown() == fingerprint((controller.directory / "enrolment.crt").read_bytes()) != before
