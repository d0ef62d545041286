"""Name and version of the program.

The version is written here as well as in pyproject.toml, because looking it up in the installed distribution takes
longer than all the rest of `vaultctl version`. A test keeps the two equal.
"""

from typing import Final

DISTRIBUTION: Final = "vault-reconciler"
VERSION: Final = "0.1.0"
