"""Renders the configuration of a gateway, and reads it back.

Its structure is the digest of all that takes a reload to change: the gateway's own file and which pools there are. Servers
and maps are no part of it.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Final

from reconciler.api.traffic import MAX_CONNECTIONS
from reconciler.api.vaultgateway import GatewaySpec
from reconciler.proxy.haproxy.config import (
    EVENTS_SOCKET,
    MAX_REWRITE,
    RETRIES,
    RETRY_AFTER,
    TIMEOUTS,
    assets,
    digest_of,
    state_file,
)
from reconciler.proxy.haproxy.containers import (
    CONFIG_MOUNT,
    EXPORTER_PREFIX,
    HARD_STOP_MARGIN,
    LEAVE_ROOT,
    RUN_MOUNT,
    SLOT_VARIABLE,
    host_exporter,
)
from reconciler.proxy.haproxy.gateway.maps import MAPS
from reconciler.proxy.haproxy.gateway.pool_file import head
from reconciler.proxy.haproxy.gateway.sections import clients_section, http_section, tcp_section
from reconciler.proxy.haproxy.headers import FOLDED, OURS, REQUEST_ID, expression
from reconciler.proxy.haproxy.template import filled, repeated
from reconciler.proxy.haproxy.times import CLASSES, rules
from reconciler.proxy.haproxy.values import header_bytes, image_text, milliseconds

__all__ = [
    "GATEWAY_FILE",
    "MAP_DIRECTORY",
    "POOL_DIRECTORY",
    "file_names",
    "map_file",
    "map_path",
    "pool_file",
    "read_structure",
    "render",
    "structure",
]

GATEWAY_FILE: Final = "gateway.cfg"
POOL_DIRECTORY: Final = "pools"
MAP_DIRECTORY: Final = "maps"

ACTIVITY_SECONDS: Final = 24 * 86400.0
"""For how long it is remembered when a pool had its last request; HAProxy counts at most 24.8 days."""
MAINTENANCE_RETRY: Final = 300
"""Retry-After of a route in maintenance, in seconds."""

LOGIN_RETRY: Final = 60
"""Retry-After after too many failed logins, in seconds: they are counted in such a window."""

_UNUSED_MAP: Final = "    http-request set-var(txn.unused) path,map(@path) if FALSE"
_ACCEPTED: Final = re.compile(r"^# Accepted by (.*)\n", re.MULTILINE)
_HERE: Final = Path(__file__).parent


def file_names() -> tuple[str, ...]:
    """The gateway's own files, relative to the configuration directory."""
    return (GATEWAY_FILE, *_assets())


def map_file(name: str) -> str:
    """The path of a map, relative to the configuration directory."""
    return f"{MAP_DIRECTORY}/{name}.map"


def pool_file(pool: str) -> str:
    """The path of the file of a pool, relative to the configuration directory."""
    return f"{POOL_DIRECTORY}/{pool}.cfg"


def render(spec: GatewaySpec, pools: Collection[str], image: str) -> dict[str, str]:
    """The gateway's own files, by relative path: all but maps, pools and certificates, which have writers of their own."""
    text = _text(spec, structure(spec, pools), image_text(image))
    return {**_assets(), GATEWAY_FILE: text}


def structure(spec: GatewaySpec, pools: Collection[str]) -> str:
    """The digest, 12 hex digits, of all that a running HAProxy cannot change."""
    return _digest(_assets(), _text(spec, "-", "-"), pools)


def read_structure(files: Mapping[str, str], pools: Collection[str]) -> tuple[str, str] | None:
    """The structure of written files, and the image whose HAProxy accepted them; None without a configuration."""
    text = files.get(GATEWAY_FILE)
    if text is None:
        return None
    accepted = _ACCEPTED.search(text)
    beside = {name: files.get(name, "") for name in _assets()}
    return _digest(beside, text, pools), accepted[1] if accepted else ""


def _digest(beside: Mapping[str, str], text: str, pools: Collection[str]) -> str:
    heads = {pool_file(pool): head(pool) for pool in pools}
    return digest_of({**beside, **heads}, text)


