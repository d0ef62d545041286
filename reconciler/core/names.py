"""Reserved names inside a stack; a fragment may not use them for something else."""

from __future__ import annotations

from typing import Final

GATEWAY: Final = "gateway"
HAPROXY: Final = "haproxy"
RESERVED: Final = frozenset({GATEWAY, HAPROXY})
"""Names of services, also with a proxy that does not use them: a plugin has to fit any."""

VAULT_NET: Final = "vault-net"
CONTROL_NET: Final = "control-net"
