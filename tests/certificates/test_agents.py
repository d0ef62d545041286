"""The certificates of the controller and its agents: each for one role, one node and one key, and for a short time."""

from __future__ import annotations

import base64
import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from reconciler.certificates import agents, serving
from reconciler.certificates.agents import (
    AUTHORITY,
    CONTROLLER_CERTIFICATE,
    CONTROLLER_KEY,
    ENROLMENT_CERTIFICATE,
    LIFE,
    check_controller,
    issued_for,
    keep_controller,
    node_request,
    sign_agent,
)
from reconciler.certificates.errors import PeerError
from reconciler.certificates.self_signed import new_key

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    assert keep_controller(tmp_path / "agents", NOW)
    return tmp_path / "agents"


def shown(pem: bytes) -> bytes:
    return ssl.PEM_cert_to_DER_cert(pem.decode())


def test_what_is_secret_is_readable_by_its_owner_only(directory: Path) -> None:
    assert directory.stat().st_mode & 0o777 == 0o700
    assert {each.stat().st_mode & 0o777 for each in directory.iterdir()} == {0o600}


def test_the_controller_is_renewed_at_half_of_its_life_by_the_same_authority(directory: Path) -> None:
    def contents() -> list[bytes]:
        return [
            (directory / name).read_bytes() for name in (AUTHORITY, CONTROLLER_CERTIFICATE, CONTROLLER_KEY)
        ]

    first = contents()
    assert not keep_controller(directory, NOW + LIFE * 0.49)
    assert contents() == first
    assert keep_controller(directory, NOW + LIFE * 0.51)
    second = contents()
    assert second[0] == first[0]
    assert (second[1] != first[1], second[2] != first[2]) == (True, True)


def test_an_agent_gets_a_certificate_for_its_own_key_and_node(directory: Path) -> None:
    key, authority = new_key(), (directory / AUTHORITY).read_bytes()
    certificate = sign_agent(directory, "node-2", node_request(key), NOW)
    assert issued_for(certificate, key, authority, NOW) == "node-2"
    assert agents.ends(certificate) == NOW + LIFE


@pytest.mark.parametrize("node", ["", "Node", "a.b", "-a", "a" * 64, "a\n", "*"])
def test_what_is_no_name_of_a_node_gets_no_certificate(directory: Path, node: str) -> None:
    with pytest.raises(PeerError, match="cannot be the name of a node"):
        sign_agent(directory, node, node_request(new_key()), NOW)


@pytest.mark.parametrize("request_", [b"", b"x", b"-----BEGIN CERTIFICATE REQUEST-----\n\n", b"x" * 100_000])
def test_what_is_no_request_gets_no_certificate(directory: Path, request_: bytes) -> None:
    with pytest.raises(PeerError, match="signing request"):
        sign_agent(directory, "a", request_, NOW)


def test_a_request_with_another_kind_of_key_gets_no_certificate(directory: Path) -> None:
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.serialization import Encoding

    builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([]))
    weak = builder.sign(ec.generate_private_key(ec.SECP192R1()), SHA256()).public_bytes(Encoding.PEM)
    with pytest.raises(PeerError, match="P-256"):
        sign_agent(directory, "a", weak, NOW)


def test_a_request_with_a_curve_that_is_not_known_gets_no_certificate(directory: Path) -> None:
    from cryptography import x509
    from cryptography.hazmat.primitives.serialization import Encoding

    known = x509.load_pem_x509_csr(node_request(new_key())).public_bytes(Encoding.DER)
    p256, other = bytes.fromhex("2a8648ce3d030107"), bytes.fromhex("2a8648ce3d03017f")
    assert p256 in known
    content = base64.encodebytes(known.replace(p256, other))
    mark = b"-----%s CERTIFICATE REQUEST-----\n"
    with pytest.raises(PeerError, match="cannot be read"):
        sign_agent(directory, "a", mark % b"BEGIN" + content + mark % b"END", NOW)


def test_an_agent_takes_no_certificate_that_is_not_its_own(directory: Path, tmp_path: Path) -> None:
    key, authority = new_key(), (directory / AUTHORITY).read_bytes()
    mine = sign_agent(directory, "a", node_request(key), NOW)
    with pytest.raises(PeerError, match="not for the key"):
        issued_for(sign_agent(directory, "a", node_request(new_key()), NOW), key, authority, NOW)
    with pytest.raises(PeerError, match="is valid from"):
        issued_for(mine, key, authority, NOW + LIFE)
    with pytest.raises(PeerError, match="is valid from"):
        issued_for(mine, key, authority, NOW - timedelta(days=1))
    for name in (CONTROLLER_CERTIFICATE, ENROLMENT_CERTIFICATE):
        with pytest.raises(PeerError, match="not that of an agent"):
            issued_for((directory / name).read_bytes(), key, authority, NOW)
    with pytest.raises(PeerError, match="cannot be read"):
        issued_for(b"x", key, authority, NOW)
    keep_controller(tmp_path / "other", NOW)
    with pytest.raises(PeerError, match="authority"):
        issued_for(sign_agent(tmp_path / "other", "a", node_request(key), NOW), key, authority, NOW)


def test_only_the_certificate_of_the_controller_is_that_of_the_controller(directory: Path) -> None:
    controller = shown((directory / CONTROLLER_CERTIFICATE).read_bytes())
    check_controller(controller, NOW)
    for late in (NOW + LIFE, NOW - timedelta(days=1)):
        with pytest.raises(PeerError, match="is valid from"):
            check_controller(controller, late)
    agent = shown(sign_agent(directory, "controller", node_request(new_key()), NOW))
    client = serving.issue_client(directory, "controller", "vault:admin", LIFE, NOW)
    assert client
    for other in (agent, shown(client.certificate), shown((directory / ENROLMENT_CERTIFICATE).read_bytes())):
        with pytest.raises(PeerError, match="not that of a controller"):
            check_controller(other, NOW)
    with pytest.raises(PeerError, match="cannot be read"):
        check_controller(b"x", NOW)
