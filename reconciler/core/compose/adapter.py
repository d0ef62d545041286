"""What `docker compose config` says about a Compose file, as a fragment of a plugin.

Compose has resolved the whole specification by then: variables, profiles, extends, include, short forms. What is left is
what differs here: names that Compose gives in a project, ports of the host, images that it would build, and which service
answers requests. Nothing of the file is left out without a warning that says where it stands.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any, Final

from reconciler.core.compose.guesses import TLS_PORTS, guess_port, guess_web
from reconciler.core.compose.interpolation import escape
from reconciler.core.compose.mounts import BIND, VOLUME, read_mounts
from reconciler.core.compose.ports import Port, read_ports
from reconciler.core.compose.project import NOTHING_KEPT, VARIABLES, Adapted, Kept, Project, ProjectError
from reconciler.core.names import VAULT_NET

DEFAULT_NETWORK: Final = "default"
SECTIONS: Final = ("services", "networks", "volumes", "configs", "secrets")


def adapt(
    project: Project,
    *,
    web: str | None = None,
    port: int | None = None,
    served: Sequence[int] = (),
    keeps_ports: bool = False,
    may_overlap: bool = False,
    kept: Kept = NOTHING_KEPT,
    images: Collection[str] = (),
) -> Adapted:
    """The fragment of a project. `web` and `port` are what the manifest says, `served` are ports of the web service that
    reach clients in another way; `keeps_ports` publishes those of the other services. `may_overlap`: the manifest says that
    several containers of the web service may write. `kept` volumes and networks belong to the project that was adopted. The
    manifest names the images of `images`. Raises ProjectError.
    """
    return _Adapter(project, kept, frozenset(images), list(project.warnings)).adapt(
        web, port, served, keeps_ports, may_overlap
    )


@dataclass
class _Adapter:
    project: Project
    kept: Kept = NOTHING_KEPT
    images: frozenset[str] = frozenset()
    warnings: list[str] = field(default_factory=list)

    def adapt(
        self, web: str | None, port: int | None, served: Sequence[int], keeps_ports: bool, may_overlap: bool
    ) -> Adapted:
        document = deepcopy({name: dict(self.project.document.get(name) or {}) for name in SECTIONS})
        services: dict[str, dict[str, Any]] = document["services"]
        if not services:
            raise ProjectError("services: there are none; a profile in spec.compose.profiles may be missing")
        for name, body in services.items():
            self._check_home(name, body)
            self._image(name, body)
            body.pop("profiles", None)
            if body.get("blkio_config"):
                body["blkio_config"] = _in_small_letters(body["blkio_config"])
        if not web:
            web, warning = guess_web(services)
            self.warnings += [warning] if warning else []
        if web not in services:
            raise ProjectError(
                f"services.{web}: there is none; spec.compose.web can be {', '.join(services)}"
            )
        if not port:
            port, warning = guess_port(web, services[web])
            self.warnings.append(warning)
        replicas = self._replicas(services[web])
        self._ports(services, web, port, served, keeps_ports=keeps_ports)
        self._files(document)
        self._networks(document)
        self._contents(document)
        for section in ("volumes", "networks", "configs", "secrets"):
            document[section] = {
                name: self._own(section, name, body) for name, body in document[section].items()
            }
        writes = not may_overlap and (replicas or 1) == 1 and self._writes(web, services[web])
        return Adapted(document, web, port, replicas, writes, tuple(self.warnings))

    def _replicas(self, body: dict[str, Any]) -> int | None:
        deploy = body.get("deploy") or {}
        found = deploy.pop("replicas", None) if isinstance(deploy, dict) else None
        scale = body.pop("scale", None)
        found = scale if found is None else found
        return found if isinstance(found, int) else None

    def _writes(self, web: str, body: Mapping[str, Any]) -> bool:
        """Whether two containers of it would write to the same place, as they never do under Compose."""
        for at, mount in enumerate(read_mounts(body.get("volumes"))):
            if mount.source and not mount.read_only and mount.kind in (BIND, VOLUME):
                self.warnings.append(
                    f"services.{web}.volumes[{at}]: {web} writes to it, so its container is stopped before the next one "
                    "starts, and requests wait for it; if two may write at once, set spec.strategy.type: RollingUpdate"
                )
                return True
        return False

    # What differs

    def _check_home(self, name: str, body: Mapping[str, Any]) -> None:
        for at, mount in enumerate(read_mounts(body.get("volumes"))):
            home = "/" if self.project.directory is None else f"{self.project.directory}/"
            if mount.is_bind and mount.source.replace("$$", "$").removeprefix(home).startswith("~"):
                raise ProjectError(
                    f"services.{name}.volumes[{at}]: it is in a user's home, and the controller has none; write its path"
                )

    def _image(self, name: str, body: dict[str, Any]) -> None:
        """An image that Compose would build, and of which it is not known that it has: only the name can be said."""
        if body.pop("build", None) is None:
            return
        image = body.setdefault("image", escape(f"{self.project.image_prefix}-{name}"))
        if name in self.images:
            return
        self.warnings.append(
            f"services.{name}.build: is not built by the controller; it runs the image {image} of this machine: run "
            f"`docker compose build {name}`, and again after a change, which is then rolled out"
        )

    def _ports(
        self,
        services: Mapping[str, dict[str, Any]],
        web: str,
        port: int,
        served: Sequence[int],
        *,
        keeps_ports: bool,
    ) -> None:
        for name, body in services.items():
            if name != web and keeps_ports:
                continue
            for at, entry in enumerate(body.pop("ports", None) or ()):
                place = f"services.{name}.ports[{at}]"
                for one in read_ports([entry]):
                    if warning := self._not_published(name, place, one, entry, web, port, served):
                        self.warnings.append(warning)
            if name == web:
                body.pop("expose", None)

    def _not_published(
        self, name: str, place: str, one: Port, entry: Any, web: str, port: int, served: Sequence[int]
    ) -> str:
        published = entry.get("published") if isinstance(entry, Mapping) else None
        what = f"{place}: {f'{published} → ' if published else ''}{one}"
        if name == web and one.target == port and one.protocol == "tcp":
            return (
                f"{what} moves to HAProxy, which listens on spec.ports.http or for the routes"
                if published
                else ""
            )
        if name == web and one.target in served:
            return ""
        if name == web and one.protocol == "tcp" and one.target in TLS_PORTS:
            return f"{what} is not published; a listener of a VaultGateway speaks TLS, and spec.route leads requests here"
        if name == web and one.protocol == "tcp":
            return f"{what} is not published; spec.tcp gives it a port of a VaultGateway"
        if name == web:
            return f"{what} is not published: HAProxy serves TCP only; spec.udp publishes it for a single replica"
        return (
            f"{what} is not published on the host; services of the project reach it as {name}:{one.target}. Admission "
            "profile privileged publishes it, which the operator allows with --allow-privileged"
        )

    def _files(self, document: dict[str, Any]) -> None:
        """Files whose text is here become configs that have it."""
        for section in ("configs", "secrets"):
            for body in document[section].values():
                text = self.project.files.get(_unescaped((body or {}).get("file")))
                if text is not None:
                    del body["file"]
                    body["content"] = escape(text)
        for service, body in document["services"].items():
            kept, configs = [], []
            for entry, mount in zip(body.get("volumes") or (), read_mounts(body.get("volumes")), strict=True):
                text = (
                    self.project.files.get(_unescaped(mount.source))
                    if mount.is_bind and mount.read_only
                    else None
                )
                if text is None:
                    kept.append(entry)
                    continue
                if body.get("read_only") is True:
                    raise ProjectError(
                        f"services.{service}.volumes{mount.place}: a file of a commit is copied into the container, and "
                        "read_only: true forbids that; leave it out, or build the file into the image"
                    )
                name = f"file-{sha256(mount.source.encode()).hexdigest()[:12]}"
                document["configs"][name] = {"content": escape(text)}
                configs.append({"source": name, "target": mount.target})
            if configs:
                body["volumes"] = kept
                body["configs"] = [*(body.get("configs") or ()), *configs]

    def _networks(self, document: dict[str, Any]) -> None:
        """The project's default network is the one where HAProxy reaches its services."""
        networks = document["networks"]
        body = self._own("networks", DEFAULT_NETWORK, networks.get(DEFAULT_NETWORK))
        if body.get("external"):
            # Containers of the adopted project are there, too. Web replicas join the other one besides.
            return
        if DEFAULT_NETWORK in networks and not body and VAULT_NET not in networks:
            del networks[DEFAULT_NETWORK]
            for service in document["services"].values():
                own = service.get("networks")
                if isinstance(own, dict) and DEFAULT_NETWORK in own:
                    service["networks"] = {
                        VAULT_NET if name == DEFAULT_NETWORK else name: how for name, how in own.items()
                    }

    def _own(self, section: str, name: str, body: Any) -> dict[str, Any]:
        """An entry without the name that Compose gives it in the project, and without what is empty."""
        kept = {key: value for key, value in dict(body or {}).items() if value not in (None, {}, [])}
        engine_name = _unescaped(kept.get("name"))
        if engine_name and engine_name in self.kept.of(section):
            return {"name": kept["name"], "external": True}
        if kept.get("name") == escape(f"{self.project.name}_{name}") and not kept.get("external"):
            del kept["name"]
        return kept

    def _contents(self, document: dict[str, Any]) -> None:
        """Configs and secrets of variables get their value here: the controller's own variables are none of theirs."""
        values = self.project.document.get(VARIABLES) or {}
        for section in ("configs", "secrets"):
            for name, body in document[section].items():
                variable = body.get("environment") if isinstance(body, dict) else None
                if variable is None:
                    continue
                if values.get(variable) is None:
                    raise ProjectError(
                        f"{section}.{name}.environment: {variable} is not set; set it in spec.env, spec.envFrom or .env"
                    )
                body.pop("environment")
                body["content"] = values[variable]
        # Compose writes the content of a secret into no container, but that of a config.
        with_content = {name for name, body in document["secrets"].items() if "content" in body}
        for name in with_content:
            document["configs"][f"secret-{name}"] = {"content": document["secrets"].pop(name)["content"]}
        for body in document["services"].values() if with_content else ():
            _move_secrets(body, with_content)


def _unescaped(text: Any) -> str:
    return str(text or "").replace("$$", "$")


def _move_secrets(body: dict[str, Any], names: set[str]) -> None:
    kept, configs = [], list(body.get("configs") or ())
    for entry in body.get("secrets") or ():
        source = entry.get("source") if isinstance(entry, Mapping) else entry
        if source not in names:
            kept.append(entry)
            continue
        target = str(entry.get("target") or source) if isinstance(entry, Mapping) else str(source)
        place = target if target.startswith("/") else f"/run/secrets/{target}"
        configs.append({"source": f"secret-{source}", "target": place})
    body.pop("secrets", None)
    if kept:
        body["secrets"] = kept
    if configs:
        body["configs"] = configs


def _in_small_letters(value: Any) -> Any:
    """Compose 2.26 prints some keys as Go calls them (`Path`), and reads them as its specification does."""
    if isinstance(value, Mapping):
        return {str(key).lower(): _in_small_letters(item) for key, item in value.items()}
    return [_in_small_letters(item) for item in value] if isinstance(value, list) else value
