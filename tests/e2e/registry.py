"""A registry that knows one image, under every tag that is asked for: something to pull from without a network.

It speaks the part of the OCI distribution protocol that a pull needs, and serves what `docker save` wrote.
"""

from __future__ import annotations

import json
import re
import tarfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from shutil import copyfileobj
from typing import Final

from tests.e2e.docker_cli import docker

NAME: Final = "image"
REQUEST: Final = re.compile(rf"/v2/{NAME}/(manifests|blobs)/([A-Za-z0-9_.:-]+)")


@contextmanager
def registry(image: str, directory: Path, delay: float = 0.0, port: int = 0) -> Iterator[str]:
    """The name of an image, without a tag, that can be pulled while the block runs; `directory` is for its layers.

    The first answer about its manifest takes `delay` seconds, as a large image or a slow line does. Without a `port` it is
    any that is free.
    """
    archive = directory / "image.tar"
    docker("save", "--output", str(archive), image)
    with tarfile.open(archive) as layout:
        layout.extractall(directory, filter="data")
    archive.unlink()
    (manifest,) = json.loads((directory / "index.json").read_text())["manifests"]

    rest = [delay]

    class Handler(BaseHTTPRequestHandler):
        """The engine of this machine is the only client."""

        def do_GET(self) -> None:
            """Answer with a file of the archive."""
            asked = REQUEST.fullmatch(self.path)
            if asked is None:
                self._answer(200 if self.path == "/v2/" else 404)
            elif asked[1] == "manifests":
                while rest:
                    time.sleep(rest.pop())
                self._send(manifest["digest"], manifest["mediaType"])
            else:
                self._send(asked[2], "application/octet-stream")

        do_HEAD = do_GET  # noqa: N815

        def _send(self, digest: str, media_type: str) -> None:
            path = directory / "blobs" / digest.replace(":", "/")
            if not path.is_file():
                self._answer(404)
                return
            self._answer(200, path.stat().st_size, media_type, digest)
            if self.command == "GET":
                with path.open("rb") as file:
                    copyfileobj(file, self.wfile)

        def _answer(self, status: int, length: int = 0, media_type: str = "", digest: str = "") -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(length))
            if digest:
                self.send_header("Content-Type", media_type)
                self.send_header("Docker-Content-Digest", digest)
            self.end_headers()

        def log_message(self, format: str, *arguments: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    serving = threading.Thread(target=server.serve_forever, name="registry", daemon=True)
    serving.start()
    try:
        yield f"127.0.0.1:{server.server_port}/{NAME}"
    finally:
        server.shutdown()
        serving.join()
        server.server_close()
