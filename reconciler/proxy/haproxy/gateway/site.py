"""Where the files of a gateway are, and which users its HAProxies run as."""

from __future__ import annotations

import os
from pathlib import Path

from reconciler.api.vaultgateway import GatewaySpec
from reconciler.core.desired.stack import Site
from reconciler.proxy.haproxy.containers import HAPROXY_USER

__all__ = ["site_of"]


def site_of(directory: Path, spec: GatewaySpec) -> Site:
    """The site of a gateway with this directory. On the network of the host, root opens the ports and the sockets."""
    starter = 0 if spec.network == "host" else None
    if os.geteuid() == 0:
        return Site(directory, HAPROXY_USER, HAPROXY_USER, starter)
    return Site(directory, os.geteuid(), os.getegid(), starter)
