"""Makes keys, signing requests, and certificates that no authority has signed.

For names below localhost and test, which no authority would sign; for a gateway's default, which clients meet that ask for
an unknown name; and for the answer to tls-alpn-01 (RFC 8737), which only the ACME server meets.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from hashlib import sha256
from typing import TYPE_CHECKING, Final

from reconciler.certificates.certificate import Bundle, read_bundle

if TYPE_CHECKING:
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey

__all__ = [
    "DEFAULT_NAME",
    "LIFE",
    "challenge_certificate",
    "load_key",
    "new_key",
    "self_signed",
    "signing_request",
]

LIFE: Final = timedelta(days=397)
"""As long as browsers accept a certificate for that a user has trusted."""
CHALLENGE_LIFE: Final = timedelta(days=7)
BACKDATED: Final = timedelta(hours=1)
"""A client whose clock is behind accepts a new certificate as well."""
DEFAULT_NAME: Final = "gateway.invalid"

_ACME_IDENTIFIER: Final = "1.3.6.1.5.5.7.1.31"


def new_key() -> str:
    """A new private key (ECDSA P-256) in PEM."""
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    key = ec.generate_private_key(ec.SECP256R1())
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def signing_request(key: str, names: Iterable[str]) -> bytes:
    """The request (PKCS #10, PEM) for a certificate with these names."""
    from cryptography import x509
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.serialization import Encoding

    builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([]))
    builder = builder.add_extension(_alternative_names(names), critical=False)
    return builder.sign(load_key(key), SHA256()).public_bytes(Encoding.PEM)


def self_signed(names: Iterable[str], now: datetime, life: timedelta = LIFE) -> Bundle:
    """A new key and a certificate for these names that it signs itself."""
    return _bundle(names, now, life, ())


def challenge_certificate(name: str, answer: str, now: datetime) -> Bundle:
    """The certificate that answers tls-alpn-01 for a name: it holds the digest of the key authorization."""
    from cryptography import x509

    # An OCTET STRING of 32 bytes in DER.
    value = b"\x04\x20" + sha256(answer.encode()).digest()
    extension = x509.UnrecognizedExtension(x509.ObjectIdentifier(_ACME_IDENTIFIER), value)
    return _bundle([name], now, CHALLENGE_LIFE, [extension])


def _bundle(
    names: Iterable[str], now: datetime, life: timedelta, critical: Iterable[x509.ExtensionType]
) -> Bundle:
    from cryptography import x509
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.serialization import Encoding
    from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

    text = new_key()
    key = load_key(text)
    # Browsers and keychains tell such certificates apart by this name.
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "vault-reconciler self-signed")])
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - BACKDATED)
        .not_valid_after(now + life)
        .add_extension(_alternative_names(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
    )
    for extension in critical:
        builder = builder.add_extension(extension, critical=True)
    signed = builder.sign(key, SHA256()).public_bytes(Encoding.PEM)
    return read_bundle(signed, text.encode(), "the new certificate")


def _alternative_names(names: Iterable[str]) -> x509.SubjectAlternativeName:
    from cryptography import x509

    return x509.SubjectAlternativeName([x509.DNSName(name) for name in sorted(names)])


def load_key(key: str) -> EllipticCurvePrivateKey:
    """The key of a PEM text. Raises ValueError for any other one than `new_key` makes."""
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    loaded = load_pem_private_key(key.encode(), password=None)
    if not isinstance(loaded, EllipticCurvePrivateKey):
        raise ValueError("not an EC key")
    return loaded
