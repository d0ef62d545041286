"""The certificate of a route, and what it does with plain HTTP."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from reconciler.api.formats import FilePath
from reconciler.api.model import ApiModel
from reconciler.api.quantities import Duration

__all__ = ["CertificateFiles", "Hsts", "RouteTLS"]

CertificateSource = Literal["acme", "files", "self-signed", "none"]


class CertificateFiles(ApiModel):
    """A certificate that is renewed outside of the controller; the files are watched."""

    chain: FilePath = Field(
        description="PEM file of the certificate and its intermediate ones, relative to the manifest."
    )
    key: FilePath = Field(description="PEM file of the private key; keep it at mode 0600.")


class Hsts(ApiModel):
    """Strict-Transport-Security: browsers use only https for the host from then on."""

    max_age: Duration = Field(default=180 * 86400.0, description="For how long browsers remember it.")
    include_subdomains: bool = Field(
        default=False, description="Whether it holds for all names below the host."
    )
    preload: bool = Field(default=False, description="Whether browsers may ship it in their lists.")

    @model_validator(mode="after")
    def _preload_conditions(self) -> Self:
        if self.preload and not (self.include_subdomains and self.max_age >= 365 * 86400):
            raise ValueError("preload needs includeSubdomains and a maxAge of at least 365d")
        return self


class RouteTLS(ApiModel):
    """The certificate of a route, and what it does with plain HTTP."""

    certificate: CertificateSource | None = Field(
        default=None,
        description=(
            "acme, files, self-signed, or none for plain HTTP only. Unset: files if they are named, self-signed for names "
            "below localhost and test, acme if the gateway has an account, else none."
        ),
    )
    files: CertificateFiles | None = Field(default=None, description="The files of a certificate.")
    redirect: bool = Field(
        default=True,
        description="Whether plain HTTP is redirected to https when the route has a certificate.",
    )
    hsts: Hsts | None = Field(
        default=None, description="Whether browsers use only https from then on. Unset: not."
    )

    @model_validator(mode="after")
    def _files_and_source_agree(self) -> Self:
        if self.files is not None and self.certificate not in (None, "files"):
            raise ValueError(f"files are not used with certificate: {self.certificate}")
        if self.certificate == "files" and self.files is None:
            raise ValueError("certificate: files needs files: {chain: ..., key: ...}")
        if self.hsts is not None and self.certificate == "none":
            raise ValueError("hsts needs a certificate")
        return self
