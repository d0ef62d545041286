"""The certificates with which the controller and its agents know each other: an authority that signs nothing else.

An agent serves and the controller asks, so an agent's certificate is that of a server with the name of its node, and the
controller's is that of a client. Neither can be used in the other role, nor for another node. They are short-lived and
renewed in the middle of their life; a node's key is made on the node and never leaves it.

The controller's says in which term of a Swarm's lease it was issued, so that an agent can tell a former holder from the one
that acts. It is in the certificate because that covers each connection, also those that are led to the engine.
"""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Final

from reconciler.certificates.authority import (
    AUTHORITY,
    Authority,
    find_authority,
    is_signed_by,
    keep_authority,
    read_pair,
    write_pair,
)
from reconciler.certificates.errors import PeerError
from reconciler.certificates.self_signed import load_key, new_key, signing_request

if TYPE_CHECKING:
    from cryptography import x509

__all__ = [
    "AUTHORITY",
    "CONTROLLER_CERTIFICATE",
    "CONTROLLER_KEY",
    "ENROLMENT_CERTIFICATE",
    "ENROLMENT_KEY",
    "ENROLMENT_NAME",
    "LIFE",
    "agent_name",
    "begins",
    "check_controller",
    "ends",
    "fingerprint",
    "issued_for",
    "keep_controller",
    "node_request",
    "sign_agent",
]

LIFE: Final = timedelta(days=7)
"""Of every certificate here but the authority's: a controller that is away for half of it loses no agent."""
CONTROLLER_CERTIFICATE: Final = "controller.crt"
CONTROLLER_KEY: Final = "controller.key"
ENROLMENT_CERTIFICATE: Final = "enrolment.crt"
ENROLMENT_KEY: Final = "enrolment.key"
ENROLMENT_NAME: Final = "enrolment.vault.internal"
"""The name of the server that enrols agents; no node can have it."""
MAX_PEM: Final = 16 * 1024
"""Bytes of a signing request or of a certificate that another machine sends."""

_DOMAIN: Final = "agents.vault.internal"
_CONTROLLER: Final = "controller"
_GROUP: Final = "vault:controllers"
_AUTHORITY_NAME: Final = "vault-reconciler agents"
_TERM: Final = re.compile(r"term-([0-9]{1,18})")
_NODE: Final = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")


def agent_name(node: str) -> str:
    """The name that the certificate of a node's agent has. Raises PeerError if it cannot be the name of a node."""
    if not _NODE.fullmatch(node):
        raise PeerError(
            f"{node!r} cannot be the name of a node: lower-case letters, digits and '-', at most 63 characters"
        )
    return f"{node}.{_DOMAIN}"


def keep_controller(directory: Path, now: datetime, term: int | None = 0) -> bool:
    """Make what the controller needs and lacks, and renew what is in the second half of its life, or was issued in another
    `term` of the lease; None for a process that holds none, and may show what is there. Returns whether the certificate
    that agents are shown is a new one. Raises OSError.
    """
    authority = keep_authority(directory, _AUTHORITY_NAME, now)
    enrolment, _ = read_pair(directory, ENROLMENT_CERTIFICATE, ENROLMENT_KEY)
    if not authority.is_current(enrolment, [ENROLMENT_NAME], now):
        key = load_key(new_key())
        made = authority.server("vault-reconciler enrolment", key.public_key(), [ENROLMENT_NAME], LIFE, now)
        write_pair(directory, ENROLMENT_CERTIFICATE, ENROLMENT_KEY, made, key)
    controller, _ = read_pair(directory, CONTROLLER_CERTIFICATE, CONTROLLER_KEY)
    before = _term_of(controller) if controller else 0
    term = before if term is None else term
    if authority.is_current(controller, (), now) and term == before:
        return False
    key = load_key(new_key())
    unit = f"term-{term}" if term else ""
    made = authority.client(_CONTROLLER, _GROUP, key.public_key(), LIFE, now, unit)
    write_pair(directory, CONTROLLER_CERTIFICATE, CONTROLLER_KEY, made, key)
    return True


def node_request(key: str) -> bytes:
    """The signing request (PEM) of a node for its key; which node it is, is the controller's to say."""
    return signing_request(key, [_DOMAIN])


