"""Ports of a VaultService that speak something else than HTTP."""

from __future__ import annotations

from typing import Annotated, Final

from pydantic import Field, Strict, field_validator

from reconciler.api.addresses import Cidr
from reconciler.api.formats import RouteHostname, ServiceName
from reconciler.api.model import ApiModel
from reconciler.api.traffic import Port

__all__ = ["TcpRoute", "UdpPort"]

MAX_NAMES: Final = 64


class TcpRoute(ApiModel):
    """Connections to a TCP port of a gateway that belong to this service: Git over SSH, MQTT, a database."""

    gateway: ServiceName | None = Field(
        default=None, description="Name of the VaultGateway. Unset: the only one that exists."
    )
    port: Port = Field(description="Port of a TCP or TLS listener of the gateway.")
    target: Port = Field(description="Port of the application in its containers.")
    hostnames: Annotated[tuple[RouteHostname, ...], Strict(False)] = Field(
        default=(),
        max_length=MAX_NAMES,
        description=(
            "Names by which clients of a TLS listener ask for this service (SNI); it gets their connections still "
            "encrypted. Empty: all that no other service asks for."
        ),
    )
    allow_from: Annotated[tuple[Cidr, ...], Strict(False)] = Field(
        default=(),
        max_length=256,
        description="Networks of the clients that may connect; others are disconnected. Empty: all.",
    )
    send_proxy: bool = Field(
        default=False,
        description="Whether replicas get the PROXY protocol, which tells them the client's address.",
    )

    @field_validator("hostnames", "allow_from")
    @classmethod
    def _each_once(cls, values: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(values)) < len(values):
            raise ValueError("must name each one only once")
        return values


class UdpPort(ApiModel):
    """A UDP port that the engine publishes directly, past the gateway: a rollout interrupts it."""

    port: Port = Field(description="Port on the host.")
    target: Port = Field(description="Port of the application in its containers.")
