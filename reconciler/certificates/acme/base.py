"""What an order needs of an ACME server. Each call is one request or two, has a timeout, and is safe to repeat."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from reconciler.api.acme import Challenge
from reconciler.certificates.renewal import Window

__all__ = ["Authority", "Authorization", "Offer", "OrderState", "Placed"]

Status = Literal["pending", "ready", "processing", "valid", "invalid"]


@dataclass(frozen=True, slots=True)
class Placed:
    """An order that the server has accepted: addresses of itself, of what finalizes it, and of its authorizations."""

    url: str
    finalize: str
    authorizations: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Offer:
    """A challenge that the server offers, and what answers it."""

    challenge: Challenge
    url: str
    token: str
    value: str


@dataclass(frozen=True, slots=True)
class Authorization:
    """Whether a name is known to be ours; `problem` says why it is not."""

    name: str
    status: str
    offers: tuple[Offer, ...] = ()
    problem: str = ""


@dataclass(frozen=True, slots=True)
class OrderState:
    """Where an order stands; `delay` is how many seconds the server wants us to wait."""

    status: Status
    authorizations: tuple[str, ...] = ()
    certificate: str = ""
    problem: str = ""
    delay: float | None = None


class Authority(Protocol):
    """An ACME server, asked with the key of an account. Raises AcmeError, or AcmeAwayError when nothing is known."""

    def register(self, contact: Sequence[str]) -> str:
        """The address of the account, made if the server does not know the key yet."""

    def place(self, names: Sequence[str], *, profile: str | None, replaces: str) -> Placed:
        """Order a certificate for these names; `replaces` is the renewal ID of the one that it renews, or empty."""

    def authorization(self, url: str) -> Authorization:
        """Whether a name is known to be ours, and else the challenges for it."""

    def answer(self, url: str) -> None:
        """Tell the server that it can check the answer to this challenge now."""

    def order(self, url: str) -> OrderState:
        """Where an order stands."""

    def finalize(self, url: str, request: bytes) -> OrderState:
        """Send the signing request (PEM) of a ready order."""

    def download(self, url: str) -> str:
        """The certificate and its chain in PEM."""

    def renewal(self, renewal_id: str) -> tuple[Window | None, float]:
        """When the server suggests to renew a certificate, if it says so, and after how many seconds to ask again."""
