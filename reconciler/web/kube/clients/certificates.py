"""Clients with a certificate: TLS has verified that an authority has signed it; here its names are read.

As in Kubernetes, the common name is the user and the organisations are the groups. Certificates of this state directory
are rows of its tokens, so that they can be revoked; those of the operator's authority need a grant.
"""

from __future__ import annotations

import hashlib
from datetime import datetime
from typing import TYPE_CHECKING, Final

from cryptography import x509
from cryptography.x509.oid import NameOID

from reconciler.web.kube.clients.client import AUTHENTICATED, GROUP_PREFIX, Client, RefusedError, client_of
from reconciler.web.kube.clients.grants import Grants, checked_groups, checked_user

if TYPE_CHECKING:
    from reconciler.store.tokens import Tokens

__all__ = ["check_authorities", "client_with"]

MAX_BYTES: Final = 16 * 1024


def client_with(shown: bytes, tokens: Tokens, grants: Grants, now: datetime) -> Client:
    """The client that has shown this certificate (DER). Raises RefusedError."""
    if len(shown) > MAX_BYTES:
        raise RefusedError(f"the certificate has more than {MAX_BYTES // 1024} KiB")
    ours = tokens.find_certificate(hashlib.sha256(shown).hexdigest())
    if ours is not None:
        return client_of(ours)
    try:
        certificate = x509.load_der_x509_certificate(shown)
        names = [each.value for each in certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)]
        groups = [
            each.value for each in certificate.subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)
        ]
    except ValueError as error:
        raise RefusedError(f"the certificate cannot be read ({type(error).__name__})") from None
    serial = f"{certificate.serial_number:x}"
    if any(str(each).startswith(GROUP_PREFIX) for each in groups):
        # Only certificates of this state directory name such a group, and the row of this one is gone.
        raise RefusedError(f"the certificate {serial} was revoked, or has expired")
    if len(names) != 1:
        raise RefusedError(f"the certificate {serial} has {len(names)} common names instead of one")
    begin, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    # TLS has looked at this when the connection was made, which may have been long ago.
    if not begin <= now < end:
        raise RefusedError(f"the certificate {serial} is valid from {begin:%Y-%m-%d} to {end:%Y-%m-%d}")
    user, its = checked_user(names[0]), checked_groups(groups)
    return Client(user, (*its, AUTHENTICATED), grants.role_of(user, its), "certificate", serial, until=end)


def check_authorities(pem: bytes) -> None:
    """Raises ValueError unless it is a file of certificates of authorities."""
    found = x509.load_pem_x509_certificates(pem)
    for each in found:
        try:
            is_authority = each.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
        except x509.ExtensionNotFound:
            is_authority = False
        if not is_authority:
            name = each.subject.rfc4514_string() or f"serial number {each.serial_number:x}"
            raise ValueError(f"the certificate of {name} is not one of an authority")
