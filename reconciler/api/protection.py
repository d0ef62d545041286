"""Who may make requests, and how many: the fields of a route that protect a service."""

from __future__ import annotations

from typing import Annotated, Final, Literal, Self

from pydantic import Field, Strict, field_validator, model_validator

from reconciler.api.fixed_headers import check_free
from reconciler.api.formats import FilePath, HeaderName, HttpUrl, Realm, ServiceName, UrlPath
from reconciler.api.model import ApiModel
from reconciler.api.quantities import Duration

__all__ = ["Auth", "BasicAuth", "ForwardAuth", "RateLimit"]

MAX_REQUESTS: Final = 1_000_000
WINDOW_SECONDS: Final = {"1s": 1, "10s": 10, "1m": 60, "10m": 600, "1h": 3600}

Window = Literal["1s", "10s", "1m", "10m", "1h"]


class BasicAuth(ApiModel):
    """User names and passwords of a file (RFC 7617). Use TLS: the client sends them with each request."""

    file: FilePath = Field(
        description="htpasswd file with bcrypt or SHA-512 hashes, relative to the manifest; keep it at mode 0600."
    )
    realm: Realm = Field(
        default="Restricted", description="What the browser calls the area that it logs in to."
    )


class ForwardAuth(ApiModel):
    """Asks another service about each request: 2xx lets it pass, an answer of 300 to 499 is the client's, and without one
    of these the client gets 503.
    """

    service: ServiceName | None = Field(
        default=None,
        description="Name of the VaultService of the same gateway that answers. Either this or url.",
    )
    url: HttpUrl | None = Field(
        default=None,
        description="http:// address of a service elsewhere that answers. Either this or service.",
    )
    path: UrlPath = Field(
        default="/",
        description="Path that is asked, with `service`; X-Forwarded-Uri tells it the client's path.",
    )
    response_headers: Annotated[tuple[HeaderName, ...], Strict(False)] = Field(
        default=("Remote-User", "Remote-Groups", "Remote-Name", "Remote-Email"),
        max_length=32,
        description="Headers of a 2xx answer that the replica gets; those of the client are removed.",
    )
    timeout: Duration = Field(
        default=5.0, description="Time for the answer; without one the client gets 503."
    )

    @field_validator("response_headers")
    @classmethod
    def _free(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        check_free(names)
        return names

    @field_validator("timeout")
    @classmethod
    def _sensible(cls, seconds: float) -> float:
        if not 0.1 <= seconds <= 60:
            raise ValueError("must be between 100ms and 1m")
        return seconds

    @model_validator(mode="after")
    def _one_of_them(self) -> Self:
        if (self.service is None) is (self.url is None):
            raise ValueError("must have either service or url")
        # By value: what was stored names every field.
        if self.url is not None and self.path != type(self).model_fields["path"].default:
            raise ValueError("path belongs to service; write it into url")
        return self


class Auth(ApiModel):
    """Who may make requests."""

    basic: BasicAuth | None = Field(default=None, description="User names and passwords of a file.")
    forward: ForwardAuth | None = Field(default=None, description="Asks another service about each request.")

    @model_validator(mode="after")
    def _one_of_them(self) -> Self:
        if (self.basic is None) is (self.forward is None):
            raise ValueError("must have either basic or forward")
        return self


class RateLimit(ApiModel):
    """Requests of one client (an IPv4 address or an IPv6 /64) in a sliding window; more are answered 429."""

    requests: Annotated[int, Field(ge=1, le=MAX_REQUESTS)] = Field(
        description="How many requests in a window."
    )
    window: Window = Field(default="1m", description="Length of the window.")

    @property
    def seconds(self) -> int:
        """The length of the window."""
        return WINDOW_SECONDS[self.window]
