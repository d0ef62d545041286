"""A client of HTTP/3: curl of the demo's image, in a container on the engine's bridge."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from reconciler.api.vaultgateway import GatewaySpec
from tests.proxy.conftest import REPLICA_IMAGE, docker, new_name
from tests.proxy.haproxy.gateway.conftest import HTTPS, SPEC, GatewayWorld

__all__ = ["SPEAKING", "Curl", "curl_container"]

SPEAKING: Final[GatewaySpec] = SPEC.model_copy(
    update={
        "listeners": tuple(
            each.model_copy(update={"http3": each.protocol == "HTTPS"}) for each in SPEC.listeners
        )
    }
)


@dataclass
class Curl:
    """curl in a container, on the engine's bridge."""

    container: str
    front: GatewayWorld

    def __call__(
        self, url: str, *options: str, body: bytes | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Ask for a URL at the gateway, whatever its host is."""
        host, _, port = url.split("/")[2].partition(":")
        words = ["curl", "--silent", "--show-error", "--insecure", "--max-time", "20"]
        words += [
            "--resolve",
            f"{host}:{port}:{self.front.address}",
            "--write-out",
            "\n%{http_version} %{http_code}",
        ]
        words += [*options, url]
        return subprocess.run(
            ["docker", "exec", "--interactive", self.container, *words],
            input=body.decode() if body else "", capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip

    def only(self, path: str = "/", *options: str, host: str = "a.test") -> str:
        """By HTTP/3 and nothing else; with its head."""
        done = self(f"https://{host}:{HTTPS}{path}", "--http3-only", "--include", *options)
        return done.stdout + done.stderr


@contextmanager
def curl_container() -> Iterator[str]:
    """The name of a container that has curl."""
    name = new_name("curl")
    try:
        docker(
            "run", "--detach", f"--name={name}", "--no-healthcheck", "--entrypoint=sleep", REPLICA_IMAGE, "infinity"
        )  # fmt: skip
        yield name
    finally:
        docker("rm", "--force", name, check=False)
