"""The real docker-registry on this machine, and images to put into it."""

from __future__ import annotations

import http.client
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Final

from tests.e2e.docker_cli import docker
from tests.e2e.stage import free_port
from tests.e2e.waiting import until

ROOT: Final = Path(__file__).parents[2]
PROVIDING_SECONDS: Final = 400
ENDING_SECONDS: Final = 30.0
ANSWER_SECONDS: Final = 30.0
PUSH_SECONDS: Final = 200.0
COMING: Final = "coming"
"""A tag that is no version, so no policy takes it."""
MANIFESTS: Final = (
    "application/vnd.docker.distribution.manifest.v2+json, application/vnd.oci.image.manifest.v1+json, "
    "application/vnd.oci.image.index.v1+json"
)

USER: Final = "anna"
PASSWORD: Final = "canary-of-the-registry"
HTPASSWD: Final = "anna:$2y$04$.e6vW39JYSDIlWGbkPUi..1Q3kbRUnIZDevoOFLkvanvLU.7tfmFO"
"""The line of that user; the registry reads no other kind of digest than bcrypt."""

CONFIG: Final = """\
version: 0.1
log: {{level: error, accesslog: {{disabled: true}}}}
storage:
  filesystem: {{rootdirectory: {storage}}}
  delete: {{enabled: true}}
http: {{addr: "{host}"}}
"""
AUTH: Final = "auth: {{htpasswd: {{realm: test, path: {htpasswd}}}}}\n"


@dataclass
class DockerRegistry:
    """A registry that runs; `host` is its address."""

    host: str
    process: subprocess.Popen[bytes]

    def push(self, source: str, repository: str, tag: str, *changes: str) -> str:
        """Push an image with these changes of its configuration, as a Dockerfile writes them; returns name and digest.

        Nothing of it stays on this machine but what its containers hold. The tag comes last, when the image has gone from
        here: a controller that follows the registry may make a container of it at once, and an image that a container
        uses cannot be removed.
        """
        name = f"{self.host}/{repository}:{COMING}"
        container = docker("create", source, "true")
        try:
            docker("commit", *(word for change in changes for word in ("--change", change)), container, name)
        finally:
            docker("rm", "--force", container)
        # The engine compresses all layers for a registry that has none.
        docker("push", "--quiet", name, timeout=PUSH_SECONDS)
        digest = docker("image", "inspect", "--format", "{{index .RepoDigests 0}}", name).partition("@")[2]
        docker("rmi", name)
        kind, manifest = self._ask("GET", repository, digest)
        self._ask("PUT", repository, tag, manifest, {"Content-Type": kind})
        return f"{self.host}/{repository}:{tag}@{digest}"

    def _ask(
        self,
        method: str,
        repository: str,
        reference: str,
        content: bytes = b"",
        headers: Mapping[str, str] = MappingProxyType({"Accept": MANIFESTS}),
    ) -> tuple[str, bytes]:
        """The type and the content of an answer about one manifest."""
        connection = http.client.HTTPConnection(self.host, timeout=ANSWER_SECONDS)
        try:
            connection.request(method, f"/v2/{repository}/manifests/{reference}", content, dict(headers))
            answer = connection.getresponse()
            told = answer.read()
        finally:
            connection.close()
        assert answer.status < 300, f"{method} {reference}: {answer.status} {told!r}"
        return answer.getheader("Content-Type", ""), told

    def end(self) -> None:
        """Take it away."""
        self.process.terminate()
        self.process.wait(ENDING_SECONDS)


def provided() -> str:
    """The path of the program; the first time it is fetched, which a namespace without a network cannot."""
    found = subprocess.run(
        [ROOT / "scripts" / "docker-registry"],
        capture_output=True,
        text=True,
        timeout=PROVIDING_SECONDS,
        check=False,
    )
    assert found.returncode == 0, found.stderr
    return found.stdout.splitlines()[-1]


@contextmanager
def docker_registry(
    directory: Path, *, logins: Sequence[str] = (), port: int = 0, address: str = "127.0.0.1"
) -> Iterator[DockerRegistry]:
    """A registry that keeps its images in `directory` and knows the users of the htpasswd lines `logins`; all, if none.

    An engine speaks with another `address` than one of its own machine only by TLS, unless it is told otherwise.
    """
    program = provided()
    host = f"{address}:{port or free_port()}"
    text = CONFIG.format(storage=directory / "storage", host=host)
    if logins:
        (directory / "htpasswd").write_text("\n".join(logins) + "\n")
        text += AUTH.format(htpasswd=directory / "htpasswd")
    config = directory / "config.yml"
    config.write_text(text)
    with (directory / "registry.log").open("ab") as log:
        process = subprocess.Popen([program, "serve", config], stdout=log, stderr=log)
    registry = DockerRegistry(host, process)
    try:
        until("the registry answers", lambda: process.poll() is not None or _answers(host))
        assert process.poll() is None, (directory / "registry.log").read_text()
        yield registry
    finally:
        process.kill()
        process.wait()


def _answers(host: str) -> bool:
    connection = http.client.HTTPConnection(host, timeout=5)
    try:
        connection.request("GET", "/v2/")
        return connection.getresponse().status in (200, 401)
    except OSError:
        return False
    finally:
        connection.close()
