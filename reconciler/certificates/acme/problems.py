"""Turns what an ACME server, the library and the network say into sentences: what was asked, why not, what to do."""

from __future__ import annotations

from typing import Final

from reconciler.certificates.errors import AcmeAwayError, AcmeError, Why

__all__ = ["ADVICE", "MAX_DETAIL", "away", "cleaned", "refused", "sentence"]

MAX_DETAIL: Final = 400
"""Characters of a server's explanation that are repeated."""

ADVICE: Final = {
    "connection": "let port 80 (http-01) or 443 (tls-alpn-01) of the name reach this gateway from the internet",
    "dns": "make the name's DNS records lead to this machine",
    "caa": "allow this certificate authority in the CAA record of the domain",
    "unauthorized": "make the name's DNS records lead to this machine, and to no other",
    "incorrectResponse": "make the name's DNS records lead to this machine, and to no other",
    "tls": "let port 443 of the name reach this gateway without a proxy that ends TLS",
    "rateLimited": "it is tried again after the time that the server names",
    "rejectedIdentifier": "this authority signs no such name; use files, or self-signed",
    "unsupportedIdentifier": "this authority signs no such name; use files, or self-signed",
    "externalAccountRequired": "set spec.acme.externalAccount of the gateway to what the authority gave you",
    "invalidContact": "correct spec.acme.contact of the gateway",
    "unsupportedContact": "correct spec.acme.contact of the gateway",
    "userActionRequired": "follow the link in the message, then wait for the next try",
    "accountDoesNotExist": "a new account is made with the next try",
    "invalidProfile": "name a profile in spec.acme.profile that the server offers",
}
"""What a user can do, by the type of a problem (RFC 8555 section 6.7)."""

SERVER_AT_FAULT: Final = frozenset({"serverInternal", "badNonce"})


def refused(server: str, doing: str, code: str, detail: str, delay: float | None = None) -> AcmeError:
    """The error for a problem that a server has told."""
    if code in SERVER_AT_FAULT:
        return AcmeAwayError(
            f"{server} could not {doing}: {sentence(code, detail)}; it is tried again", delay
        )
    why = Why.RATE_LIMITED if code == "rateLimited" else Why.REFUSED
    return AcmeError(f"{server} refuses to {doing}: {sentence(code, detail)}", why, delay, code)


def away(server: str, doing: str, reason: str, delay: float | None = None) -> AcmeAwayError:
    """The error for a server that does not answer as one."""
    message = f"{server} does not {doing}: {cleaned(reason)}; it is tried again, and certificates that are there stay"
    return AcmeAwayError(message, delay)


def sentence(code: str, detail: str) -> str:
    """A problem for people, with what to do about it."""
    advice = ADVICE.get(code)
    told = cleaned(detail) or "without an explanation"
    return f"{told} ({code})" + (f"; {advice}" if advice else "")


def cleaned(text: str) -> str:
    """A foreign text as one line of limited length: it goes into conditions, events and logs."""
    line = " ".join("".join(each if each.isprintable() else " " for each in text).split()).rstrip(".")
    return line if len(line) <= MAX_DETAIL else f"{line[: MAX_DETAIL - 1]}…"
