"""Services that run keep their revisions: these were taken before Compose's forms were read in one place."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from reconciler.api import VaultService
from reconciler.core.desired.build import build
from reconciler.core.desired.stack import Site
from reconciler.proxy.haproxy.front import FRONT
from vault_plugins import VaultServicePlugin
from vault_plugins.registry import discover

SITE = Site(Path("/state/services/files"), 99, 99)
SECRETS = {"PAPERLESS_SECRET_KEY": "s3cret", "PAPERLESS_DBPASS": "pa$$word"}

SHORT: dict[str, Any] = {
    "image": "web:1.0",
    "environment": ["A=1", "B="],
    "labels": ["a=b", "flag"],
    "ports": ["9000:8080"],
    "networks": ["vault-net", "back"],
    "volumes": ["data:/data", "data:/ro:ro", "/srv/x:/x:ro,z", "/srv/y:/y"],
    "depends_on": ["db"],
    "container_name": "my-web",
    "stop_grace_period": "1m5s",
    "profiles": [],
}
LONG: dict[str, Any] = {
    "image": "db:1",
    "environment": {"A": 1, "B": None, "C": True, "D": 0.5, "E": ""},
    "labels": {"a": 1, "b": True, "c": None},
    "networks": {"back": {"aliases": ["database"]}},
    "volumes": [
        {"type": "volume", "source": "data", "target": "/data", "volume": {"nocopy": True}},
        {"type": "bind", "source": "/srv/x", "target": "/x", "read_only": True},
        {"type": "tmpfs", "target": "/t", "tmpfs": {"size": "1m"}},
    ],
    "container_name": "my-db",
    "healthcheck": {"test": ["CMD", "true"]},
    "configs": [{"source": "conf", "target": "/c"}],
    "x-note": {"owner": "team"},
    "deploy": {"resources": {"limits": {"memory": "64M"}}, "update_config": {"order": "start-first"}},
    "mem_limit": "64m",
    "command": "serve --port 8080",
}


class Forms(VaultServicePlugin):
    metadata = VaultServicePlugin.Metadata(name="Forms", slug="forms", default_port=8080)
    single_writer = True

    def build_compose(self, env: Any) -> dict[str, Any]:
        return {
            "services": {"web": SHORT, "db": LONG},
            "volumes": {"data": {}},
            "networks": {"back": {"internal": True}},
            "configs": {"conf": {"content": "x = 1"}},
        }

    def get_containers(self) -> list[str]:
        return ["web"]


def revisions(plugin: VaultServicePlugin, **spec: Any) -> dict[str, str]:
    body = {"metadata": {"name": "files"}, "spec": {"plugin": plugin.metadata.slug, **spec}}
    stack = build(VaultService.model_validate(body), plugin, SITE, SECRETS, front=FRONT)
    # Revisions of the gateway and HAProxy are pinned, too.
    return {workload.name: workload.revision for workload in stack.workloads}


PINNED: dict[str, dict[str, str]] = {
    "forms": {
        "gateway": "v1-a26568404162",
        "haproxy": "v1-603432cbda16",
        "web": "v1-2bdb5008eac9",
        "db": "v1-6dca2140ba29",
    },
    "whoami": {"gateway": "v1-a26568404162", "haproxy": "v1-603432cbda16", "whoami": "v1-78e93f2e49d4"},
    "filebrowser": {
        "gateway": "v1-a26568404162",
        "haproxy": "v1-603432cbda16",
        "filebrowser": "v1-b51be753bd32",
    },
    "paperless": {
        "gateway": "v1-a26568404162",
        "haproxy": "v1-603432cbda16",
        "paperless-web": "v1-725dfd28754b",
        "paperless-db": "v1-fd22f43d1e0a",
        "paperless-redis": "v1-6fb8d959e2a3",
    },
}


@pytest.mark.parametrize("slug", ["forms", "whoami", "filebrowser", "paperless"])
def test_a_newer_reading_replaces_nothing(slug: str) -> None:
    plugin = Forms() if slug == "forms" else discover([]).get(slug).create()
    assert revisions(plugin) == PINNED[slug]


class PassedThrough(Forms):
    def build_compose(self, env: Any) -> dict[str, Any]:
        web = {"image": "web:1", "environment": ["TOKEN", "A=1"], "depends_on": ["db"]}
        return {"services": {"web": web, "db": {"image": "db:1", "environment": {"TOKEN": None, "B": "2"}}}}


def test_what_ran_with_an_environment_that_was_read_wrongly_is_not_replaced() -> None:
    service = VaultService.model_validate(
        {"metadata": {"name": "files"}, "spec": {"plugin": "forms", "env": {"TOKEN": "t"}}}
    )
    stack = build(service, PassedThrough(), SITE, front=FRONT)
    web, db = (next(w for w in stack.workloads if w.name == name) for name in ("web", "db"))
    # As the release before this reading computed them.
    assert web.accepts("v1-5d7db3d43f3e")
    assert db.accepts("v1-81df9f13a112")
    assert web.revision not in ("v1-5d7db3d43f3e", "v1-81df9f13a112")
    assert stack.document["services"]["web"]["environment"]["TOKEN"] == "t"
    assert stack.document["services"]["db"]["environment"]["TOKEN"] == "t"
