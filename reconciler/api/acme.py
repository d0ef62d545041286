"""How a VaultGateway gets certificates from a certificate authority by ACME (RFC 8555)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Final, Literal, Self

from pydantic import Field, Strict, field_validator, model_validator

from reconciler.api.formats import EnvName, FilePath, TextFormat
from reconciler.api.model import ApiModel
from reconciler.api.quantities import Duration

__all__ = ["Acme", "Challenge", "DnsProgram", "ExternalAccount"]

Challenge = Literal["http-01", "tls-alpn-01", "dns-01"]

LETS_ENCRYPT: Final = "https://acme-v02.api.letsencrypt.org/directory"
MAX_ARGUMENTS: Final = 16
MAX_CONTACTS: Final = 8
LONGEST_PROGRAM: Final = 1800.0

AcmeServer = Annotated[
    str,
    TextFormat(
        r"https://(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?)*|\[[0-9a-f:]+\])"
        r"(?::[1-9][0-9]{0,4})?(?:/[A-Za-z0-9._~:@!&=+,/?%-]*)?",
        512,
        "the https:// address of the directory of an ACME server",
    ),
]
Email = Annotated[
    str,
    TextFormat(
        r"[A-Za-z0-9._+-]{1,64}@[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?(?:\.[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?)+",
        254,
        "an e-mail address such as admin@example.org",
    ),
]
ProgramName = Annotated[
    str,
    TextFormat(
        r"[A-Za-z0-9][A-Za-z0-9._-]*",
        64,
        "the name of a program in the controller's directory of DNS programs, without '/'",
    ),
]
Argument = Annotated[str, TextFormat(r"[ -~]*", 1024, "printable ASCII")]
KeyIdentifier = Annotated[
    str, TextFormat(r"[!-~]+", 256, "the key identifier that the certificate authority gave you")
]
Profile = Annotated[
    str, TextFormat(r"[A-Za-z0-9][A-Za-z0-9._-]*", 64, "the name of a profile that the ACME server offers")
]


class ExternalAccount(ApiModel):
    """Binds the ACME account to one that you have with the certificate authority."""

    key_id: KeyIdentifier = Field(description="Key identifier that the certificate authority gave you.")
    key_file: FilePath = Field(
        description="File with its HMAC key in base64url, relative to the manifest; keep it at mode 0600."
    )


class DnsProgram(ApiModel):
    """A program that sets DNS records for dns-01. It is called with `present` or `cleanup`, the name of the record and its
    value.
    """

    program: ProgramName = Field(
        description="Name of an executable file in the directory of --dns-programs of the controller."
    )
    arguments: Annotated[tuple[Argument, ...], Strict(False)] = Field(
        default=(), max_length=MAX_ARGUMENTS, description="Arguments before present or cleanup."
    )
    environment: Mapping[EnvName, Argument] = Field(
        default={},
        # A user may well write a credential here.
        repr=False,
        description="Variables beside PATH, HOME and LANG. Keep credentials in a file of the program instead.",
    )
    timeout: Duration = Field(
        default=300.0, description="Time for one call; the program is killed after it (1s to 30m)."
    )
    delay: Duration = Field(
        default=0.0, description="Time between the last record and the check, until all name servers have it."
    )

    @field_validator("timeout")
    @classmethod
    def _sensible(cls, seconds: float) -> float:
        if not 1 <= seconds <= LONGEST_PROGRAM:
            raise ValueError("must be between 1s and 30m")
        return seconds

    @field_validator("delay")
    @classmethod
    def _not_too_long(cls, seconds: float) -> float:
        if seconds > LONGEST_PROGRAM:
            raise ValueError("must be at most 30m")
        return seconds


class Acme(ApiModel):
    """An account with a certificate authority, and how it checks that a name is yours."""

    accept_terms: bool = Field(
        description="Whether you accept the terms of service of the certificate authority; it has to be true."
    )
    server: AcmeServer = Field(
        default=LETS_ENCRYPT,
        description="Directory of the ACME server. Unset: that of Let's Encrypt.",
    )
    contact: Annotated[tuple[Email, ...], Strict(False)] = Field(
        default=(),
        max_length=MAX_CONTACTS,
        description="E-mail addresses that the certificate authority may write to.",
    )
    challenge: Challenge = Field(
        default="http-01",
        description=(
            "How the server checks a name: http-01 (it asks port 80), tls-alpn-01 (it asks port 443) or dns-01 (it reads a "
            "DNS record, which wildcards need)."
        ),
    )
    certificates: Literal["route", "name", "gateway"] = Field(
        default="route",
        description="One certificate for each route, for each name, or one for all names of the gateway (at most 100).",
    )
    external_account: ExternalAccount | None = Field(
        default=None, description="Binds the account to one that you have with the certificate authority."
    )
    dns: DnsProgram | None = Field(default=None, description="The program that sets DNS records for dns-01.")
    ca_file: FilePath | None = Field(
        default=None,
        description="PEM file of the authorities that the server's own certificate is trusted by. Unset: the usual ones.",
    )
    profile: Profile | None = Field(
        default=None, description="Profile of the certificates. Unset: the server's default."
    )

    @field_validator("accept_terms")
    @classmethod
    def _accepted(cls, accepted: bool) -> bool:
        if not accepted:
            raise ValueError("must be true: without it the server gives no account")
        return accepted

    @model_validator(mode="after")
    def _dns_and_challenge_agree(self) -> Self:
        if (self.challenge == "dns-01") is not (self.dns is not None):
            raise ValueError(
                "challenge: dns-01 needs dns: {program: ...}"
                if self.dns is None
                else f"dns is not used with challenge: {self.challenge}"
            )
        return self
