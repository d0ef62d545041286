"""The labels of every container; a pass finds its containers by them, also after a restart."""

from typing import Final

SERVICE: Final = "internal.vault.service"
"""The `Ref.label` of the object that a container belongs to: a plain name is that of a VaultService."""
REVISION: Final = "internal.vault.revision"
ROLE: Final = "internal.vault.role"
SLOT: Final = "internal.vault.slot"
NAMESPACE: Final = "internal.vault.namespace"
RESTARTED_AT: Final = "internal.vault.restarted-at"
PORT: Final = "internal.vault.port"
THROWAWAY: Final = "internal.vault.throwaway"
