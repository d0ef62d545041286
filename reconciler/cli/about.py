"""What this program is called, where it is asked for its version."""

from typing import Final

DISTRIBUTION: Final = "vault-reconciler"
