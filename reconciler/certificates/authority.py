"""An authority of our own in a directory, and the certificates that it signs: of servers, or of clients.

A certificate is for one of the two, so that what serves cannot act as a client, and a client cannot serve.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from reconciler import files
from reconciler.certificates.self_signed import BACKDATED, load_key, new_key

if TYPE_CHECKING:
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey, EllipticCurvePublicKey

__all__ = [
    "AUTHORITY",
    "Authority",
    "find_authority",
    "is_signed_by",
    "keep_authority",
    "read_pair",
    "write_pair",
]

AUTHORITY: Final = "ca.crt"
AUTHORITY_LIFE: Final = timedelta(days=3650)
_AUTHORITY_KEY: Final = "ca.key"


@dataclass(frozen=True)
class Authority:
    """Signs certificates with its key."""

    certificate: x509.Certificate
    key: EllipticCurvePrivateKey = field(repr=False)

    def server(
        self, name: str, key: EllipticCurvePublicKey, names: Iterable[str], life: timedelta, now: datetime
    ) -> x509.Certificate:
        """A certificate of the server that has this key, for these host names and addresses."""
        return _signed(name, self.certificate, key, self.key, life, names, now)

    def client(
        self,
        user: str,
        group: str,
        key: EllipticCurvePublicKey,
        life: timedelta,
        now: datetime,
        unit: str = "",
    ) -> x509.Certificate:
        """A certificate of the client that has this key, a user in a group, and in a unit of that."""
        return _signed(user, self.certificate, key, self.key, life, (), now, group, unit)

    def is_current(self, certificate: x509.Certificate | None, names: Collection[str], now: datetime) -> bool:
        """Whether a certificate is one of its own, has these names, and is in the first half of its life."""
        return (
            certificate is not None
            and not _is_old(certificate, now)
            and certificate.issuer == self.certificate.subject
            and is_signed_by(certificate, self.certificate)
            and set(names) <= _names_of(certificate)
        )


def is_signed_by(certificate: x509.Certificate, authority: x509.Certificate) -> bool:
    """Whether an authority with this certificate has signed the other one."""
    from cryptography.exceptions import InvalidSignature

    try:
        certificate.verify_directly_issued_by(authority)
    except (InvalidSignature, ValueError, TypeError):
        return False
    return True


def find_authority(directory: Path) -> Authority | None:
    """The authority of a directory; None while there is none that can be used."""
    certificate, key = read_pair(directory, AUTHORITY, _AUTHORITY_KEY)
    return Authority(certificate, key) if certificate is not None and key is not None else None


def keep_authority(directory: Path, name: str, now: datetime) -> Authority:
    """The authority of a directory, made if there is none, or if it is in the second half of its life. Raises OSError."""
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    found = find_authority(directory)
    if found is not None and not _is_old(found.certificate, now):
        return found
    key = load_key(new_key())
    certificate = _signed(name, None, key.public_key(), key, AUTHORITY_LIFE, (), now)
    write_pair(directory, AUTHORITY, _AUTHORITY_KEY, certificate, key)
    return Authority(certificate, key)


def read_pair(
    directory: Path, certificate: str, key: str
) -> tuple[x509.Certificate | None, EllipticCurvePrivateKey | None]:
    """A certificate and its key, by the names of their files; None for both if one of them cannot be used."""
    from cryptography import x509

    try:
        found = x509.load_pem_x509_certificate((directory / certificate).read_bytes())
        return found, load_key((directory / key).read_text())
    except (OSError, ValueError):
        return None, None


def write_pair(
    directory: Path, name: str, key_name: str, certificate: x509.Certificate, key: EllipticCurvePrivateKey
) -> None:
    """Write a certificate and its key into files of these names, private and durable. Raises OSError."""
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    secret = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    # The certificate last: one without its key counts as missing.
    files.replace(directory / key_name, secret, durable=True)
    files.replace(directory / name, certificate.public_bytes(Encoding.PEM), durable=True)


def _signed(
    name: str,
    authority: x509.Certificate | None,
    key: EllipticCurvePublicKey,
    signing_key: EllipticCurvePrivateKey,
    life: timedelta,
    names: Iterable[str],
    now: datetime,
    group: str = "",
    unit: str = "",
) -> x509.Certificate:
    """A certificate for these names, or of a client in a group; without an authority, that of one."""
    from cryptography import x509
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

    is_authority = authority is None
    attributes = [x509.NameAttribute(NameOID.COMMON_NAME, name)]
    if group:
        attributes.insert(0, x509.NameAttribute(NameOID.ORGANIZATION_NAME, group))
    if unit:
        attributes.insert(1, x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, unit))
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
        .public_key(key)
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
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
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

    try:
        names: Any = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return set()
    return {str(each.value) for each in names}


def _is_old(certificate: x509.Certificate, now: datetime) -> bool:
    begin, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    return not begin <= now < begin + (end - begin) / 2
