"""`vaultctl`, but all HAProxies are reached through the agent of a node, which shares the state directory.

    python -m tests.e2e.through_agent NODE run -f manifests/

So whole passes meet an agent, with an engine that knows one machine. Nothing of this is in the product.
"""

from __future__ import annotations

import sys
import time
from functools import cached_property
from typing import Any

from reconciler.cli import main
from reconciler.proxy.haproxy.choice import HAProxies
from reconciler.proxy.haproxy.gateway.proxy import HAProxyGateways
from reconciler.proxy.remote.nodes import Nodes
from reconciler.wiring import agents
from reconciler.wiring.parts import Parts


def through(node: str) -> None:
    """From now on, an application of this process asks the agent of a node."""

    def nodes(parts: Any) -> Nodes:
        return Nodes(lambda site, slot: parts.agents.line(node))

    def proxy(parts: Any) -> HAProxies:
        return HAProxies(parts._validate, parts._gateway_sites, time.monotonic, nodes(parts).reach)

    def gateways(parts: Any) -> HAProxyGateways:
        return HAProxyGateways(
            parts._validate_gateway, parts._default_certificate, time.monotonic, at=nodes(parts).reach
        )

    for name, made in (("proxy", proxy), ("gateways", gateways)):
        replaced = cached_property(made)
        replaced.__set_name__(Parts, name)
        setattr(Parts, name, replaced)
    # Both sides would listen to the same socket, and what one passes on would come back.
    vars(agents)["follow"] = lambda *_: None


if __name__ == "__main__":
    through(sys.argv.pop(1))
    main()
