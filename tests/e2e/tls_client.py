"""What a client of HTTPS meets: curl and openssl, which are no code of ours."""

from __future__ import annotations

import subprocess
from pathlib import Path

from tests.e2e.docker_cli import docker


def curl(url: str, host: str, port: int, *options: str) -> str:
    """What a user gets, or why not."""
    done = subprocess.run(
        ["curl", "--silent", "--show-error", "--max-time", "20", "--resolve", f"{host}:{port}:127.0.0.1",
         "--output", "/dev/null", "--write-out", "%{http_code} %{redirect_url}", *options, url],
        capture_output=True, text=True, timeout=40,
    )  # fmt: skip
    return (done.stdout + done.stderr).strip()


def curl_http3(url: str, host: str, port: int, root: Path) -> str:
    """The version and status of an answer by HTTP/3 and nothing else; curl of Debian 12 does not speak it."""
    return docker(
        "run", "--rm", "--network=host", f"--volume={root}:/root.pem:ro", "--user=0", "--entrypoint=curl",
        "vault-reconciler/whoami:latest", "--silent", "--http3-only", "--max-time", "20", "--cacert", "/root.pem",
        "--resolve", f"{host}:{port}:127.0.0.1", "--output", "/dev/null", "--write-out", "%{http_version} %{http_code}",
        url, check=False,
    )  # fmt: skip


def served_serial(host: str, port: int, address: str = "127.0.0.1") -> str:
    """The serial number of the certificate that a client of this host meets at an address, in lower case."""
    met = subprocess.run(
        ["openssl", "s_client", "-connect", f"{address}:{port}", "-servername", host],
        input="", capture_output=True, text=True, timeout=30,
    ).stdout  # fmt: skip
    shown = ["openssl", "x509", "-noout", "-serial"]
    return subprocess.run(shown, input=met, capture_output=True, text=True, timeout=30).stdout.lower()
