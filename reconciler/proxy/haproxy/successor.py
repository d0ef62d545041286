"""How a worker that leaves finds the one that listens now: by sockets, one for each slot.

Sockets, and not a port: on the network of the host every process could claim any address on a port, by the PROXY protocol.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from reconciler.proxy.haproxy.template import repeated

__all__ = ["SLOTS", "TRIES", "successor"]

SLOTS: Final = 8
"""Slots whose sockets a leaving worker tries: a pair, and those that are still leaving."""
TRIES: Final = 200
"""How often a request looks for a socket that has a listener, of which there may be one in all slots. Requests at the same
time take turns, so that each meets a random socket: (7/8)^200 of them, 1 in 10^11, would find none.
"""

_SUCCESSOR: Final = """\
    balance roundrobin
    # A socket without a listener fails at once, and the next one is tried.
    option redispatch 1
    retries @retries
@more
@servers"""
_HTTP: Final = """\
    # A connection that was kept may be to a worker that leaves as well by now.
    http-reuse never
    # See the pools: nor is one used again by its own client.
    option http-server-close
    retry-on conn-failure empty-response
    http-request disable-l7-retry unless METH_GET"""
_SERVER: Final = '    server slot@n "unix@@@run/next-@name-@n.sock" send-proxy-v2'


def successor(name: str, mode: str, values: Mapping[str, object]) -> str:
    """The lines of a backend whose servers are the sockets `next-NAME-SLOT.sock`; `values` has their directory, `run`."""
    servers = repeated(_SERVER, [{**values, "name": name, "n": n} for n in range(1, SLOTS + 1)])
    more = _HTTP if mode == "http" else ""
    return repeated(_SUCCESSOR, [{"retries": TRIES, "more": more, "servers": servers}])
