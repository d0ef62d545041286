"""The parts of a gateway's configuration that depend on its listeners, and the lines that are repeated in them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from reconciler.api.protection import WINDOW_SECONDS
from reconciler.api.vaultgateway import GatewaySpec, Listener
from reconciler.core.routes.match import WILDCARD_LABELS
from reconciler.proxy.haproxy.containers import CONFIG_MOUNT, host_address
from reconciler.proxy.haproxy.gateway.readiness import ready_answers, ready_section
from reconciler.proxy.haproxy.gateway.tls_files import CERTIFICATE_LIST, CHALLENGE_LIST, DEFAULT_CERTIFICATE
from reconciler.proxy.haproxy.successor import successor
from reconciler.proxy.haproxy.template import filled, repeated

__all__ = ["clients_section", "http_section", "tcp_section"]

TRUSTED_HOPS: Final = 3
"""Proxies in a row in front of a gateway whose X-Forwarded-For entries are followed."""
HTTPS_PORT: Final = 443
ALT_SVC_SECONDS: Final = 3600
"""How long clients remember that there is HTTP/3."""
REDIRECT_CODES: Final = (301, 302, 307, 308)

ERRORS_LOG: Final = '"%ci:%cp %b/%s %ST %tsc %TR/%Tw/%Tc/%Tr/%Ta %HM %HPO %[var(txn.request_id)]"'
ACCESS_LOG: Final = (
    """'{"time":"%[date,utime(%Y-%m-%dT%H:%M:%SZ)]","client":"%ci","host":"%[var(txn.host),json(utf8s)]","""
    """"method":"%HM","path":"%[var(txn.asked),json(utf8s)]","status":%ST,"bytes":%B,"ms":%Ta,"""
    """"route":"%[var(txn.route)]","pool":"%b","server":"%s","id":"%[var(txn.request_id)]"}'"""
)

_LABELS: Final = range(2, WILDCARD_LABELS + 2)
"""The first label that is left of a name when a `*` stands for those before it."""

_EXPECT: Final = """\
    tcp-request connection expect-proxy layer4 if { so_name @name } { src,map_ip(@map_trusted) -m found }"""
_CROWD: Final = """
    # Of one client only so many connections: at once, before TLS, and where the PROXY protocol tells who it is, after that.
    # Those that a leaving worker passes on were counted there.
    tcp-request connection track-sc5 src,ipmask(32,64) table clients if { so_name @names } \
!{ src,map_ip(@map_trusted) -m found }
    tcp-request connection reject if { sc_conn_cur(5) gt @most }
    tcp-request session track-sc5 src,ipmask(32,64) table clients if { so_name @names } \
!{ src,map_ip(@map_trusted) -m found }
    tcp-request session reject if { sc_conn_cur(5) gt @most }"""
_CLIENTS: Final = """
backend clients from tcp
    # The connections that each client has open.
    stick-table type ipv6 size 20k expire 1m store conn_cur"""
_HOP: Final = """\
    http-request set-src req.hdr_ip(X-Forwarded-For,-@n) if trusted @known"""
_KNOWN: Final = "{ req.hdr_ip(X-Forwarded-For,-@n) -m found }"
_WILDCARD: Final = """\
    http-request set-var-fmt(txn.key) *.%[var(txn.host),field(@label,.,0)]%[var(txn.path)]/ \
unless { var(txn.target) -m found }
    http-request set-var(txn.target) var(txn.key),map_beg(@map_routes) unless { var(txn.target) -m found }"""
_RATE: Final = (
    "    http-request track-sc0 var(txn.who) table rate-@n if { var(txn.rate),field(1,'|') -m str @n }"
)
_RATE_TABLE: Final = """
backend rate-@n from http
    stick-table type string len 128 size 100k expire @{n}s store http_req_rate(@{n}s)"""
_REDIRECT: Final = (
    '    http-request redirect location "%[var(txn.to_scheme)]://%[var(txn.to_host)]%[var(txn.to_path)]" code @n '
    "if { var(txn.redirect),field(1,'|') -m str @n }"
)
_ALT_SVC: Final = """\
    http-after-response set-header Alt-Svc "h3=\\":@port\\"; ma=@seconds" if { ssl_fc } { dst_port @port }"""
