"""SOPS files with age recipients: dotenv, YAML and JSON whose values are encrypted one by one, and authenticated together.

They are read and never written: `sops` itself does that.
"""

from __future__ import annotations

from reconciler.sealed.sops.decrypt import decrypt
from reconciler.sealed.sops.document import is_sops, orphan

__all__ = ["decrypt", "is_sops", "orphan"]
