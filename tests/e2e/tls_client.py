"""What a client of HTTPS meets: curl and openssl, which are no code of ours."""

from __future__ import annotations

import subprocess


def curl(url: str, host: str, port: int, *options: str) -> str:
    """What a user gets, or why not."""
    done = subprocess.run(
        ["curl", "--silent", "--show-error", "--max-time", "20", "--resolve", f"{host}:{port}:127.0.0.1",
         "--output", "/dev/null", "--write-out", "%{http_code} %{redirect_url}", *options, url],
        capture_output=True, text=True, timeout=40,
    )  # fmt: skip
    return (done.stdout + done.stderr).strip()


def served_serial(host: str, port: int) -> str:
    """The serial number of the certificate that a client of this host meets, in lower case."""
    met = subprocess.run(
        ["openssl", "s_client", "-connect", f"127.0.0.1:{port}", "-servername", host],
        input="", capture_output=True, text=True, timeout=30,
    ).stdout  # fmt: skip
    shown = ["openssl", "x509", "-noout", "-serial"]
    return subprocess.run(shown, input=met, capture_output=True, text=True, timeout=30).stdout.lower()
