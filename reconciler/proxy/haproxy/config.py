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
from pathlib import Path
from typing import Final

from reconciler.api.traffic import MAX_CONNECTIONS
from reconciler.core.assess.observation import DEFAULT_WEIGHT
from reconciler.core.desired.stack import ProxySettings
from reconciler.proxy.haproxy.containers import (
    CONFIG_MOUNT,
    EXPORTER_PREFIX,
    HARD_STOP_MARGIN,
    INNER_PORT,
    LEAVE_ROOT,
    RUN_MOUNT,
    SLOT_VARIABLE,
    host_address,
    host_exporter,
)
from reconciler.proxy.haproxy.headers import FOLDED, OURS, REQUEST_ID, expression
from reconciler.proxy.haproxy.successor import successor
from reconciler.proxy.haproxy.template import filled
from reconciler.proxy.haproxy.times import CLASSES, rules
from reconciler.proxy.haproxy.values import (
    ERROR_LIMIT,
    address_text,
    bind_address,
    check_host,
    check_options,
    check_path,
    header_bytes,
    image_text,
    milliseconds,
    name_text,
    weighed,
)

__all__ = [
    "CONFIG_FILE",
    "EVENTS_SOCKET",
    "Written",
    "asset_names",
    "assets",
    "digest_of",
    "read_back",
    "render",
    "state_file",
    "structure",
]

CONFIG_FILE: Final = "haproxy.cfg"
EVENTS_SOCKET: Final = "events.sock"
"""The socket to which HAProxy logs servers that went UP or DOWN; beside its configuration, where it cannot create files."""

_SUCCESSOR: Final = "public"
SUCCESSOR_PORT: Final = 8079
"""TCP port on the namespace's loopback where a leaving worker passes requests to the current one."""

MAX_REWRITE: Final = 2048
"""Bytes beside the headers of a request for those that HAProxy adds."""
RETRY_AFTER: Final = 5
"""Retry-After of a 503, in seconds."""
RETRIES: Final = 2 * ERROR_LIMIT + 1
"""Attempts after the first one. A dead server has the fewest connections, so the same request may be sent to it until
its errors have taken it DOWN, and then to another dead one; the last attempt is for a live replica.
"""
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
    pairs = sorted((name_text("server name", name), address_text(address)) for name, address in servers)
    if len({name for name, _ in pairs}) != len(pairs):
        raise ValueError("server name: given twice")
    shares = {name: weighed(weight) for name, weight in weights if weight != DEFAULT_WEIGHT}
    lines = tuple((n, f"{where} weight {shares[n]}" if n in shares else where) for n, where in pairs)
    text = _text(settings, lines, structure(settings), image_text(image))
    return {**assets(), CONFIG_FILE: text}


@lru_cache(maxsize=256)
def structure(settings: ProxySettings) -> str:
    """The digest, 12 hex digits, of the configuration of these settings without the servers."""
    return digest_of(assets(), _text(settings, (), "-", "-"))


def read_back(files: Mapping[str, str]) -> Written | None:
    """Parses the files of a configuration directory; None without a haproxy.cfg."""
    text = files.get(CONFIG_FILE)
    if text is None:
        return None
    accepted, servers = _ACCEPTED.search(text), _SERVER.findall(text)
    return Written(
        structure=digest_of({name: files.get(name, "") for name in assets()}, text),
        servers={name: address for name, address, _ in servers},
        image=accepted[1] if accepted else "",
        weights={name: int(weight) for name, _, weight in servers if weight},
    )


def state_file(slot: int | str) -> str:
    """The name of the file beside haproxy.cfg that passes the servers' states to the next worker."""
    return f"servers-{slot}.state"


def asset_names() -> tuple[str, ...]:
    """The files beside haproxy.cfg, relative to it."""
    return tuple(assets())


