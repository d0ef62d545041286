"""The certificate of the Kubernetes API: an authority of the state directory, and a certificate that it signs.

Clients trust the authority, whose certificate is in each kubeconfig, so the server's own may be renewed at any time.
"""

from __future__ import annotations

import os
from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from reconciler.certificates.authority import (
    AUTHORITY,
    find_authority,
    keep_authority,
    read_pair,
    write_pair,
)
from reconciler.certificates.self_signed import LIFE, load_key, new_key

__all__ = ["AUTHORITY", "CERTIFICATE", "KEY", "Issued", "ensure", "host_names", "issue_client"]

CERTIFICATE: Final = "tls.crt"
KEY: Final = "tls.key"


def ensure(directory: Path, names: Collection[str], now: datetime) -> None:
    """Create what is missing or ends in less than half of its life. `names` are host names and addresses of the server.

    Raises OSError.
    """
    authority = keep_authority(directory, "vault-reconciler API", now)
    certificate, _key = read_pair(directory, CERTIFICATE, KEY)
    if not authority.is_current(certificate, names, now):
        key = load_key(new_key())
        certificate = authority.server("vault-reconciler API server", key.public_key(), names, LIFE, now)
        write_pair(directory, CERTIFICATE, KEY, certificate, key)


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

    authority = find_authority(directory)
    if authority is None:
        return None
    text = new_key()
    certificate = authority.client(user, group, load_key(text).public_key(), life, now)
    fingerprint = certificate.fingerprint(SHA256()).hex()
    return Issued(certificate.public_bytes(Encoding.PEM), text.encode(), fingerprint)


def host_names(host: str) -> frozenset[str]:
    """The names that a server on this address may be asked by."""
    own = {"localhost", "127.0.0.1", "::1", os.uname().nodename}
    return frozenset(own if host in ("0.0.0.0", "::") else own | {host})
