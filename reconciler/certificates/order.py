"""An unfinished order of a certificate, as it is kept on disk: each step can be repeated after a crash."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from hashlib import sha256

from reconciler.api.acme import Challenge

__all__ = ["Answer", "Order", "Step", "file_id"]


class Step(StrEnum):
    """What is to be done next."""

    PLACE = "place"
    ANSWER = "answer"
    CHECK = "check"
    FINALIZE = "finalize"
    FETCH = "fetch"


@dataclass(frozen=True, slots=True)
class Answer:
    """What the server has to find for a name. `value` is the key authorization, or for dns-01 the value of the record."""

    name: str
    challenge: Challenge
    url: str
    token: str
    value: str

    @property
    def path(self) -> str:
        """The path that http-01 asks for."""
        return f"/.well-known/acme-challenge/{self.token}"

    @property
    def record(self) -> str:
        """The record that dns-01 asks for."""
        return f"_acme-challenge.{self.name.removeprefix('*.')}."

    @property
    def id(self) -> str:
        """What tells it from any other answer."""
        return f"{self.challenge} {self.name} {self.token}"


@dataclass(frozen=True, slots=True)
class Order:
    """An order for these names (sorted); `key` is the private key of the certificate to be, `server` the directory's
    address. `set` says since when all DNS records are there.
    """

    server: str
    names: tuple[str, ...]
    key: str = field(repr=False)
    since: datetime
    step: Step = Step.PLACE
    url: str = ""
    finalize: str = ""
    certificate: str = ""
    answers: tuple[Answer, ...] = ()
    set: datetime | None = None
    replaces: str = ""

    @property
    def id(self) -> str:
        """The name of its file, and of that of its certificate."""
        return file_id(*self.names)

    def at(self, step: Step, **changes: object) -> Order:
        """The same order at another step."""
        return replace(self, step=step, **changes)  # type: ignore[arg-type]


def file_id(*parts: str) -> str:
    """A name for a file that stands for these texts."""
    return sha256("\n".join(parts).encode()).hexdigest()[:16]
