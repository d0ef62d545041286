"""What can be wrong with a certificate, and with the way to a new one.

    VaultError
    ├── PermanentError
    │   ├── CertificateError      a file is no certificate that can be used; names the file, the fault and what to do
    │   └── PeerError             a certificate of the controller or of an agent is not accepted, or cannot be issued
    └── TemporaryError
        └── AcmeError             an ACME server refuses, or a name could not be checked
            └── AcmeAwayError     it cannot be asked at all; nothing is known about a name

`why` is one word for programs.
"""

from __future__ import annotations

from enum import StrEnum

from reconciler.api.errors import PermanentError, TemporaryError

__all__ = ["AcmeAwayError", "AcmeError", "CertificateError", "PeerError", "Why"]


class Why(StrEnum):
    """Why a host has no certificate of the wanted kind, or none that can be renewed."""

    UNREADABLE = "CertificateUnreadable"
    KEY_DIFFERS = "CertificateKeyDiffers"
    WEAK_KEY = "CertificateKeyWeak"
    TOO_LARGE = "CertificateTooLarge"
    ENDED = "CertificateEnded"
    NOT_YET_VALID = "CertificateNotYetValid"
    NAMES_DIFFER = "CertificateNamesDiffer"
    NO_ACCOUNT = "NoAcmeAccount"
    NEEDS_DNS = "WildcardNeedsDns"
    NOT_ISSUED = "CertificateNotIssued"
    NOT_CHECKED = "HostnameNotChecked"
    RATE_LIMITED = "AcmeRateLimited"
    ACME_AWAY = "AcmeServerAway"
    REFUSED = "AcmeRefused"
    DNS_PROGRAM = "DnsProgramFailed"


class CertificateError(PermanentError):
    """A certificate that cannot be used; the message names the file, what is wrong and what to do."""

    def __init__(self, message: str, why: Why) -> None:
        super().__init__(message)
        self.why = why


class PeerError(PermanentError):
    """A certificate of the controller or of an agent that is not accepted, or cannot be issued."""


class AcmeError(TemporaryError):
    """An ACME server refused; `delay` is how many seconds it asked to wait, and `code` the type of its problem."""

    def __init__(
        self, message: str, why: Why = Why.REFUSED, delay: float | None = None, code: str = ""
    ) -> None:
        super().__init__(message, delay)
        self.why = why
        self.code = code


class AcmeAwayError(AcmeError):
    """An ACME server that cannot be reached, does not answer in time, or answers with an internal error."""

    def __init__(self, message: str, delay: float | None = None) -> None:
        super().__init__(message, Why.ACME_AWAY, delay)
