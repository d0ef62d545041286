"""The certificate of the Kubernetes API: an authority of the state directory, and a certificate that it signs.

Clients trust the authority, whose certificate is in each kubeconfig, so the server's own may be renewed at any time.
"""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from reconciler import files
from reconciler.certificates.self_signed import BACKDATED, LIFE, load_key, new_key

if TYPE_CHECKING:
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey

__all__ = ["AUTHORITY", "CERTIFICATE", "KEY", "Issued", "ensure", "host_names", "issue_client"]

AUTHORITY: Final = "ca.crt"
CERTIFICATE: Final = "tls.crt"
KEY: Final = "tls.key"
AUTHORITY_LIFE: Final = timedelta(days=3650)
_AUTHORITY_KEY: Final = "ca.key"


def ensure(directory: Path, names: Collection[str], now: datetime) -> None:
    """Create what is missing or ends in less than half of its life. `names` are host names and addresses of the server.

    Raises OSError.
    """
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    authority, authority_key = _pair(directory, AUTHORITY, _AUTHORITY_KEY)
    if authority is None or authority_key is None or _is_old(authority, now):
        authority_key = load_key(new_key())
        authority = _signed(
            "vault-reconciler API", None, authority_key, authority_key, AUTHORITY_LIFE, (), now
        )
        _write(directory, AUTHORITY, _AUTHORITY_KEY, authority, authority_key)
    certificate, _key = _pair(directory, CERTIFICATE, KEY)
    if (
        certificate is None
        or _is_old(certificate, now)
        or certificate.issuer != authority.subject
        or not _is_signed_by(certificate, authority)
        or not set(names) <= _names_of(certificate)
    ):
        key = load_key(new_key())
        certificate = _signed("vault-reconciler API server", authority, key, authority_key, LIFE, names, now)
        _write(directory, CERTIFICATE, KEY, certificate, key)


@dataclass(frozen=True)
class Issued:
    """A client certificate and its key (PEM), and its fingerprint, which is the SHA-256 of its DER form in hex."""

    certificate: bytes
    key: bytes = field(repr=False)
    fingerprint: str


def issue_client(directory: Path, user: str, group: str, life: timedelta, now: datetime) -> Issued | None:
    """A client certificate of the authority of this directory; None while there is none."""
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.serialization import Encoding

    authority, authority_key = _pair(directory, AUTHORITY, _AUTHORITY_KEY)
    if authority is None or authority_key is None:
        return None
    text = new_key()
    certificate = _signed(user, authority, load_key(text), authority_key, life, (), now, group)
    fingerprint = certificate.fingerprint(SHA256()).hex()
    return Issued(certificate.public_bytes(Encoding.PEM), text.encode(), fingerprint)


def _pair(
    directory: Path, certificate: str, key: str
) -> tuple[x509.Certificate | None, EllipticCurvePrivateKey | None]:
    from cryptography import x509

    try:
        found = x509.load_pem_x509_certificate((directory / certificate).read_bytes())
        return found, load_key((directory / key).read_text())
    except (OSError, ValueError):
        return None, None


def _signed(
    name: str,
    authority: x509.Certificate | None,
    key: EllipticCurvePrivateKey,
    signing_key: EllipticCurvePrivateKey,
    life: timedelta,
    names: Iterable[str],
    now: datetime,
    group: str = "",
) -> x509.Certificate:
    """A certificate for these names, or of a client in a group; without an authority, that of one."""
    from cryptography import x509
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

    is_authority = authority is None
    attributes = [x509.NameAttribute(NameOID.COMMON_NAME, name)]
    if group:
        attributes.insert(0, x509.NameAttribute(NameOID.ORGANIZATION_NAME, group))
    subject = x509.Name(attributes)
    issuer = subject if authority is None else authority.subject
    usage = dict.fromkeys(
        (
            "content_commitment",
            "key_encipherment",
            "data_encipherment",
            "key_agreement",
            "encipher_only",
            "decipher_only",
        ),
        False,
    )
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - BACKDATED)
        .not_valid_after(now + life)
        .add_extension(
            x509.BasicConstraints(ca=is_authority, path_length=0 if is_authority else None), critical=True
        )
        .add_extension(
            x509.KeyUsage(
                digital_signature=not is_authority, key_cert_sign=is_authority, crl_sign=is_authority, **usage
            ),
            critical=True,
        )
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(signing_key.public_key()), critical=False
        )
    )
    if group:
        builder = builder.add_extension(
            x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False
        )
    elif not is_authority:
        builder = builder.add_extension(
            x509.SubjectAlternativeName(list(map(_general_name, sorted(names)))), critical=False
        ).add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
    return builder.sign(signing_key, SHA256())


def _general_name(name: str) -> x509.GeneralName:
    from cryptography import x509

    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _names_of(certificate: x509.Certificate) -> set[str]:
    from cryptography import x509

    names: Any = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return {str(each.value) for each in names}


def _is_old(certificate: x509.Certificate, now: datetime) -> bool:
    begin, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    return not begin <= now < begin + (end - begin) / 2


def _is_signed_by(certificate: x509.Certificate, authority: x509.Certificate) -> bool:
    from cryptography.exceptions import InvalidSignature

    try:
        certificate.verify_directly_issued_by(authority)
    except (InvalidSignature, ValueError, TypeError):
        return False
    return True


def _write(
    directory: Path, name: str, key_name: str, certificate: x509.Certificate, key: EllipticCurvePrivateKey
) -> None:
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    secret = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    # The certificate last: one without its key counts as missing.
    files.replace(directory / key_name, secret, durable=True)
    files.replace(directory / name, certificate.public_bytes(Encoding.PEM), durable=True)


def host_names(host: str) -> frozenset[str]:
    """The names that a server on this address may be asked by."""
    own = {"localhost", "127.0.0.1", "::1", os.uname().nodename}
    return frozenset(own if host in ("0.0.0.0", "::") else own | {host})