_SUCCESSOR: Final = """
backend next-@name from @mode
@lines"""
# With whole paths: commands name files as the configuration does.
_CERTIFICATES: Final = (
    f"ssl crt {CONFIG_MOUNT}/{DEFAULT_CERTIFICATE} crt-list {CONFIG_MOUNT}/{CERTIFICATE_LIST}"
)
_TLS: Final = f"{_CERTIFICATES} alpn h2,http/1.1"
_QUIC: Final = f"{_CERTIFICATES} alpn h3"
_CHALLENGE_FILES: Final = {
    "default": f"{CONFIG_MOUNT}/{DEFAULT_CERTIFICATE}",
    "challenges": f"{CONFIG_MOUNT}/{CHALLENGE_LIST}",
}
_NAMED: Final = """\
    # Waits for the whole hello. WAIT_END would wait for the end of the delay, with every client.
    tcp-request content reject unless { req.ssl_hello_type 1 }
    tcp-request content set-var(txn.host) req.ssl_sni,lower if { req.ssl_sni -m found }
    tcp-request content set-var-fmt(txn.key) @port|%[var(txn.host)] if { var(txn.host) -m found }
    tcp-request content set-var(txn.target) var(txn.key),map(@map_tcp) if { var(txn.host) -m found }"""
_NAMED_WILDCARD: Final = """\
    tcp-request content set-var-fmt(txn.key) @port|*.%[var(txn.host),field(@label,.,0)] \
if { var(txn.host) -m found } !{ var(txn.target) -m found }
    tcp-request content set-var(txn.target) var(txn.key),map(@map_tcp) \
if { var(txn.host) -m found } !{ var(txn.target) -m found }"""
_UNNAMED: Final = """\
    tcp-request content set-var(txn.key) str(@port|) unless { var(txn.target) -m found }
    tcp-request content set-var(txn.target) var(txn.key),map(@map_tcp) unless { var(txn.target) -m found }"""

_HERE: Final = Path(__file__).parent


def http_section(spec: GatewaySpec, values: Mapping[str, object]) -> str:
    """The frontend of all HTTP and HTTPS listeners, and what it counts; empty without one. `values` fill the marks that
    every section may have.
    """
    listeners = [listener for listener in spec.listeners if listener.is_http]
    if not listeners:
        return ""
    windows = [{"n": seconds} for seconds in sorted(WINDOW_SECONDS.values())]
    binds = [_http_bind(listener, spec, values) for listener in listeners]
    quic = [listener for listener in listeners if listener.http3]
    binds += [_quic_bind(listener, spec) for listener in quic]
    parts = {
        "binds": "\n".join(f"    bind {bind}" for bind in binds),
        "proxy_protocol": _expected([each for each in listeners if not _is_split(each, spec)], values),
        "log_format": ACCESS_LOG if spec.access_log else ERRORS_LOG,
        "crowd": _crowd(_direct_names(listeners, spec), spec, values),
        "default_status": spec.default_response.status,
        "https_port": _https_port(listeners),
        "hops": repeated(_HOP, [{"n": n, "known": _known(n)} for n in range(1, TRUSTED_HOPS + 1)]),
        "wildcards": repeated(_WILDCARD, [{**values, "label": label} for label in _LABELS]),
        "rates": repeated(_RATE, windows),
        "ready_answers": ready_answers(spec),
        "ready_section": ready_section(spec),
        "rate_tables": repeated(_RATE_TABLE, windows),
        "alternatives": repeated(
            _ALT_SVC, [{"port": each.port, "seconds": ALT_SVC_SECONDS} for each in quic]
        ),
        "redirects": repeated(_REDIRECT, [{"n": code} for code in REDIRECT_CODES]),
        "successors": "\n".join(_successor(scheme, "http", values) for scheme in ("http", "https")),
    }
    split = [_tls_section(listener, spec, values) for listener in listeners if _is_split(listener, spec)]
    if split:
        split.append(filled(_HERE / "acme-tls.cfg.template", {**values, **_CHALLENGE_FILES}))
    return "\n".join([filled(_HERE / "http.cfg.template", {**values, **parts}), *split])


def tcp_section(listener: Listener, spec: GatewaySpec, values: Mapping[str, object]) -> str:
    """The frontend of a TCP or TLS listener."""
    own = {**values, "name": listener.name, "port": listener.port}
    target = [repeated(_UNNAMED, [own])]
    if listener.protocol == "TLS":
        target = [
            repeated(_NAMED, [own]),
            repeated(_NAMED_WILDCARD, [{**own, "label": label} for label in _LABELS]),
            *target,
        ]
    parts = {
        "bind": f"{_bind(listener, spec)} name {listener.name}",
        "proxy_protocol": _expected([listener], values),
        "crowd": _crowd([listener.name], spec, values),
        "target": "\n".join(target),
        "successor": _successor(listener.name, "tcp", values),
    }
    return filled(_HERE / "tcp.cfg.template", {**own, **parts})


