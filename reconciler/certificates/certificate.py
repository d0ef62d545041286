"""A certificate as a value, read from PEM: its names, its time, its issuer, and that its key fits.

What is read is written anew before anything else uses it, so that comments, empty lines and other blocks of a user's file
reach neither the store nor HAProxy. No message quotes the content of a file: one that was named by mistake may be a secret.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from itertools import pairwise
from typing import TYPE_CHECKING, Final, TypeVar

from reconciler.certificates.errors import CertificateError, Why

if TYPE_CHECKING:
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes

__all__ = ["MAX_PEM_BYTES", "Bundle", "Certificate", "check_time", "covers", "read_bundle", "uncovered"]

MAX_PEM_BYTES: Final = 12 * 1024
"""Bytes of chain and key together: HAProxy takes them over its socket in one buffer."""
MIN_RSA_BITS: Final = 2048
MAX_SHOWN: Final = 4

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Certificate:
    """What is public about a certificate. `fingerprints` are SHA-256 digests of it and of its chain, itself first;
    `renewal_id` identifies it when a server is asked about its renewal (RFC 9773), empty for one without an authority.
    """

    names: frozenset[str]
    not_before: datetime
    not_after: datetime
    issuer: str
    serial: str
    fingerprints: tuple[str, ...]
    self_signed: bool = False
    renewal_id: str = ""

    def covers(self, host: str) -> bool:
        """Whether a client that asks for this host accepts its names."""
        return covers(self.names, host)


@dataclass(frozen=True, slots=True)
class Bundle:
    """A certificate with its chain and its private key, which no representation shows."""

    certificate: Certificate
    chain: str
    key: str = field(repr=False)

    @property
    def pem(self) -> str:
        """The text that HAProxy reads: the certificate, its chain, its key."""
        return self.chain + self.key


def covers(names: Iterable[str], host: str) -> bool:
    """Whether one of the names of a certificate stands for this host; a `*` stands for one label."""
    known = set(names)
    if host in known:
        return True
    label, _, parent = host.partition(".")
    return label != "*" and bool(parent) and f"*.{parent}" in known


def uncovered(certificate: Certificate, hosts: Iterable[str]) -> tuple[str, ...]:
    """The hosts that a certificate is not for."""
    return tuple(host for host in hosts if not certificate.covers(host))


def check_time(certificate: Certificate, now: datetime, place: str) -> None:
    """Raise CertificateError if a certificate has ended or is not valid yet; `place` is its file."""
    if now >= certificate.not_after:
        message = f"{place}: the certificate ended on {certificate.not_after:%Y-%m-%d %H:%M} UTC; put a renewed one there"
        raise CertificateError(message, Why.ENDED)
    if now < certificate.not_before:
        message = (
            f"{place}: the certificate is not valid before {certificate.not_before:%Y-%m-%d %H:%M} UTC; check the clock "
            "of this machine, or put back the former one until then"
        )
        raise CertificateError(message, Why.NOT_YET_VALID)


def read_bundle(chain: bytes, key: bytes, place: str, key_place: str = "") -> Bundle:
    """The bundle of a chain and a key in PEM; the places are the files for messages. Raises CertificateError."""
    key_place = key_place or place
    loaded = _parsed(
        lambda: _certificates(chain),
        place,
        "a certificate in PEM",
        "name the file that begins with the certificate",
    )
    private = _private_key(key, key_place)
    certificate = _parsed(
        lambda: _described(loaded),
        place,
        "a certificate that can be understood",
        "ask its issuer for another one",
    )
    _check_key(loaded, private, place, key_place)
    _check_order(loaded, place)
    if not certificate.names:
        message = f"{place}: the certificate has no DNS names (subjectAltName); get one that has"
        raise CertificateError(message, Why.NAMES_DIFFER)
    bundle = Bundle(certificate, "".join(map(_pem, loaded)), _key_pem(private))
    if (size := len(bundle.pem)) > MAX_PEM_BYTES:
        message = (
            f"{place}: the certificate, its chain and its key have {size} bytes, and HAProxy takes {MAX_PEM_BYTES}; "
            "remove root certificates from the chain, or use an EC key"
        )
        raise CertificateError(message, Why.TOO_LARGE)
    return bundle


def _parsed(parse: Callable[[], T], place: str, wanted: str, advice: str) -> T:
    try:
        return parse()
    except CertificateError:
        raise
    # The library documents no closed set of errors for what an attacker may have written.
    except Exception:
        raise CertificateError(f"{place}: is not {wanted}; {advice}", Why.UNREADABLE) from None


def _certificates(chain: bytes) -> list[x509.Certificate]:
    from cryptography import x509

    return x509.load_pem_x509_certificates(chain)


def _private_key(key: bytes, place: str) -> PrivateKeyTypes:
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        return load_pem_private_key(key, password=None)
    except TypeError:
        message = f"{place}: the private key is encrypted; write it without a passphrase, at mode 0600"
        raise CertificateError(message, Why.UNREADABLE) from None
    # As above.
    except Exception:
        message = f"{place}: is not a private key in PEM; name the file with the key of the certificate"
        raise CertificateError(message, Why.UNREADABLE) from None


def _described(loaded: list[x509.Certificate]) -> Certificate:
    from cryptography.hazmat.primitives.hashes import SHA256

    leaf = loaded[0]
    return Certificate(
        names=frozenset(_names(leaf)),
        not_before=leaf.not_valid_before_utc,
        not_after=leaf.not_valid_after_utc,
        issuer=leaf.issuer.rfc4514_string(),
        serial=f"{leaf.serial_number:x}",
        fingerprints=tuple(each.fingerprint(SHA256()).hex() for each in loaded),
        self_signed=leaf.issuer == leaf.subject,
        renewal_id=_renewal_id(leaf),
    )


def _names(leaf: x509.Certificate) -> list[str]:
    from cryptography import x509

    try:
        found = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except x509.ExtensionNotFound:
        return []
    return [name.lower() for name in found.value.get_values_for_type(x509.DNSName)]


def _renewal_id(leaf: x509.Certificate) -> str:
    from cryptography import x509

    try:
        authority = leaf.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value.key_identifier
    except x509.ExtensionNotFound:
        return ""
    if not authority or leaf.serial_number <= 0:
        return ""
    # As in DER: with a zero byte in front when the first bit is set.
    serial = leaf.serial_number.to_bytes(leaf.serial_number.bit_length() // 8 + 1, "big")
    return f"{_base64(authority)}.{_base64(serial)}"


def _base64(content: bytes) -> str:
    from base64 import urlsafe_b64encode

    return urlsafe_b64encode(content).rstrip(b"=").decode()


def _check_key(loaded: list[x509.Certificate], private: PrivateKeyTypes, place: str, key_place: str) -> None:
    from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa

    if not isinstance(
        private,
        rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey | ed448.Ed448PrivateKey,
    ):
        message = f"{key_place}: no browser takes a key of this kind; use an EC or RSA key"
        raise CertificateError(message, Why.WEAK_KEY)
    if isinstance(private, rsa.RSAPrivateKey) and private.key_size < MIN_RSA_BITS:
        message = f"{key_place}: an RSA key of {private.key_size} bits is too weak; use {MIN_RSA_BITS} bits or an EC key"
        raise CertificateError(message, Why.WEAK_KEY)
    fitting = [each for each in loaded if _parsed_key(each) == _public(private)]
    if loaded[0] in fitting:
        return
    if fitting:
        message = f"{place}: the chain is in the wrong order; write the certificate of the key first"
        raise CertificateError(message, Why.UNREADABLE)
    message = (
        f"{key_place}: the key does not fit the certificate in {place}; name the key that it was made with"
    )
    raise CertificateError(message, Why.KEY_DIFFERS)


def _parsed_key(certificate: x509.Certificate) -> bytes | None:
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    try:
        return certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    # A key of a kind that the library does not know fits none that it does.
    except Exception:
        return None


def _public(private: PrivateKeyTypes) -> bytes:
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    return private.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def _check_order(loaded: list[x509.Certificate], place: str) -> None:
    for lower, upper in pairwise(loaded):
        if lower.issuer != upper.subject:
            message = (
                f"{place}: the chain is in the wrong order; after the certificate write that of its issuer, then that "
                "one's issuer"
            )
            raise CertificateError(message, Why.UNREADABLE)


def _pem(certificate: x509.Certificate) -> str:
    from cryptography.hazmat.primitives.serialization import Encoding

    return certificate.public_bytes(Encoding.PEM).decode()


def _key_pem(private: PrivateKeyTypes) -> str:
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    return private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
