"""A stack of a small plugin, built as the controller builds it, and an engine to try it on."""

from __future__ import annotations

import gc
import os
import secrets
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from reconciler.api import Metadata, Ports, Spec, VaultService
from reconciler.core.desired.build import build
from reconciler.core.desired.stack import Site, Stack
from reconciler.engines.compose.engine import ComposeEngine
from reconciler.proxy.haproxy.front import FRONT
from tests.e2e.docker_cli import remove_project
from tests.e2e.stage import free_port
from vault_plugins import VaultServicePlugin

IMAGE = "vault-reconciler/whoami:latest"

MakeStack = Callable[..., Stack]


class BoxPlugin(VaultServicePlugin):
    """A web service, and a dependency with a named and an anonymous volume."""

    metadata = VaultServicePlugin.Metadata(name="Box", slug="box", default_port=8000)
    dependencies = ("box",)

    def build_compose(self, env: Mapping[str, str]) -> dict[str, Any]:
        return {
            "services": {
                "web": {
                    "image": env.get("IMAGE", IMAGE),
                    "environment": dict(env),
                    "networks": ["vault-net"],
                    "deploy": {"replicas": self.resolve_replicas(env)},
                    "stop_grace_period": "20s",
                    # A signal that comes before the server has a handler for it ends it too.
                    "init": True,
                },
                "box": {
                    "image": IMAGE,
                    "entrypoint": ["sleep", "infinity"],
                    "stop_signal": "SIGKILL",
                    "environment": {"GREETING": env.get("GREETING", "")},
                    "volumes": ["/anonymous", "named:/named"],
                    "user": "root",
                    "networks": ["vault-net"],
                },
            },
            "volumes": {"named": {}},
        }

    def get_containers(self) -> list[str]:
        return ["web"]


@pytest.fixture
def engine() -> Iterator[ComposeEngine]:
    """The engine of this machine. Fails when there is none: these tests are about nothing else."""
    with closing(ComposeEngine()) as engine:
        engine.ping()
        yield engine


@pytest.fixture
def make_stack(tmp_path: Path) -> Iterator[MakeStack]:
    """Build the stack again with other settings; all have one project, which is removed afterwards."""
    name, port = f"t-{secrets.token_hex(4)}", free_port()

    def make(replicas: int = 2, **env: str) -> Stack:
        spec = Spec(plugin="box", replicas=replicas, ports=Ports(http=port), env=env)
        site = Site(tmp_path, os.geteuid(), os.getegid())
        return build(
            VaultService(metadata=Metadata(name=name), spec=spec),
            BoxPlugin(),
            site,
            {},
            lambda path: None,
            front=FRONT,
        )

    yield make
    remove_project(make().project)


@pytest.fixture
def library_leaks() -> Iterator[None]:
    """For tests of failing connections, whose sockets Docker's library leaves to the garbage collector."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        yield
        gc.collect()