def _text(spec: GatewaySpec, digest: str, image: str) -> str:
    slot = f"${{{SLOT_VARIABLE}}}"
    given, dropped = spec.timeouts, expression(spec.drop_headers)
    own = {
        "request": given.request,
        "keep_alive": given.keep_alive,
        "client": given.client,
        "server": given.response,
        "tunnel": given.tunnel,
    }
    values: dict[str, object] = {
        "image": image,
        "structure": digest,
        "log_level": "info" if spec.access_log else "err",
        "max_connections": MAX_CONNECTIONS,
        # Those of a request, and the connections of its client.
        "counters": 6 if spec.max_connections_per_client else 5,
        "max_rewrite": MAX_REWRITE,
        "buffer_bytes": header_bytes(spec.max_header_kib) + MAX_REWRITE,
        # Between the drain deadline and the engine's SIGKILL, so that HAProxy itself cuts the remaining sessions.
        "hard_stop_ms": milliseconds("drain seconds", spec.drain_seconds) + round(HARD_STOP_MARGIN * 500),
        "ours": expression(OURS),
        "folded": expression(FOLDED, other_marks=True),
        "request_id": expression(REQUEST_ID),
        "dropped": f"    http-request del-header '{dropped}' -m reg" if dropped else "",
        "retries": RETRIES,
        "retry_after": RETRY_AFTER,
        "activity_ms": milliseconds("activity", ACTIVITY_SECONDS),
        "answer_times": rules(),
        "classes": CLASSES,
        "maintenance_retry": MAINTENANCE_RETRY,
        "login_retry": LOGIN_RETRY,
        "slot": slot,
        "run": RUN_MOUNT,
        "config": CONFIG_MOUNT,
        "events": f"{CONFIG_MOUNT}/{EVENTS_SOCKET}",
        "state_file": f"{CONFIG_MOUNT}/{state_file(slot)}",
        "process": "\n".join(_process(spec)),
        "exporter": _exporter(spec, slot),
    }
    values |= {f"map_{name.replace('-', '_')}": map_path(name) for name in MAPS}
    values |= {
        f"timeout_{name}": f"{milliseconds('timeout', seconds)}ms"
        for name, seconds in {**TIMEOUTS, **own}.items()
    }
    tcp = [tcp_section(listener, spec, values) for listener in spec.listeners if not listener.is_http]
    sections = {
        "http": http_section(spec, values),
        "tcp": "\n".join(tcp),
        "clients": clients_section(spec),
        "unused_maps": "",
    }
    text = _filled({**values, **sections})
    # HAProxy only knows the maps that it uses, and without a listener of a kind some are not used.
    known = text + "".join(text for name, text in _assets().items() if name.endswith(".lua"))
    unused = [{"path": map_path(name)} for name in MAPS if map_path(name) not in known]
    return _filled({**values, **sections, "unused_maps": repeated(_UNUSED_MAP, unused)})


def _process(spec: GatewaySpec) -> Iterator[str]:
    """What HAProxy may do as a process."""
    speaks_http3 = any(listener.http3 for listener in spec.listeners)
    if spec.network == "host":
        yield LEAVE_ROOT
        if speaks_http3:
            # A socket for each connection of QUIC, so that a worker that leaves keeps its own; on a low port.
            yield "    setcap cap_net_bind_service"
    if speaks_http3:
        # With OpenSSL, whose interface for QUIC is none of HAProxy's: without early data.
        yield "    limited-quic"


def exporter_address(spec: GatewaySpec) -> str:
    """Where HAProxy serves its own metrics; empty for all addresses of its namespace."""
    return host_exporter(spec.listeners[0].port) if spec.network == "host" else ""


def _exporter(spec: GatewaySpec, slot: str) -> str:
    """Where its own metrics are, as HAProxy is told: on other nodes no port is opened, and the agent asks at a socket."""
    if spec.node_selector is not None:
        return f'"unix@{RUN_MOUNT}/exporter-{slot}.sock" mode 660'
    return f'"{exporter_address(spec)}:{EXPORTER_PREFIX}{slot}"'


def _filled(values: Mapping[str, object]) -> str:
    return filled(_HERE / "gateway.cfg.template", values)


def map_path(name: str) -> str:
    """The path of a map as the configuration names it, and commands as well."""
    if name not in MAPS:
        raise ValueError(f"{name!r} is no map of a gateway")
    return f"{CONFIG_MOUNT}/{map_file(name)}"


@cache
def _assets() -> dict[str, str]:
    own = [*sorted(_HERE.glob("*.lua")), _HERE / "pi.hex", *sorted((_HERE / "pages").glob("*.html"))]
    return assets() | {str(path.relative_to(_HERE)): path.read_text(encoding="utf-8") for path in own}
