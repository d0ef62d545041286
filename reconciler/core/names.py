"""Reserved names inside a stack; a fragment may not use them for something else."""

from __future__ import annotations

from typing import Final

GATEWAY: Final = "gateway"
HAPROXY: Final = "haproxy"
RESERVED: Final = frozenset({GATEWAY, HAPROXY})
"""Names of services, also with a proxy that does not use them: a plugin has to fit any."""

VAULT_NET: Final = "vault-net"
CONTROL_NET: Final = "control-net"

GATEWAY_PROJECT: Final = "vaultgateway-"
"""The beginning of the Compose project of a VaultGateway; that of a VaultService `gateway-NAME` is `vault-gateway-NAME`."""
GATEWAY_NET: Final = "gateway-net"
"""The network of a VaultGateway itself."""
FIRST_NET: Final = "0-"
"""The beginning of that network's name in the engine: Docker publishes ports on the network whose name comes first."""

AGENT_STATE: Final = "/var/lib/vault-agent"
"""The state directory of an agent that the controller has deployed; its files of HAProxies are mounted from there."""
AGENT_DIRECTORY: Final = f"{AGENT_STATE}/agent"
AGENT_PORT: Final = 9443
"""Where an agent serves its HAProxies."""
ENGINE_PORT: Final = 9445
"""Where it leads the controller to its engine."""
