"""Certificates that need no authority: those of the user's files, self-signed ones, and the gateway's default.

The user's files are copied into the store when they are good, so that a bad edit of a file takes nothing away.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from datetime import datetime, timedelta
from functools import lru_cache
from pathlib import Path
from typing import Final

from reconciler.api.errors import ManifestError
from reconciler.api.text_file import MAX_BYTES, read_bytes
from reconciler.certificates.certificate import Bundle, check_time, read_bundle, uncovered
from reconciler.certificates.choosing import Held
from reconciler.certificates.errors import CertificateError, Why
from reconciler.certificates.order import file_id
from reconciler.certificates.self_signed import DEFAULT_NAME, self_signed
from reconciler.certificates.store import Store
from reconciler.certificates.troubles import Trouble
from reconciler.certificates.wanted import Source, Want

__all__ = ["default_of", "from_files", "is_default", "make_self_signed"]

DEFAULT_ID: Final = "default"
DEFAULT_LIFE: Final = timedelta(days=3650)
"""No client accepts it at any age."""
MAX_SHOWN: Final = 4


def default_of(store: Store, held: Collection[Held], now: datetime) -> Held:
    """The certificate for clients that ask for an unknown name; made when it is missing."""
    for each in held:
        if is_default(each) and each.renew_at > now:
            return each
    return store.save(Source.SELF_SIGNED, DEFAULT_ID, self_signed([DEFAULT_NAME], now, DEFAULT_LIFE))


def is_default(held: Held) -> bool:
    """Whether this is the certificate of no host."""
    return held.bundle.certificate.names == {DEFAULT_NAME}


def make_self_signed(store: Store, want: Want, held: Collection[Held], now: datetime) -> None:
    """Make the certificate of a want that has none, or whose own is to be renewed."""
    for each in held:
        if (
            each.source is Source.SELF_SIGNED
            and not uncovered(each.bundle.certificate, want.names)
            and each.renew_at > now
        ):
            return
    store.save(Source.SELF_SIGNED, file_id(*want.names), self_signed(want.names, now))


def from_files(store: Store, want: Want, held: Collection[Held], now: datetime) -> Iterator[Trouble]:
    """Copy the files of a want into the store if they are good; else tell why not, and leave the former copy."""
    try:
        bundle = _read(want)
        check_time(bundle.certificate, now, want.chain)
    except CertificateError as error:
        yield Trouble(want.names, error.why, error.message)
        return
    if other := uncovered(bundle.certificate, want.names):
        yield Trouble(other, Why.NAMES_DIFFER, _other_names(want, bundle, other))
    if not any(each.source is Source.FILES and each.bundle.pem == bundle.pem for each in held):
        store.save(Source.FILES, file_id(want.chain, want.key), bundle)


def _read(want: Want) -> Bundle:
    contents = []
    for path in (want.chain, want.key):
        try:
            contents.append(read_bytes(Path(path)))
        except ManifestError as error:
            raise CertificateError(error.message, Why.UNREADABLE) from None
        if len(contents[-1]) > MAX_BYTES:
            raise CertificateError(f"{path}: is too large to be a certificate or a key", Why.TOO_LARGE)
    return _parsed(contents[0], contents[1], want.chain, want.key)


# A pass reads all files; they change some times a year.
_parsed = lru_cache(maxsize=512)(read_bundle)


def _other_names(want: Want, bundle: Bundle, other: tuple[str, ...]) -> str:
    has = ", ".join(sorted(bundle.certificate.names)[:MAX_SHOWN])
    return (
        f"{want.chain}: the certificate is for {has}, not for {', '.join(other[:MAX_SHOWN])}; get one that names the host, "
        "or correct the route's hostnames"
    )
