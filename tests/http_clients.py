"""h2load, nghttp and wrk: clients of HTTP that are no code of ours, and stricter than curl about HTTP/2."""

from __future__ import annotations

import re
import subprocess
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[1]
INSTALL_SECONDS = 400.0
CLIENT_SECONDS = 120.0


@cache
def programs() -> Path:
    """The directory of the three."""
    done = subprocess.run(
        [ROOT / "scripts" / "http-clients"],
        capture_output=True,
        text=True,
        timeout=INSTALL_SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return Path(done.stdout.splitlines()[-1])


def told(program: str, *arguments: str, body: bytes | None = None) -> str:
    """What one of them prints, with its errors."""
    done = subprocess.run(
        [programs() / program, *arguments],
        input=body, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=CLIENT_SECONDS, check=False,
    )  # fmt: skip
    text = done.stdout.decode(errors="replace")
    assert done.returncode == 0, f"{program} {' '.join(arguments)} ended with {done.returncode}: {text}"
    return text


def counts(text: str) -> dict[str, int]:
    """The summary of h2load: `total`, `succeeded`, `failed`, `errored`, `2xx`, …"""
    lines = [line for line in text.splitlines() if line.startswith(("requests:", "status codes:"))]
    assert len(lines) == 2, text
    return {what: int(number) for line in lines for number, what in re.findall(r"(\d+) (\w+)", line)}
