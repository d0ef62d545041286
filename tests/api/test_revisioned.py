"""Which fields are restored with a revision, and that every field that changes a revision is restored with it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, get_args

import pytest
from pydantic import BaseModel

from reconciler.api import Spec, VaultService
from reconciler.api.revisioned import is_revisioned, revisioned_fields, with_revision_of
from reconciler.api.route import Route
from reconciler.api.tcp import TcpRoute
from reconciler.core.desired.build import build
from reconciler.core.desired.secret_files import SecretFile, SecretFiles
from reconciler.core.desired.stack import Site, Stack
from reconciler.proxy.haproxy.front import FRONT
from vault_plugins import VaultServicePlugin

SITE = Site(Path("/state/services/files"), 99, 99)

BEFORE: dict[str, Any] = {"plugin": "mirror", "env": {"TAG": "1"}, "rotation": {"interval": "1h"}}

OTHER: dict[str, Any] = {
    "plugin": "other",
    "compose": {
        "file": "compose.yaml",
        "web": "app",
        "port": 80,
        "profiles": ["x"],
        "content": "v1-0123456789ab",
    },
    "images": {"web": "registry.test/app:2"},
    "imagePolicy": {"workload": "web", "pattern": 'semver ">=1.4 <2"', "minAge": "3d"},
    "replicas": 5,
    "ports.http": 9000,
    "ports.container": 9001,
    "route": {"hostnames": ["files.test"], "path": "/x", "port": 9000, "auth": {"basic": {"file": "users"}}},
    "routes": [{"hostnames": ["files.test"]}],
    "tcp": [{"port": 2222, "target": 22}],
    "udp": [{"port": 53, "target": 5353}],
    "healthcheck.path": "/healthz",
    "healthcheck.host": "app.example",
    "healthcheck.interval": "7s",
    "env": {"TAG": "2"},
    "envFrom": [{"file": "other.env"}],
    "secrets": [{"name": "token", "file": "other.key"}],
    "proxy.replicas": 2,
    "proxy.image": "haproxy:3.2",
    "proxy.network": "host",
    "proxy.holdSeconds": 3,
    "proxy.maxHeaderKiB": 64,
    "proxy.dropHeaders": ["Remote-User"],
    "strategy.type": "Recreate",
    "strategy.rollingUpdate.maxSurge": 3,
    "strategy.rollingUpdate.maxUnavailable": 2,
    "strategy.minReadySeconds": 4,
    "strategy.progressDeadlineSeconds": 60,
    "strategy.drainSeconds": 5,
    "strategy.autoRollback": False,
    "strategy.paused": True,
    "rotation.interval": "2h",
    "rotation.jitter": "50%",
    "rotation.mode": "single-active",
    "idle": {"after": "45m", "holdSeconds": 90},
    "suspend": True,
    "restartedAt": "2026-05-01T12:00:00Z",
    "rotatedAt": "2026-05-01T12:00:00Z",
    "dependsOn": ["database"],
    "deletionPolicy": "Orphan",
    "drift": "heal",
    "driftIgnore": [],
}
"""Another value for each field of a spec. `drift` and `driftIgnore` allow no other value beside a rotation."""


WHOLE = {"compose", "idle", "imagePolicy", "route"}
"""Fields with many parts, all or none of which make a revision; they have another value as a whole."""


class Mirror(VaultServicePlugin):
    """A plugin that puts every setting into its container, except the number of replicas."""

    metadata = VaultServicePlugin.Metadata(name="Mirror", slug="mirror", default_port=8000)

    def build_compose(self, env: Mapping[str, str]) -> Mapping[str, Any]:
        told = {f"TOLD_{name}": value for name, value in env.items() if name != "VAULT_WEB_REPLICAS"}
        return {"services": {"web": {"image": f"{self.metadata.slug}:1", "environment": told}}}

    def get_containers(self) -> Iterable[str]:
        return ("web",)


class Other(Mirror):
    """Another plugin."""

    metadata = VaultServicePlugin.Metadata(name="Other", slug="other", default_port=8000)


PLUGINS = {"mirror": Mirror(), "other": Other(), "compose": Other()}


def stack_of(spec: Spec) -> Stack:
    service = VaultService.model_validate({"metadata": {"name": "files"}, "spec": spec.to_document()})
    secrets = {f"SECRET_{number}": entry.file for number, entry in enumerate(spec.env_from)}
    files = SecretFiles("/run/x", tuple(SecretFile(each.name, each.file.encode()) for each in spec.secrets))
    return build(service, PLUGINS[spec.plugin], SITE, secrets, front=FRONT, secret_files=files)


def unchanged(name: str) -> Spec:
    alone = {"replicas": 1, "strategy": {"type": "Recreate"}} if name == "udp" else {}
    return Spec.model_validate(BEFORE | alone)


def changed(name: str) -> Spec:
    document: dict[str, Any] = unchanged(name).to_document()
    if name in ("idle", "route", "routes", "tcp"):
        del document["ports"]["http"]
    if name == "compose":
        document["plugin"] = "compose"
    if name == "idle":
        document["routes"] = OTHER["routes"]
    *path, last = name.split(".")
    inner = document
    for key in path:
        inner = inner.setdefault(key, {})
    inner[last] = OTHER[name]
    return Spec.model_validate(document)


def leaves(model: type[BaseModel], prefix: str = "") -> Iterator[str]:
    for name, field in model.model_fields.items():
        annotation = field.annotation
        optional = get_args(annotation) if type(None) in get_args(annotation) else ()
        models = [
            each for each in (annotation, *optional) if isinstance(each, type) and issubclass(each, BaseModel)
        ]
        path = f"{prefix}{field.alias or name}"
        yield from leaves(models[0], f"{path}.") if models and path not in WHOLE else [path]


def test_the_fields_that_make_a_revision() -> None:
    assert revisioned_fields(Spec) == (
        *(
            "plugin",
            "compose",
            "images",
            "ports.container",
            "udp",
            "healthcheck",
            "env",
            "envFrom",
            "secrets",
            "restartedAt",
        ),
    )


def test_there_is_another_value_for_every_field() -> None:
    assert set(leaves(Spec)) == set(OTHER)


@pytest.mark.parametrize("name", sorted(OTHER))
def test_what_changes_a_revision_goes_back_with_it(name: str) -> None:
    before, after = unchanged(name), changed(name)
    back = with_revision_of(before, after)
    assert stack_of(back).revision == stack_of(before).revision
    is_part = name.startswith(tuple(f"{field}." for field in revisioned_fields(Spec)))
    if name in revisioned_fields(Spec) or is_part:
        assert back == before
    else:
        assert back == after
        assert stack_of(after).revision == stack_of(before).revision


def test_a_field_that_is_not_marked_would_be_noticed() -> None:
    class Unmarked(Spec):
        env: Mapping[str, str] = {}

    assert "env" not in revisioned_fields(Unmarked)
    before = Unmarked.model_validate(BEFORE)
    after = Unmarked.model_validate(BEFORE | {"env": {"TAG": "2"}})
    assert stack_of(with_revision_of(before, after)).revision != stack_of(before).revision


def test_routes_make_no_revision() -> None:
    assert (revisioned_fields(Route), revisioned_fields(TcpRoute)) == ((), ())


def test_optional_parts_hold_no_revisioned_field() -> None:
    rotation = Spec.model_fields["rotation"]
    (model,) = [each for each in get_args(rotation.annotation) if each is not type(None)]
    assert not any(is_revisioned(field) for field in model.model_fields.values())
