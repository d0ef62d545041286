"""The custom resource VaultGateway: a front door that many VaultServices share, field by field.

A gateway says where it listens and which proxies it trusts; the services say in their `spec.route` what reaches them.
The defaults make `spec: {}` a gateway for HTTP and HTTPS.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Final, Literal, Self

from pydantic import Field, Strict, field_validator, model_validator
from pydantic_core import PydanticCustomError

from reconciler.api.acme import Acme, ExternalAccount
from reconciler.api.addresses import Address, Cidr
from reconciler.api.formats import (
    HeaderPattern,
    ImageReference,
    LabelKey,
    LabelValue,
    ListenerName,
    ReadyPath,
)
from reconciler.api.model import ApiModel
from reconciler.api.quantities import Duration, Seconds
from reconciler.api.resource import Metadata, Resource
from reconciler.api.status import ObjectStatus
from reconciler.api.traffic import (
    CLIENT_ADDRESSES,
    MAX_CONNECTIONS,
    MAX_DROPPED,
    MAX_HEADER_KIB,
    MIN_HEADER_KIB,
    Port,
    check_dropped,
)

__all__ = [
    "DefaultResponse",
    "GatewayNode",
    "GatewaySpec",
    "GatewayStatus",
    "GatewayTimeouts",
    "Listener",
    "Protocol",
    "Readiness",
    "VaultGateway",
]

Protocol = Literal["HTTP", "HTTPS", "TCP", "TLS"]

MAX_LISTENERS: Final = 64
MAX_NETWORKS: Final = 256
MAX_NODE_LABELS: Final = 16


class Listener(ApiModel):
    """A port that the gateway listens on."""

    name: ListenerName = Field(description="Unique name, for messages and metrics.")
    port: Port = Field(description="Port on the host (1 to 65535).")
    protocol: Protocol = Field(
        description=(
            "HTTP, HTTPS (HTTP/1.1 and HTTP/2 with a certificate of the gateway), TCP, or TLS (passed on encrypted, by the "
            "name that the client asks for)."
        )
    )
    address: Address | None = Field(
        default=None,
        description="Address of the host that is listened on, for instance 127.0.0.1. Unset: all, or that of --bind.",
    )
    proxy_protocol: bool = Field(
        default=False,
        description=(
            "Whether connections from spec.trustedProxies begin with the PROXY protocol; those without it are refused."
        ),
    )

    http3: bool = Field(
        default=False,
        description=(
            "Whether clients may speak HTTP/3, on the UDP port of the same number. With protocol HTTPS only; it needs an "
            "image whose HAProxy has QUIC."
        ),
    )

    @model_validator(mode="after")
    def _can_speak_http3(self) -> Self:
        if self.http3 and self.protocol != "HTTPS":
            raise ValueError(f"http3 needs protocol HTTPS, and the one of {self.name} is {self.protocol}")
        if self.http3 and self.proxy_protocol:
            raise ValueError("http3 and proxyProtocol exclude each other: UDP has no PROXY protocol")
        return self

    @property
    def is_http(self) -> bool:
        """Whether requests are read, and routed one by one."""
        return self.protocol in ("HTTP", "HTTPS")


DEFAULT_LISTENERS: Final = (
    Listener.model_construct(name="http", port=80, protocol="HTTP"),
    Listener.model_construct(name="https", port=443, protocol="HTTPS"),
)


class GatewayTimeouts(ApiModel):
    """How long the gateway waits; a route may have its own `response` and `tunnel`."""

    request: Duration = Field(default=10.0, description="Time for the headers of a request.")
    keep_alive: Duration = Field(default=30.0, description="Time for the next request of a connection.")
    client: Duration = Field(default=60.0, description="Silence of a client that is sending or receiving.")
    response: Duration = Field(default=300.0, description="Silence of a replica that has to answer.")
    tunnel: Duration = Field(
        default=3600.0, description="Silence of both sides of a TCP connection or an upgraded one."
    )

    @field_validator("request", "keep_alive", "client", "response", "tunnel")
    @classmethod
    def _sensible(cls, seconds: float) -> float:
        if not 1 <= seconds <= 24 * 3600:
            raise ValueError("must be between 1s and 24h")
        return seconds


class DefaultResponse(ApiModel):
    """The answer to requests that belong to no route."""

    status: Literal[403, 404, 421, 503] = Field(
        default=404, description="Status of the answer: 403, 404, 421 or 503."
    )


class Readiness(ApiModel):
    """What tells a balancer in front of the gateway, or keepalived, whether to lead clients to a HAProxy."""

    path: ReadyPath = Field(
        description=(
            "Path that each HTTP and HTTPS listener answers itself, for any host: 200 while HAProxy takes requests, 503 "
            "when it is about to leave its node. No route gets it."
        )
    )
    grace_seconds: Seconds = Field(
        default=10.0,
        description=(
            "Seconds for which HAProxy serves as before after the path has begun to answer 503, and then closes its ports: "
            "more than what checks the path needs to lead clients elsewhere."
        ),
    )


class GatewaySpec(ApiModel):
    """What the user wants of a gateway."""

    listeners: Annotated[tuple[Listener, ...], Strict(False)] = Field(
        default=DEFAULT_LISTENERS,
        min_length=1,
        max_length=MAX_LISTENERS,
        description="The ports that it listens on.",
    )
    network: Literal["host", "published"] = Field(
        default="published",
        description=(
            "published: the engine publishes the ports of the gateway's container. host: the gateway uses the network of "
            "the host, so a restart of the engine interrupts nothing; it needs Linux and an engine that runs as root."
        ),
    )
    replicas: int = Field(
        default=1, ge=1, le=2, description="1, or 2 for a pair that survives a crash of one; on each node."
    )
    node_selector: Mapping[LabelKey, LabelValue] | None = Field(
        default=None,
        max_length=MAX_NODE_LABELS,
        description=(
            "With Docker Swarm: the gateway runs on each node that has all of these labels, {} for every node. Unset: on "
            "the controller's node."
        ),
    )
    image: ImageReference = Field(default="haproxy:3.0", description="HAProxy image; 3.0 or newer.")
    trusted_proxies: Annotated[tuple[Cidr, ...], Strict(False)] = Field(
        default=(),
        max_length=MAX_NETWORKS,
        description=(
            "Networks of proxies in front of this gateway. Their X-Forwarded-For and X-Forwarded-Proto are believed; "
            "those of others are replaced."
        ),
    )
    max_connections_per_client: int | None = Field(
        default=None,
        ge=1,
        le=MAX_CONNECTIONS,
        description=(
            "How many connections one client may have open to each HAProxy; more are closed at once. A client is an IPv4 "
            "address or a /64 of IPv6; those of trustedProxies are none. Unset: any number, of the 8192 in all."
        ),
    )
    timeouts: GatewayTimeouts = Field(
        default=GatewayTimeouts.model_construct(), description="How long the gateway waits."
    )
    drain_seconds: Seconds = Field(
        default=30.0,
        description="Seconds that open connections have to finish before a replaced HAProxy is stopped.",
    )
    readiness: Readiness | None = Field(
        default=None,
        description=(
            "A path by which what is in front of the gateway learns that HAProxy is about to leave a node, as it does when "
            "the node loses a label of nodeSelector. Unset: there is no such path, and the ports are closed at once."
        ),
    )
    default_response: DefaultResponse = Field(
        default=DefaultResponse.model_construct(),
        description="The answer to requests that belong to no route.",
    )
    access_log: bool = Field(
        default=False, description="Whether each request is logged as a line of JSON, without its query."
    )
    max_header_kib: int = Field(
        default=32,
        ge=MIN_HEADER_KIB,
        le=MAX_HEADER_KIB,
        alias="maxHeaderKiB",
        description="Maximum size of all headers of a request or a response in KiB (16 to 256).",
    )
    drop_headers: Annotated[tuple[HeaderPattern, ...], Strict(False)] = Field(
        default=CLIENT_ADDRESSES,
        max_length=MAX_DROPPED,
        description="Request headers that are removed before a request reaches a replica; see VaultService.",
    )
    acme: Acme | None = Field(
        default=None,
        description="How it gets certificates from a certificate authority. Unset: routes bring files, or have none.",
    )
    suspend: bool = Field(
        default=False,
        description="Whether the controller makes no changes to this gateway; its containers keep running.",
    )

    @field_validator("listeners")
    @classmethod
    def _no_clash(cls, listeners: tuple[Listener, ...]) -> tuple[Listener, ...]:
        names: set[str] = set()
        ports: dict[int, Listener] = {}
        for listener in listeners:
            if listener.name in names:
                raise PydanticCustomError(
                    "listeners", "must have names that differ: {name} is given twice", {"name": listener.name}
                )
            names.add(listener.name)
            other = ports.setdefault(listener.port, listener)
            if other is not listener:
                raise PydanticCustomError(
                    "listeners",
                    "must have ports that differ: {one} and {two} both listen on {port}",
                    {"one": other.name, "two": listener.name, "port": listener.port},
                )
        return listeners

    @field_validator("drop_headers")
    @classmethod
    def _not_needed(cls, patterns: tuple[str, ...]) -> tuple[str, ...]:
        check_dropped(patterns)
        return patterns

    @model_validator(mode="after")
    def _is_checked_on_a_listener(self) -> Self:
        needed = {"http-01": "HTTP", "tls-alpn-01": "HTTPS"}.get(self.acme.challenge if self.acme else "")
        if self.acme and needed and needed not in {each.protocol for each in self.listeners}:
            raise ValueError(f"acme.challenge {self.acme.challenge} needs a listener of protocol {needed}")
        return self

    @model_validator(mode="after")
    def _answers_somewhere(self) -> Self:
        if self.readiness is not None and not any(each.is_http for each in self.listeners):
            raise ValueError("readiness needs a listener of protocol HTTP or HTTPS, which answers its path")
        return self

    @model_validator(mode="after")
    def _reaches_overlays(self) -> Self:
        if self.node_selector is not None and self.network == "host":
            raise ValueError(
                "nodeSelector needs network: published: from the network of a host, services of a Swarm are not reached"
            )
        return self

    @model_validator(mode="after")
    def _trusts_the_senders(self) -> Self:
        if not self.trusted_proxies and (
            waiting := [each.name for each in self.listeners if each.proxy_protocol]
        ):
            raise ValueError(
                f"proxyProtocol of listener {waiting[0]} needs the networks that send it in trustedProxies"
            )
        return self


class GatewayNode(ApiModel):
    """A node that a gateway with `nodeSelector` runs on, or has to leave."""

    name: str = Field(description="Name of the node.")
    answering: int = Field(default=0, ge=0, description="HAProxies of it that answer.")
    message: str = Field(default="", description="Why it cannot be changed now; empty if it can.")


class GatewayStatus(ObjectStatus):
    """The observed state of a VaultGateway; written by the controller, ignored in manifests."""

    routes: int = Field(default=0, ge=0, description="Routes of services that it serves.")
    refused: int = Field(default=0, ge=0, description="Hosts, paths and ports that a service claims in vain.")
    nodes: Annotated[tuple[GatewayNode, ...], Strict(False)] = Field(
        default=(), description="The nodes that spec.nodeSelector names, and those that it has named."
    )


class VaultGateway(Resource):
    """A front door that many VaultServices share."""

    kind: Literal["VaultGateway"] = Field(default="VaultGateway", description="Always VaultGateway.")
    metadata: Metadata = Field(description="Identity of the VaultGateway.")
    spec: GatewaySpec = Field(default=GatewaySpec.model_construct(), description="What the user wants.")
    status: GatewayStatus | None = Field(
        default=None, description="State that the controller observed last; ignored in manifests."
    )

    @property
    def ports(self) -> Mapping[str, int]:
        """The ports of its listeners."""
        return {f"spec.listeners.{index}.port": each.port for index, each in enumerate(self.spec.listeners)}

    @property
    def settings_files(self) -> Mapping[str, str]:
        """The files of its ACME account."""
        acme = self.spec.acme
        files = {}
        if acme is not None and acme.external_account is not None:
            files["spec.acme.externalAccount.keyFile"] = acme.external_account.key_file
        if acme is not None and acme.ca_file is not None:
            files["spec.acme.caFile"] = acme.ca_file
        return files

    @property
    def secret_files(self) -> Mapping[str, str]:
        """Those that only their owner should be able to read."""
        return {field: file for field, file in self.settings_files.items() if field.endswith(".keyFile")}

    def with_settings_files(self, files: tuple[str, ...]) -> Self:
        """The same with other paths of these files. Raises ValidationError for one that is not allowed."""
        acme, given = self.spec.acme, iter(files)
        if acme is None:
            return self
        account = acme.external_account
        if account is not None:
            account = ExternalAccount(key_id=account.key_id, key_file=next(given))
        located = acme.model_copy(update={"external_account": account})
        if acme.ca_file is not None:
            located = Acme.model_validate({**dict(located), "ca_file": next(given)})
        return self.model_copy(update={"spec": self.spec.model_copy(update={"acme": located})})
