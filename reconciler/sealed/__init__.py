"""Settings and secrets that are encrypted where they are kept, so that they may be in Git: age files, and SOPS files
with age recipients.

They are decrypted in memory only. No message quotes a value, a key or a line of such a file.
"""

from __future__ import annotations

from reconciler.sealed.errors import NoKeyError, SealedError
from reconciler.sealed.keys import Keyring
from reconciler.sealed.settings import Settings, SettingsFiles, readable_by_others

__all__ = ["Keyring", "NoKeyError", "SealedError", "Settings", "SettingsFiles", "readable_by_others"]
