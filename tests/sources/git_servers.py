"""Git servers for tests: git's smart HTTP backend, and OpenSSH."""

from __future__ import annotations

import getpass
import os
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from tests.sources.git_repository import PERSON, SECONDS, sh


class _Backend(BaseHTTPRequestHandler):
    """git http-backend as a CGI program; with `credentials`, it requires them."""

    projects: Path
    credentials: str = ""

    def do_GET(self) -> None:
        self._serve()

    def do_POST(self) -> None:
        self._serve()

    def log_message(self, format: str, *args: Any) -> None:
        """No log output in tests."""

    def _serve(self) -> None:
        if self.credentials and self.headers.get("Authorization") != f"Basic {self.credentials}":
            self.send_response(401)
            self.send_header("WWW-Authenticate", 'Basic realm="git"')
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        path, _, query = self.path.partition("?")
        length = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(length) if length else b""
        if self.headers.get("Transfer-Encoding") == "chunked":
            body = b"".join(self._chunks())
        done = subprocess.run(
            ["git", "http-backend"],
            input=body,
            capture_output=True,
            timeout=SECONDS,
            check=False,
            env={
                **PERSON,
                "GIT_PROJECT_ROOT": str(self.projects),
                "GIT_HTTP_EXPORT_ALL": "1",
                "PATH_INFO": path,
                "QUERY_STRING": query,
                "REQUEST_METHOD": self.command,
                "CONTENT_TYPE": self.headers.get("Content-Type", ""),
                "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
                "HTTP_GIT_PROTOCOL": self.headers.get("Git-Protocol", ""),
                "REMOTE_ADDR": "127.0.0.1",
            },
        )
        head, _, content = done.stdout.partition(b"\r\n\r\n")
        headers = dict(line.split(": ", 1) for line in head.decode().split("\r\n"))
        self.send_response(int(headers.pop("Status", "200 OK").split()[0]))
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def _chunks(self) -> Iterator[bytes]:
        while size := int(self.rfile.readline(), 16):
            yield self.rfile.read(size)
            self.rfile.readline()


@contextmanager
def serving(projects: Path, credentials: str = "", port: int = 0) -> Iterator[str]:
    """Serve the repositories below `projects` and yield the URL; `credentials` are those of Basic authentication."""
    handler = type("Backend", (_Backend,), {"projects": projects, "credentials": credentials})
    server = ThreadingHTTPServer(("127.0.0.1", port), handler)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()


@dataclass(frozen=True)
class SSH:
    """A running sshd: the URL of the repository, the key that may log in, and the host's own."""

    url: str
    key: Path
    known_hosts: Path


def find_sshd(place: Path) -> list[str]:
    """The command line of the machine's sshd, or of one from its package, unpacked in `place` without installing it."""
    found = shutil.which("sshd", path=f"{os.environ['PATH']}:/usr/sbin")
    if found:
        return [found]
    sh("apt-get", "download", "openssh-server", "libwrap0", cwd=place)
    for package in place.glob("*.deb"):
        sh("dpkg-deb", "--extract", package.name, "root", cwd=place)
    (library,) = place.glob("root/**/libwrap.so.0")
    # The user that the package's installation would add exists only for this program.
    passwd = place / "passwd"
    passwd.write_text(Path("/etc/passwd").read_text() + "sshd:x:65533:65534::/run/sshd:/usr/sbin/nologin\n")
    alone = 'mount --bind "$1" /etc/passwd && shift && exec "$@"'
    environ = f"LD_LIBRARY_PATH={library.parent}"
    program = str(place / "root/usr/sbin/sshd")
    return ["unshare", "--mount", "sh", "-c", alone, "sh", str(passwd), "env", environ, program]


@contextmanager
def serving_ssh(sshd: list[str], directory: Path, bare: Path) -> Iterator[SSH]:
    """Serve the repository `bare` to one key; keys and configuration are in `directory`, which is made."""
    directory.mkdir(mode=0o700)
    for name in ("host", "user"):
        sh("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(directory / name), cwd=directory)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    authorized = directory / "authorized"
    authorized.write_text((directory / "user.pub").read_text())
    known = directory / "known"
    known.write_text(f"[127.0.0.1]:{port} {(directory / 'host.pub').read_text()}")
    config = directory / "config"
    config.write_text(
        f"Port {port}\nListenAddress 127.0.0.1\nHostKey {directory}/host\nAuthorizedKeysFile {authorized}\n"
        f"PidFile {directory}/pid\nStrictModes no\nUsePAM no\nPasswordAuthentication no\n"
    )
    # OpenSSH requires this empty directory for privilege separation.
    Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
    with _running([*sshd, "-D", "-e", "-f", str(config)], port):
        yield SSH(f"ssh://{getpass.getuser()}@127.0.0.1:{port}{bare}", directory / "user", known)


@contextmanager
def _running(command: list[str], port: int) -> Iterator[None]:
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as process:
        try:
            deadline = time.monotonic() + SECONDS
            while True:
                try:
                    socket.create_connection(("127.0.0.1", port), timeout=1).close()
                    break
                except OSError:
                    assert process.poll() is None, "sshd ended"
                    assert time.monotonic() < deadline
                    time.sleep(0.05)
            yield
        finally:
            process.terminate()