def _known(hop: int) -> str:
    """That the entries up to this one are addresses. Behind one that is none the next proxy is unknown, so that an entry
    before it may be the client's own.
    """
    return repeated(_KNOWN, [{"n": n} for n in range(1, hop + 1)]).replace("\n", " ")


def _https_port(listeners: Sequence[Listener]) -> str:
    """What stands behind the host of an https address: nothing for the usual port."""
    ports = [listener.port for listener in listeners if listener.protocol == "HTTPS"]
    return "" if not ports or HTTPS_PORT in ports else f":{ports[0]}"


def _http_bind(listener: Listener, spec: GatewaySpec, values: Mapping[str, object]) -> str:
    if listener.protocol == "HTTP":
        return f"{_bind(listener, spec)} name {listener.name}"
    if _is_split(listener, spec):
        return f"{_after_hello(listener, values)} mode 660 accept-proxy name {listener.name} {_TLS}"
    return f"{_bind(listener, spec)} name {listener.name} {_TLS}"


def _quic_bind(listener: Listener, spec: GatewaySpec) -> str:
    where = _bind(listener, spec)
    family = "quic6" if where.startswith("[") else "quic4"
    return f"{family}@{where} name {_quic_name(listener)} {_QUIC}"


def _is_split(listener: Listener, spec: GatewaySpec) -> bool:
    """Whether connections are told apart before TLS: HAProxy chooses a certificate by the host only, and a host whose
    certificate is renewed by tls-alpn-01 has two. It costs each connection a hop.
    """
    return listener.protocol == "HTTPS" and spec.acme is not None and spec.acme.challenge == "tls-alpn-01"


def _after_hello(listener: Listener, values: Mapping[str, object]) -> str:
    """The sockets for connections that are told apart: that of all HAProxies, which take it over from each other, and its
    own. No name of a listener has `_`.
    """
    run, name, slot = values["run"], listener.name, values["slot"]
    return f'"unix@{run}/tls_{name}.sock,unix@{run}/tls-{name}-{slot}.sock"'


def _hello_name(listener: Listener) -> str:
    """The name of the socket that has a split listener's port."""
    return f"{listener.name}-tls"


def _quic_name(listener: Listener) -> str:
    """The name of the socket for QUIC, which no connection over TCP has passed before."""
    return f"{listener.name}-quic"


def clients_section(spec: GatewaySpec) -> str:
    """What counts the connections of each client; empty if there is no limit."""
    return _CLIENTS if spec.max_connections_per_client else ""


def _direct_names(listeners: Sequence[Listener], spec: GatewaySpec) -> list[str]:
    """The names of those sockets of the frontend of HTTP that clients connect to."""
    names = [listener.name for listener in listeners if not _is_split(listener, spec)]
    return names + [_quic_name(listener) for listener in listeners if listener.http3]


def _crowd(names: Sequence[str], spec: GatewaySpec, values: Mapping[str, object]) -> str:
    """The limit for each client on sockets of these names."""
    most = spec.max_connections_per_client
    if most is None or not names:
        return ""
    return repeated(_CROWD, [{**values, "names": " ".join(names), "most": most}])


def _tls_section(listener: Listener, spec: GatewaySpec, values: Mapping[str, object]) -> str:
    """The frontend that tells ACME servers from other clients of an HTTPS listener."""
    own = {**values, "name": listener.name}
    parts = {
        "bind": _bind(listener, spec),
        "proxy_protocol": repeated(
            _EXPECT, [{**own, "name": _hello_name(listener)}] if listener.proxy_protocol else []
        ),
        "crowd": _crowd([_hello_name(listener)], spec, values),
    }
    return filled(_HERE / "tls.cfg.template", {**own, **parts})


def _bind(listener: Listener, spec: GatewaySpec) -> str:
    # In a namespace of its own HAProxy has none of the host's addresses; the engine publishes the port on it.
    address = listener.address or "" if spec.network == "host" else ""
    return host_address(address, listener.port)


def _expected(listeners: Sequence[Listener], values: Mapping[str, object]) -> str:
    senders = [listener for listener in listeners if listener.proxy_protocol]
    return repeated(_EXPECT, [{**values, "name": listener.name} for listener in senders])


def _successor(name: str, mode: str, values: Mapping[str, object]) -> str:
    return repeated(_SUCCESSOR, [{"name": name, "mode": mode, "lines": successor(name, mode, values)}])
