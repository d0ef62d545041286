"""The labels that we put on every container; all that a pass needs to recognise its own after a restart."""

from typing import Final

SERVICE: Final = "internal.vault.service"
REVISION: Final = "internal.vault.revision"
ROLE: Final = "internal.vault.role"
SLOT: Final = "internal.vault.slot"
NAMESPACE: Final = "internal.vault.namespace"
RESTARTED_AT: Final = "internal.vault.restarted-at"
PORT: Final = "internal.vault.port"
THROWAWAY: Final = "internal.vault.throwaway"