def sign_agent(directory: Path, node: str, request: bytes, now: datetime) -> bytes:
    """The certificate (PEM) of a node's agent for the key of its request. Raises PeerError."""
    from cryptography import x509
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePublicKey
    from cryptography.hazmat.primitives.serialization import Encoding

    authority = _authority(directory)
    try:
        if len(request) > MAX_PEM:
            raise ValueError
        asked = x509.load_pem_x509_csr(request)
        key = asked.public_key()
        is_proper = asked.is_signature_valid
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise PeerError("the signing request of an agent cannot be read") from None
    if not isinstance(key, EllipticCurvePublicKey) or not isinstance(key.curve, SECP256R1) or not is_proper:
        raise PeerError("the signing request of an agent is not signed with a P-256 key")
    return authority.server(f"agent {node}", key, [agent_name(node)], LIFE, now).public_bytes(Encoding.PEM)


def issued_for(certificate: bytes, key: str, authority: bytes, now: datetime) -> str:
    """The node that a certificate (PEM) is for, if an agent can use it: with this key, and of this authority (both PEM).
    Raises PeerError.
    """
    found, known = _certificate(certificate), _certificate(authority)
    suffix = f".{_DOMAIN}"
    (name,) = _names(found) if len(_names(found)) == 1 else ("",)
    node = name.removesuffix(suffix)
    if not name.endswith(suffix) or not _NODE.fullmatch(node):
        raise PeerError("the certificate is not that of an agent")
    if not is_signed_by(found, known):
        raise PeerError("the certificate is not one of the controller's authority")
    if found.public_key() != load_key(key).public_key():
        raise PeerError("the certificate is not for the key that was asked for")
    _check_time(found, now)
    return node


def check_controller(shown: bytes, now: datetime) -> int:
    """Check that a verified certificate (DER) is that of the controller, and valid at this moment: TLS has looked at that
    when the connection was made, which may have been long ago. Returns the term in which it was issued, 0 for one without.
    Raises PeerError.
    """
    from cryptography import x509
    from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

    try:
        found = x509.load_der_x509_certificate(shown)
        usage = found.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
        names = [each.value for each in found.subject.get_attributes_for_oid(NameOID.COMMON_NAME)]
        groups = [each.value for each in found.subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)]
    except (ValueError, x509.ExtensionNotFound):
        raise PeerError("the certificate cannot be read") from None
    if (names, groups) != ([_CONTROLLER], [_GROUP]) or list(usage) != [ExtendedKeyUsageOID.CLIENT_AUTH]:
        raise PeerError("the certificate is not that of a controller")
    _check_time(found, now)
    return _term_of(found)


def _term_of(certificate: x509.Certificate) -> int:
    from cryptography.x509.oid import NameOID

    units = certificate.subject.get_attributes_for_oid(NameOID.ORGANIZATIONAL_UNIT_NAME)
    match = _TERM.fullmatch(str(units[0].value)) if len(units) == 1 else None
    if units and match is None:
        raise PeerError("the certificate names no term of a lease")
    return int(match[1]) if match else 0


def ends(certificate: bytes) -> datetime:
    """When a certificate (PEM) ends."""
    return _certificate(certificate).not_valid_after_utc


def begins(certificate: bytes) -> datetime:
    """When a certificate (PEM) begins to be valid."""
    return _certificate(certificate).not_valid_before_utc


def fingerprint(certificate: bytes) -> str:
    """The SHA-256 of a certificate (PEM) in hex, of its DER form."""
    from cryptography.hazmat.primitives.serialization import Encoding

    return sha256(_certificate(certificate).public_bytes(Encoding.DER)).hexdigest()


def _authority(directory: Path) -> Authority:
    found = find_authority(directory)
    if found is None:
        raise PeerError(f"there is no authority for agents in {directory}; the controller makes it")
    return found


def _certificate(pem: bytes) -> x509.Certificate:
    from cryptography import x509

    try:
        if len(pem) > MAX_PEM:
            raise ValueError
        return x509.load_pem_x509_certificate(pem)
    except ValueError:
        raise PeerError("the certificate cannot be read") from None


def _names(certificate: x509.Certificate) -> list[str]:
    from cryptography import x509

    try:
        found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (ValueError, x509.ExtensionNotFound):
        return []
    return list(found.get_values_for_type(x509.DNSName))


def _check_time(certificate: x509.Certificate, now: datetime) -> None:
    begin, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    if not begin <= now < end:
        raise PeerError(f"the certificate is valid from {begin:%Y-%m-%d %H:%M} to {end:%Y-%m-%d %H:%M}")
