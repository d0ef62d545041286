"""The custom resource VaultService, field by field.

The CRD, the editor schema, `vaultctl explain` and docs/resource.md are generated from the descriptions in this file. The
defaults make `spec: {plugin: whoami}` a complete and safe service.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self

from pydantic import (
    AfterValidator,
    BeforeValidator,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    Strict,
    ValidationInfo,
    field_validator,
    model_serializer,
    model_validator,
)
from pydantic_core import PydanticCustomError

from reconciler.api.compose_file import COMPOSE, ComposeFile
from reconciler.api.errors import PermanentError
from reconciler.api.formats import (
    EnvName,
    FilePath,
    ImageReference,
    PluginSlug,
    ServiceName,
    WorkloadName,
)
from reconciler.api.idle import Idle
from reconciler.api.image_policy import ImagePolicy
from reconciler.api.kinds import API_GROUP, API_VERSION, VAULT_SERVICE, Ref
from reconciler.api.model import AS_STORED, ApiModel
from reconciler.api.quantities import TimestampText
from reconciler.api.resource import Metadata, Resource
from reconciler.api.revisioned import REVISIONED
from reconciler.api.route import Route
from reconciler.api.routing import check_claims, files_of, with_files
from reconciler.api.secret_file import SecretFile
from reconciler.api.status import Status
from reconciler.api.strategy import Rotation, Strategy
from reconciler.api.tcp import TcpRoute, UdpPort
from reconciler.api.traffic import HealthCheck, Ports, Proxy

__all__ = [
    "API_GROUP",
    "API_VERSION",
    "KIND",
    "EnvFrom",
    "Metadata",
    "Spec",
    "VaultService",
]

KIND: Final = VAULT_SERVICE.name
MAX_ROUTES: Final = 64
MAX_SECRETS: Final = 64


def _quoted(value: object) -> object:
    # The message omits the value: it may be a password made of digits.
    if isinstance(value, bool | int | float):
        kind = "a boolean" if isinstance(value, bool) else "a number"
        reason = f"must be text, but YAML reads it as {kind}"
        raise PydanticCustomError("needs_quotes", "{reason}", {"reason": reason})
    return value


def _passable(value: str, info: ValidationInfo) -> str:
    if "\0" in value and info.context != AS_STORED:
        raise PydanticCustomError(
            "unpassable", "must hold no NUL character, which no environment can pass on"
        )
    return value


EnvValue = Annotated[str, BeforeValidator(_quoted), AfterValidator(_passable), Field(max_length=131072)]


class EnvFrom(ApiModel):
    """A file of settings that is not in the manifest."""

    file: FilePath = Field(
        description=(
            "KEY=VALUE file, relative to the manifest. A plain one stays out of Git, at mode 0600; one that is encrypted, "
            "by age or SOPS, may be in it."
        )
    )


def _plugin_may_be_left_out(schema: dict[str, Any]) -> None:
    schema["required"] = [name for name in schema.get("required", ()) if name != "plugin"]


class Spec(ApiModel):
    """What the user wants. Settings resolve as: the plugin's default_environment < envFrom < env."""

    model_config = ConfigDict(json_schema_extra=_plugin_may_be_left_out)

    plugin: Annotated[PluginSlug, REVISIONED] = Field(
        description=(
            "Slug of the plugin that builds the service; `vaultctl plugin list` names them. Left out with spec.compose."
        )
    )
    compose: Annotated[ComposeFile | None, REVISIONED] = Field(
        default=None, description="A Compose file that describes the service, in place of a plugin."
    )
    images: Annotated[Mapping[WorkloadName, ImageReference], REVISIONED] = Field(
        default={},
        description=(
            "Images by workload, in place of those that the plugin or the Compose file names, such as web: "
            "registry.example.org/app:1.4.2."
        ),
    )
    image_policy: ImagePolicy | None = Field(
        default=None,
        description="Which new tags of its registry a workload follows; the controller writes them into `images`.",
    )
    replicas: int | None = Field(
        default=None,
        ge=0,
        le=1000,
        description=(
            "Web replicas. Unset: VAULT_WEB_REPLICAS, then the plugin's minimum. 0 stops the whole service, its "
            "dependencies too; its volumes are kept, and requests are answered 503."
        ),
    )
    ports: Ports = Field(default=Ports.model_construct(), description="Where the service listens.")
    route: Route | None = Field(
        default=None, description="Requests of a VaultGateway that belong to this service. Unset: none."
    )
    routes: Annotated[tuple[Route, ...], Strict(False)] = Field(
        default=(), max_length=MAX_ROUTES, description="The same, for a service with several routes."
    )
    tcp: Annotated[tuple[TcpRoute, ...], Strict(False)] = Field(
        default=(),
        max_length=MAX_ROUTES,
        description="Connections to TCP ports of a VaultGateway that belong to this service.",
    )
    udp: Annotated[tuple[UdpPort, ...], Strict(False), REVISIONED] = Field(
        default=(),
        max_length=MAX_ROUTES,
        description=(
            "UDP ports that the engine publishes, past HAProxy: datagrams are lost while the replica is replaced. It takes "
            "one replica and strategy type Recreate."
        ),
    )
    healthcheck: Annotated[HealthCheck, REVISIONED] = Field(
        default=HealthCheck.model_construct(), description="How HAProxy checks a replica."
    )
    env: Annotated[Mapping[EnvName, EnvValue], REVISIONED] = Field(
        default={},
        # Secrets belong in envFrom; if one is written here, it still must not appear in a log.
        repr=False,
        description="Settings for the plugin and its containers, as text: quote numbers and booleans.",
    )
    env_from: Annotated[tuple[EnvFrom, ...], Strict(False), REVISIONED] = Field(
        default=(), description="Files of settings, for secrets; a later file wins over an earlier one."
    )
    secrets: Annotated[tuple[SecretFile, ...], Strict(False), REVISIONED] = Field(
        default=(),
        max_length=MAX_SECRETS,
        description="Secrets that containers get as files below /run/secrets, in memory and in no environment.",
    )
    proxy: Proxy = Field(default=Proxy.model_construct(), description="The HAProxy in front of the replicas.")
    strategy: Strategy = Field(
        default=Strategy.model_construct(), description="How replicas of an old revision are replaced."
    )
    rotation: Rotation | None = Field(
        default=None, description="Replacement of replicas because of their age. Unset: never."
    )
    idle: Idle | None = Field(
        default=None,
        description="Stopping web replicas of a service with routes while it has no requests. Unset: never.",
    )
    suspend: bool = Field(
        default=False,
        description="Whether the controller makes no changes to this service; its containers keep running.",
    )
    restarted_at: Annotated[TimestampText | None, REVISIONED] = Field(
        default=None, description="A new value replaces every web replica once, by the strategy (RFC 3339)."
    )
    rotated_at: TimestampText | None = Field(
        default=None,
        description="Web replicas that were created before this are replaced once, by the strategy (RFC 3339).",
    )
    depends_on: Annotated[tuple[ServiceName, ...], Strict(False)] = Field(
        default=(), description="Names of VaultServices that must be Ready before this one is changed."
    )
    deletion_policy: Literal["Delete", "Orphan"] = Field(
        default="Delete",
        description=(
            "What happens to the containers when the manifest is removed: Delete removes them, Orphan leaves "
            "them running. Volumes are kept in both cases."
        ),
    )
    drift: Literal["heal", "warn", "ignore"] = Field(
        default="heal",
        description="What to do when running objects were changed from outside: heal, warn or ignore.",
    )
    drift_ignore: Annotated[tuple[str, ...], Strict(False)] = Field(
        default=(),
        description=(
            "Differences that drift: warn does not report, as KIND/SUBJECT with shell wildcards, "
            "for instance proxy/* or */vault-files-db-1."
        ),
    )

    @model_validator(mode="before")
    @classmethod
    def _plugin_of_a_compose_file(cls, written: Any) -> Any:
        if isinstance(written, Mapping) and written.get("compose") is not None and "plugin" not in written:
            return {**written, "plugin": COMPOSE}
        return written

    @model_validator(mode="after")
    def _plugin_suits_the_compose_file(self) -> Self:
        if self.compose is not None and self.plugin != COMPOSE:
            raise PydanticCustomError(
                "cross_field",
                "must be left out, since spec.compose describes the service; or remove spec.compose",
                {"field": "plugin"},
            )
        return self

    @model_validator(mode="after")
    def _drift_suits_the_rest(self) -> Self:
        if self.rotation is not None and self.drift != "heal":
            raise ValueError("spec.rotation changes what runs; it needs spec.drift: heal")
        if self.idle is not None and self.drift != "heal":
            raise ValueError("spec.idle changes what runs; it needs spec.drift: heal")
        if self.drift_ignore and self.drift != "warn":
            raise ValueError("spec.driftIgnore applies to warnings only; it needs spec.drift: warn")
        return self

    @model_validator(mode="after")
    def _secrets_have_names_of_their_own(self) -> Self:
        names = [each.name for each in self.secrets]
        if len(set(names)) < len(names):
            raise PydanticCustomError("cross_field", "must give each name once", {"field": "secrets"})
        return self

    @model_validator(mode="after")
    def _claims_each_once(self) -> Self:
        check_claims(self.route, self.routes, self.tcp)
        return self

    @field_validator("udp")
    @classmethod
    def _each_port_once(cls, ports: tuple[UdpPort, ...]) -> tuple[UdpPort, ...]:
        if len({each.port for each in ports}) < len(ports):
            raise ValueError("must publish each port only once")
        return ports

    @model_validator(mode="after")
    def _one_way_in(self) -> Self:
        if self.is_routed and "http" in self.ports.model_fields_set:
            raise PydanticCustomError(
                "cross_field",
                "must be left out: requests come through the gateway of spec.{routes}, so no port is published; to publish "
                "one, remove spec.{routes}",
                {
                    "field": "ports.http",
                    "routes": "route" if self.route else "routes" if self.routes else "tcp",
                },
            )
        return self

    @model_validator(mode="after")
    def _on_whose_network(self) -> Self:
        if self.is_routed and self.proxy.network == "host":
            raise PydanticCustomError(
                "cross_field",
                "must be left out: requests come through a VaultGateway, which has spec.network of its own",
                {"field": "proxy.network"},
            )
        return self

    @model_validator(mode="after")
    def _who_wakes_it(self) -> Self:
        if self.idle is not None and not self.is_routed:
            raise PydanticCustomError(
                "cross_field",
                "needs spec.route: only a VaultGateway tells when a service had its last request; give it a route, or "
                "remove spec.idle",
                {"field": "idle"},
            )
        return self

    @model_serializer(mode="wrap")
    def _without_unused_port(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """The default of a port that is not published would be refused when the document is applied again."""
        document: dict[str, Any] = write(self)
        if self.is_routed and isinstance(ports := document.get("ports"), dict):
            ports.pop("http", None)
        return document

    @property
    def is_stopped(self) -> bool:
        """Whether nothing of the service is to run but what answers its requests; whatever its plugin's minimum is."""
        return self.replicas == 0

    @property
    def is_routed(self) -> bool:
        """Whether requests come from VaultGateways; otherwise it has a front door of its own."""
        return bool(self.route or self.routes or self.tcp)

    @property
    def opens_port(self) -> bool:
        """Whether its HAProxy opens its port on the network of the host."""
        return not self.is_routed and self.proxy.network == "host"

    @property
    def all_routes(self) -> tuple[Route, ...]:
        """The routes of `route` or `routes`."""
        return (self.route,) if self.route else self.routes

    @field_validator("depends_on")
    @classmethod
    def _each_once(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(names)) < len(names):
            raise ValueError("must name every service only once")
        return names


class VaultService(Resource):
    """A web service that runs as a load-balanced Docker Compose project."""

    kind: Literal["VaultService"] = Field(default="VaultService", description="Always VaultService.")
    metadata: Metadata = Field(description="Identity of the VaultService.")
    spec: Spec = Field(description="What the user wants.")
    status: Status | None = Field(
        default=None, description="State that the controller observed last; ignored in manifests."
    )

    @property
    def settings_files(self) -> Mapping[str, str]:
        """The files of `spec.envFrom`, `spec.secrets` and `spec.compose`, and those of its routes."""
        return self._env_files | self._secret_files | self._compose_file | self._route_files

    @property
    def secret_files(self) -> Mapping[str, str]:
        """All of them but the Compose file, and the chains of certificates, which each client gets."""
        files = self._env_files | self._route_files
        return {field: file for field, file in files.items() if not field.endswith(".chain")}

    def with_settings_files(self, files: tuple[str, ...]) -> Self:
        """The same with other paths in place of `settings_files`. Raises ValidationError for one that is not allowed."""
        spec, given = self.spec, iter(files)
        env_from = tuple(EnvFrom(file=next(given)) for _ in spec.env_from)
        secrets = tuple(each.model_copy(update={"file": next(given)}) for each in spec.secrets)
        changed: dict[str, object] = {"env_from": env_from, "secrets": secrets}
        if spec.compose is not None and spec.compose.file is not None:
            written = spec.compose.model_dump(exclude_unset=True) | {"file": next(given)}
            changed["compose"] = ComposeFile.model_validate(written)
        if spec.route is not None:
            changed["route"] = with_files(spec.route, given)
        if spec.routes:
            changed["routes"] = tuple(with_files(each, given) for each in spec.routes)
        return self.model_copy(update={"spec": spec.model_copy(update=changed)})

    def located(self, base: Path) -> Self:
        """The same with absolute paths. Raises PermanentError for a Compose file elsewhere than beside or below `base`,
        since containers of the service may read what is in its directory.
        """
        for field, file in self._compose_file.items():
            place = Path(os.path.normpath((base / file).absolute()))
            if not place.is_relative_to(os.path.normpath(base.absolute())):
                raise PermanentError(
                    f"{field}: {file} is not beside the manifest or in a directory below it; move one of the two"
                )
        return super().located(base)

    @property
    def _compose_file(self) -> dict[str, str]:
        compose = self.spec.compose
        return {"spec.compose.file": compose.file} if compose and compose.file is not None else {}

    @property
    def _env_files(self) -> dict[str, str]:
        return {f"spec.envFrom[{index}].file": each.file for index, each in enumerate(self.spec.env_from)}

    @property
    def _secret_files(self) -> dict[str, str]:
        return {f"spec.secrets[{index}].file": each.file for index, each in enumerate(self.spec.secrets)}

    @property
    def _route_files(self) -> dict[str, str]:
        named = {"spec.route": self.spec.route} if self.spec.route else {}
        named |= {f"spec.routes[{index}]": each for index, each in enumerate(self.spec.routes)}
        return {name: file for field, each in named.items() for name, file in files_of(field, each).items()}

    @property
    def ports(self) -> Mapping[str, int]:
        """The port of `spec.ports.http`; none with routes."""
        return {} if self.spec.is_routed else {"spec.ports.http": self.spec.ports.http}

    @property
    def waits_for(self) -> tuple[Ref, ...]:
        """The VaultServices of `spec.dependsOn`."""
        return tuple(Ref(VAULT_SERVICE, name) for name in self.spec.depends_on)

    @model_validator(mode="after")
    def _not_its_own_dependency(self) -> Self:
        if self.metadata.name in self.spec.depends_on:
            raise PydanticCustomError(
                "cross_field", "must not name the service itself", {"field": "spec.dependsOn"}
            )
        return self
