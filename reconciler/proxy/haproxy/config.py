"""Renders haproxy.cfg as a pure function of a stack, and parses it.

The template can be read on its own; this module computes its numbers and rejects values that could inject configuration.
The *structure* is the digest of everything but the servers: a change of it needs a reload, while servers change at run
time. It is computed from the text itself, so that a manual edit of the file is seen as drift.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache, lru_cache
from ipaddress import AddressValueError, IPv4Address
from math import isfinite
from pathlib import Path
from string import Template
from typing import Final

from reconciler.core.assess.observation import DEFAULT_WEIGHT, MAX_WEIGHT
from reconciler.core.desired.stack import Probe, ProxySettings
from reconciler.proxy.haproxy.containers import (
    CONFIG_MOUNT,
    EXPORTER_PREFIX,
    HARD_STOP_MARGIN,
    INNER_PORT,
    RUN_MOUNT,
    SLOT_VARIABLE,
)
from reconciler.proxy.haproxy.headers import FOLDED, OURS, REQUEST_ID, expression

__all__ = [
    "CONFIG_FILE",
    "EVENTS_SOCKET",
    "Written",
    "asset_names",
    "check_options",
    "read_back",
    "render",
    "state_file",
    "structure",
    "weighed",
]

CONFIG_FILE: Final = "haproxy.cfg"
EVENTS_SOCKET: Final = "events.sock"
"""The socket to which HAProxy logs servers that went UP or DOWN; beside its configuration, where it cannot create files."""

SUCCESSOR_PORT: Final = 8079
"""TCP port on the namespace's loopback where a leaving worker passes requests to the current one."""

MAX_CONNECTIONS: Final = 8192
"""Client connections of one HAProxy. Without a limit it sizes its tables by the container's open-files limit."""
MAX_REWRITE: Final = 2048
"""Bytes beside the headers of a request for those that HAProxy adds."""
RETRY_AFTER: Final = 5
"""Retry-After of a 503, in seconds."""
FAST_CHECK: Final = 0.25
"""Seconds between two checks of a server whose state is changing (fastinter)."""
START_CHECK: Final = 0.1
"""Seconds between two checks of a server that is DOWN (downinter), usually because it is starting."""
RISE: Final = 1
FALL: Final = 3
"""Consecutive checks that set a server UP or DOWN: the thresholds of a Kubernetes readiness probe."""
ERROR_LIMIT: Final = 3
"""Consecutive failed connections that set a server DOWN before its next check."""
RETRIES: Final = 2 * ERROR_LIMIT + 1
"""Attempts after the first one. A dead server has the fewest connections, so the same request may be sent to it until
its errors have taken it DOWN, and then to another dead one; the last attempt is for a live replica.
"""
MAX_HEADER_KIB: Final = 1024
TIMEOUTS: Final = {
    "request": 10.0,
    "keep_alive": 30.0,
    "connect": 2.0,
    "queue": 30.0,
    "client": 60.0,
    "server": 300.0,
    "tunnel": 3600.0,
    "half_closed": 10.0,
    "check": 3.0,
}
"""HAProxy's timeouts in seconds."""
LONGEST: Final = 24 * 86400.0
"""Seconds of HAProxy's longest duration: it counts milliseconds in 31 bits."""

_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,62}")
_HOST: Final = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9.-]{0,251}[A-Za-z0-9])?(?::[0-9]{1,5})?")
_PATH: Final = re.compile(r"/(?:[A-Za-z0-9._~:@!&=+,;*/?-]|%[0-9A-Fa-f]{2}){0,255}")
_IMAGE: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/@-]{0,399}")

_ACCEPTED: Final = re.compile(r"^# Accepted by (.*)\n", re.MULTILINE)
_DESCRIPTION: Final = re.compile(r"^    description .*\n", re.MULTILINE)
_SERVER: Final = re.compile(r"^    server (\S+) (\S+)(?: weight (0|[1-9][0-9]{0,2}))?\n", re.MULTILINE)
_HERE: Final = Path(__file__).parent


@dataclass(frozen=True, slots=True)
class Written:
    """The parsed files of a configuration directory: structure, servers (name to address), and the image
    whose HAProxy accepted it. `weights`: by name, where it is not the default.
    """

    structure: str
    servers: Mapping[str, str]
    image: str
    weights: Mapping[str, int] = field(default_factory=dict)


def render(
    settings: ProxySettings,
    servers: Iterable[tuple[str, str]],
    image: str,
    weights: Iterable[tuple[str, int]] = (),
) -> dict[str, str]:
    """All files of the configuration directory, by relative path.

    `servers` are pairs of name and "IPv4:port"; they are written in order of name. `weights` are pairs of name and weight.
    Raises ValueError, naming the field, for a value that HAProxy could read as something else.
    """
    pairs = sorted((_matching("server name", _NAME, name), _address(address)) for name, address in servers)
    if len({name for name, _ in pairs}) != len(pairs):
        raise ValueError("server name: given twice")
    shares = {name: weighed(weight) for name, weight in weights if weight != DEFAULT_WEIGHT}
    lines = tuple((n, f"{where} weight {shares[n]}" if n in shares else where) for n, where in pairs)
    text = _text(settings, lines, structure(settings), _matching("image", _IMAGE, image))
    return {**_assets(), CONFIG_FILE: text}


@lru_cache(maxsize=256)
def structure(settings: ProxySettings) -> str:
    """The digest, 12 hex digits, of the configuration of these settings without the servers."""
    return _digest(_assets(), _text(settings, (), "-", "-"))