def _text(settings: ProxySettings, servers: tuple[tuple[str, str], ...], digest: str, image: str) -> str:
    dropped = expression(settings.drop_headers)
    values = {
        "image": image,
        "structure": digest,
        "pool": name_text("pool", settings.pool),
        "health_path": check_path(settings.health.path),
        "health_host": check_host(settings.health.host),
        "when_empty": _when_empty(settings),
        "answer_times": rules(),
        "classes": CLASSES,
        # Between the drain deadline and the engine's SIGKILL, so that HAProxy itself cuts the remaining sessions.
        "hard_stop_ms": milliseconds("drain seconds", settings.drain_seconds) + round(HARD_STOP_MARGIN * 500),
        "checks": check_options(settings.health),
        "max_connections": MAX_CONNECTIONS,
        "max_rewrite": MAX_REWRITE,
        "buffer_bytes": header_bytes(settings.header_kib) + MAX_REWRITE,
        "ours": expression(OURS),
        "folded": expression(FOLDED, other_marks=True),
        "request_id": expression(REQUEST_ID),
        "and_dropped": f"\n    http-request del-header '{dropped}' -m reg" if dropped else "",
        "retries": RETRIES,
        "retry_after": RETRY_AFTER,
        "socket": f"{RUN_MOUNT}/admin-${{{SLOT_VARIABLE}}}.sock",
        **_place(settings),
        "events": f"{CONFIG_MOUNT}/{EVENTS_SOCKET}",
        "state_file": f"{CONFIG_MOUNT}/{state_file(f'${{{SLOT_VARIABLE}}}')}",
    }
    timeouts = {
        f"timeout_{name}": f"{milliseconds('timeout', seconds)}ms" for name, seconds in TIMEOUTS.items()
    }
    # The template ends with the section that servers belong to.
    return filled(_HERE / "haproxy.cfg.template", {**values, **timeouts}) + "".join(
        f"    server {name} {where}\n" for name, where in servers
    )


def _place(settings: ProxySettings) -> dict[str, str]:
    """What depends on whose network it is: that of a namespace of its own, or that of the host."""
    slot = f"${{{SLOT_VARIABLE}}}"
    if settings.opens is None:
        loopback = f"127.0.0.1:{SUCCESSOR_PORT}"
        return {
            "process": "",
            "public": f":{INNER_PORT}",
            "from_leaving": loopback,
            "exporter": f":{EXPORTER_PREFIX}{slot}",
            "successors": f"    server next {loopback} send-proxy-v2",
        }
    address, port = settings.opens
    return {
        "process": f"{LEAVE_ROOT}\n",
        "public": host_address(bind_address(address), port),
        "from_leaving": f'"unix@{RUN_MOUNT}/next-{_SUCCESSOR}-{slot}.sock" mode 660',
        "exporter": f"{host_exporter(port)}:{EXPORTER_PREFIX}{slot}",
        "successors": successor(_SUCCESSOR, "http", {"run": RUN_MOUNT}),
    }


def _when_empty(settings: ProxySettings) -> str:
    """What becomes of a request while no server can take it."""
    pool = name_text("pool", settings.pool)
    if settings.is_stopped:
        return (
            "    # The service is stopped: no replica comes back by itself.\n"
            '    http-request return status 503 content-type "text/html; charset=utf-8" lf-file pages/stopped.html '
            f"hdr Cache-Control no-store if {{ nbsrv({pool}) eq 0 }} !{{ stopping }}"
        )
    return (
        "    # Between two versions of a single replica the pool is empty for a moment: wait for it instead of failing.\n"
        f"    http-request lua.hold {pool} {milliseconds('hold seconds', settings.hold_seconds)} "
        f"if {{ nbsrv({pool}) eq 1 }} {{ str({pool}),table_gpt0(closing) gt 0 }} or {{ nbsrv({pool}) eq 0 }}"
    )


@cache
def assets() -> dict[str, str]:
    """The files beside the configuration, by relative path."""
    paths = [*sorted(_HERE.glob("*.lua")), *sorted((_HERE / "pages").glob("*.html"))]
    return {str(path.relative_to(_HERE)): path.read_text(encoding="utf-8") for path in paths}


def digest_of(files: Mapping[str, str], text: str) -> str:
    """The digest of a configuration without its servers, and of the files beside it."""
    for variable in (_ACCEPTED, _DESCRIPTION, _SERVER):
        text = variable.sub("", text)
    whole = hashlib.sha256(text.encode())
    for name, content in sorted(files.items()):
        whole.update(f"\0{name}\0{content}".encode())
    return whole.hexdigest()[:12]
