"""Which requests of a VaultGateway reach a VaultService, and what happens to them on the way.

Everything here ends up in what a shared proxy reads, so every text has a type that cannot say more than itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Final, Literal, Self

from pydantic import Field, Strict, field_validator, model_validator
from pydantic_core import PydanticCustomError

from reconciler.api.addresses import Cidr, Origin
from reconciler.api.fixed_headers import check_free
from reconciler.api.formats import (
    HeaderName,
    HeaderText,
    PathPrefix,
    RouteHostname,
    ServiceName,
)
from reconciler.api.model import ApiModel
from reconciler.api.protection import Auth, RateLimit
from reconciler.api.quantities import ByteSize, Duration
from reconciler.api.tls import RouteTLS
from reconciler.api.traffic import Port

__all__ = ["Cors", "HeaderChanges", "Headers", "Redirect", "Route", "RouteTimeouts"]

MAX_HOSTNAMES: Final = 64
MAX_HEADERS: Final = 32
MAX_HEADER_TEXT: Final = 4096
MAX_NETWORKS: Final = 256

PASSING_ON: Final = ("app_protocol", "compression", "cors", "max_body_size", "port", "sticky", "strip_path")
"""Fields of a route that only concern requests that reach a replica."""

Methods = Literal["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]


class Redirect(ApiModel):
    """Answers each request of the route with another address, for instance that of www with the bare domain."""

    scheme: Literal["http", "https"] | None = Field(
        default=None, description="Scheme of the new address. Unset: that of the request."
    )
    hostname: RouteHostname | None = Field(
        default=None, description="Host of the new address. Unset: that of the request."
    )
    path: PathPrefix | None = Field(
        default=None, description="Path of the new address. Unset: path and query of the request."
    )
    status: Literal[301, 302, 307, 308] = Field(
        default=308, description="301 and 308 are permanent; 307 and 308 keep the method."
    )

    @field_validator("hostname")
    @classmethod
    def _one_host(cls, hostname: str | None) -> str | None:
        if hostname and hostname.startswith("*"):
            raise PydanticCustomError("redirect", "must be one host name, without '*'")
        return hostname

    @model_validator(mode="after")
    def _goes_elsewhere(self) -> Self:
        if self.scheme is None and self.hostname is None and self.path is None:
            raise ValueError("must change the scheme, the hostname or the path")
        return self


class HeaderChanges(ApiModel):
    """Changes of the headers of a request or a response."""

    set: Mapping[HeaderName, HeaderText] = Field(
        default={},
        # A value may be a credential for the replica.
        repr=False,
        description="Headers that are set; one of the same name is replaced.",
    )
    remove: Annotated[tuple[HeaderName, ...], Strict(False)] = Field(
        default=(), max_length=MAX_HEADERS, description="Headers that are removed."
    )

    @model_validator(mode="after")
    def _only_free_headers(self) -> Self:
        if len(self.set) > MAX_HEADERS:
            raise ValueError(f"must set at most {MAX_HEADERS} headers")
        check_free((*self.set, *self.remove))
        return self


class Headers(ApiModel):
    """Changes of headers on the way."""

    request: HeaderChanges = Field(
        default=HeaderChanges.model_construct(), description="Changes before a request reaches a replica."
    )
    response: HeaderChanges = Field(
        default=HeaderChanges.model_construct(), description="Changes before an answer reaches the client."
    )

    @model_validator(mode="after")
    def _fits_into_a_buffer(self) -> Self:
        texts = (
            text for changes in (self.request, self.response) for pair in changes.set.items() for text in pair
        )
        if sum(map(len, texts)) > MAX_HEADER_TEXT:
            raise ValueError(f"must set at most {MAX_HEADER_TEXT} characters of headers in all")
        return self


class Cors(ApiModel):
    """Which pages of other origins may read the answers (CORS). The proxy answers preflight requests itself."""

    origins: Annotated[tuple[Origin, ...], Strict(False)] = Field(
        min_length=1, max_length=MAX_HOSTNAMES, description="Origins such as https://app.example.org, or '*'."
    )
    methods: Annotated[tuple[Methods, ...], Strict(False)] = Field(
        default=("GET", "HEAD", "POST"), min_length=1, description="Methods that are allowed."
    )
    headers: Annotated[tuple[HeaderName, ...], Strict(False)] = Field(
        default=(), max_length=MAX_HEADERS, description="Request headers that are allowed."
    )
    expose: Annotated[tuple[HeaderName, ...], Strict(False)] = Field(
        default=(), max_length=MAX_HEADERS, description="Response headers that the page may read."
    )
    credentials: bool = Field(default=False, description="Whether cookies and logins are sent along.")
    max_age: Duration = Field(
        default=600.0, description="For how long a browser keeps the answer to a preflight."
    )

    @model_validator(mode="after")
    def _no_credentials_for_all(self) -> Self:
        if "*" in self.origins and (self.credentials or len(self.origins) > 1):
            raise ValueError("origins must be only '*', without credentials, or a list of origins")
        return self


class RouteTimeouts(ApiModel):
    """How long a connection may be silent. Unset: as in the gateway."""

    response: Duration | None = Field(default=None, description="Silence of a replica that has to answer.")
    tunnel: Duration | None = Field(
        default=None, description="Silence of both sides of an upgraded connection, such as a WebSocket."
    )

    @field_validator("response", "tunnel")
    @classmethod
    def _is_some_time(cls, seconds: float | None) -> float | None:
        if seconds is not None and not 1 <= seconds <= 24 * 3600:
            raise ValueError("must be between 1s and 24h")
        return seconds


class Route(ApiModel):
    """Requests of a gateway that belong to this service, by host and path.

    The longest path of an exact host wins, then that of the longest wildcard. Of two services that claim the same host and
    path, the older one keeps it.
    """

    gateway: ServiceName | None = Field(
        default=None, description="Name of the VaultGateway. Unset: the only one that exists."
    )
    hostnames: Annotated[tuple[RouteHostname, ...], Strict(False)] = Field(
        min_length=1,
        max_length=MAX_HOSTNAMES,
        description="Hosts such as app.example.org; *.example.org stands for all names below example.org.",
    )
    path: PathPrefix = Field(default="/", description="Path of the requests, with all paths below it.")
    strip_path: bool = Field(
        default=False,
        description="Whether replicas see paths without `path`; X-Forwarded-Prefix tells them.",
    )
    port: Port | None = Field(
        default=None,
        description="Port of the application in its containers. Unset: that of the service.",
    )
    app_protocol: Literal["kubernetes.io/h2c"] | None = Field(
        default=None,
        description=(
            "Protocol that replicas speak; kubernetes.io/h2c is HTTP/2 without TLS, as gRPC servers do. Unset: HTTP/1.1."
        ),
    )
    redirect: Redirect | None = Field(
        default=None, description="Answers requests with another address instead of passing them on."
    )
    headers: Headers = Field(default=Headers.model_construct(), description="Changes of headers on the way.")
    cors: Cors | None = Field(
        default=None, description="Which pages of other origins may read the answers. Unset: replicas decide."
    )
    compression: bool = Field(
        default=False, description="Whether the proxy compresses texts for clients that accept it."
    )
    max_body_size: ByteSize | None = Field(
        default=None,
        description=(
            "Largest body of a request; a larger one is answered 413, one without Content-Length 411. Unset: any."
        ),
    )
    timeouts: RouteTimeouts = Field(
        default=RouteTimeouts.model_construct(), description="How long a connection may be silent."
    )
    sticky: Literal["cookie"] | None = Field(
        default=None,
        description="cookie: a client stays with one replica as long as that serves. Unset: any replica.",
    )
    auth: Auth | None = Field(default=None, description="Who may make requests. Unset: everybody.")
    allow_from: Annotated[tuple[Cidr, ...], Strict(False)] = Field(
        default=(),
        max_length=MAX_NETWORKS,
        description="Networks of the clients that may make requests; others are answered 403. Empty: all.",
    )
    rate_limit: RateLimit | None = Field(
        default=None, description="How many requests one client may make. Unset: any number."
    )
    maintenance: bool = Field(
        default=False, description="Whether every request is answered 503 with a page, replicas or not."
    )
    tls: RouteTLS = Field(
        default=RouteTLS.model_construct(), description="The certificate, and what plain HTTP gets."
    )

    @field_validator("hostnames", "allow_from")
    @classmethod
    def _each_once(cls, values: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(values)) < len(values):
            raise ValueError("must name each one only once")
        return values

    @model_validator(mode="after")
    def _redirect_is_all(self) -> Self:
        if self.redirect is not None:
            # By value: what was stored names every field.
            given = [name for name in PASSING_ON if getattr(self, name)]
            if given:
                raise ValueError(f"redirect passes no request on: {', '.join(given)} has no effect beside it")
            if self._redirects_to_itself(self.redirect):
                raise ValueError("redirect must lead to another address than that of the route")
        if self.app_protocol is not None and (self.sticky or self.compression):
            raise ValueError(
                "appProtocol kubernetes.io/h2c can have neither sticky nor compression beside it"
            )
        if self.strip_path and self.path == "/":
            raise ValueError("stripPath needs a path to strip")
        return self

    def _redirects_to_itself(self, redirect: Redirect) -> bool:
        if redirect.scheme is not None:
            # http to https is the same address with another scheme; https to http depends on the client.
            return False
        stays = redirect.hostname is None or redirect.hostname in self.hostnames
        below = (
            redirect.path is None
            or self.path == "/"
            or f"{redirect.path}/".startswith(f"{self.path.rstrip('/')}/")
        )
        return stays and below