def read_back(files: Mapping[str, str]) -> Written | None:
    """Parses the files of a configuration directory; None without a haproxy.cfg."""
    text = files.get(CONFIG_FILE)
    if text is None:
        return None
    accepted = _ACCEPTED.search(text)
    return Written(
        structure=_digest({name: files.get(name, "") for name in _assets()}, text),
        servers={name: address for name, address, _ in _SERVER.findall(text)},
        image=accepted[1] if accepted else "",
        weights={name: int(weight) for name, _, weight in _SERVER.findall(text) if weight},
    )


def weighed(weight: int) -> int:
    """The weight, if it is valid for HAProxy."""
    if not 0 <= weight <= MAX_WEIGHT:
        raise ValueError(f"server weight: {weight!r} is not from 0 to {MAX_WEIGHT}")
    return weight


def state_file(slot: int | str) -> str:
    """The name of the file beside haproxy.cfg that passes the servers' states to the next worker."""
    return f"servers-{slot}.state"


def asset_names() -> tuple[str, ...]:
    """The files beside haproxy.cfg, relative to it."""
    return tuple(_assets())


def check_options(health: Probe) -> str:
    """The keywords of a server's health check.

    A server that is added at run time inherits nothing from `default-server`, so both are made from this.
    """
    inter = max(1, _ms("health check interval", health.interval))
    fast, start = (min(inter, round(seconds * 1000)) for seconds in (FAST_CHECK, START_CHECK))
    return (
        f"check inter {inter}ms fastinter {fast}ms downinter {start}ms rise {RISE} fall {FALL} "
        f"observe layer4 error-limit {ERROR_LIMIT} on-error mark-down"
    )


class _Template(Template):
    """Its own mark, because `$` and braces are HAProxy's."""

    delimiter = "@"


@cache
def _template() -> _Template:
    return _Template((_HERE / "haproxy.cfg.template").read_text(encoding="utf-8"))


def _text(settings: ProxySettings, servers: tuple[tuple[str, str], ...], digest: str, image: str) -> str:
    dropped = expression(settings.drop_headers)
    values = {
        "image": image,
        "structure": digest,
        "pool": _matching("pool", _NAME, settings.pool),
        "health_path": _matching("health check path", _PATH, settings.health.path),
        "health_host": _matching("health check host", _HOST, settings.health.host),
        "hold_ms": _ms("hold seconds", settings.hold_seconds),
        # Between the drain deadline and the engine's SIGKILL, so that HAProxy itself cuts the remaining sessions.
        "hard_stop_ms": _ms("drain seconds", settings.drain_seconds) + round(HARD_STOP_MARGIN * 500),
        "checks": check_options(settings.health),
        "max_connections": MAX_CONNECTIONS,
        "max_rewrite": MAX_REWRITE,
        "buffer_bytes": _header_bytes(settings.header_kib) + MAX_REWRITE,
        "ours": expression(OURS),
        "folded": expression(FOLDED, other_marks=True),
        "request_id": expression(REQUEST_ID),
        "and_dropped": f"\n    http-request del-header '{dropped}' -m reg" if dropped else "",
        "retries": RETRIES,
        "retry_after": RETRY_AFTER,
        "inner_port": INNER_PORT,
        "successor_port": SUCCESSOR_PORT,
        "exporter_port": f"{EXPORTER_PREFIX}${{{SLOT_VARIABLE}}}",
        "socket": f"{RUN_MOUNT}/admin-${{{SLOT_VARIABLE}}}.sock",
        "events": f"{CONFIG_MOUNT}/{EVENTS_SOCKET}",
        "state_file": f"{CONFIG_MOUNT}/{state_file(f'${{{SLOT_VARIABLE}}}')}",
    }
    timeouts = {f"timeout_{name}": f"{_ms('timeout', seconds)}ms" for name, seconds in TIMEOUTS.items()}
    # The template ends with the section that servers belong to.
    return _template().substitute(values, **timeouts) + "".join(
        f"    server {name} {where}\n" for name, where in servers
    )


@cache
def _assets() -> dict[str, str]:
    paths = [_HERE / "hold.lua", *sorted((_HERE / "pages").glob("*.html"))]
    return {str(path.relative_to(_HERE)): path.read_text(encoding="utf-8") for path in paths}


def _digest(assets: Mapping[str, str], text: str) -> str:
    for variable in (_ACCEPTED, _DESCRIPTION, _SERVER):
        text = variable.sub("", text)
    whole = hashlib.sha256(text.encode())
    for name, content in sorted(assets.items()):
        whole.update(f"\0{name}\0{content}".encode())
    return whole.hexdigest()[:12]


def _matching(field: str, pattern: re.Pattern[str], value: str) -> str:
    if not pattern.fullmatch(value):
        raise ValueError(f"{field}: {value!r} cannot be written into an HAProxy configuration")
    return value


def _address(value: str) -> str:
    host, _, port = value.rpartition(":")
    try:
        address = IPv4Address(host)
    except AddressValueError:
        raise ValueError(f"server address: {value!r} is not IPv4:port") from None
    if not (port.isascii() and port.isdigit() and len(port) <= 5 and 1 <= int(port) <= 65535):
        raise ValueError(f"server address: {value!r} has no port from 1 to 65535")
    return f"{address}:{int(port)}"


def _header_bytes(kib: int) -> int:
    if not 1 <= kib <= MAX_HEADER_KIB:
        raise ValueError(f"header KiB: {kib!r} is not from 1 to {MAX_HEADER_KIB}")
    return kib * 1024


def _ms(field: str, seconds: float) -> int:
    if not (isfinite(seconds) and 0 <= seconds <= LONGEST):
        raise ValueError(f"{field}: {seconds!r} is not from 0 to {LONGEST:.0f} seconds")
    return round(seconds * 1000)
