"""What a plugin imports: `from vault_plugins import VaultServicePlugin`.

Only the contract is re-exported. Discovery lives in `vault_plugins.registry` and is never imported from here:
the registry imports plugins, plugins import this package, and it has to be whole by then.
"""

from vault_plugins.contract import (
    Healthcheck,
    PluginError,
    PluginMetadata,
    PluginMetadataError,
    PluginSettingError,
    VaultServicePlugin,
)

__all__ = [
    "Healthcheck",
    "PluginError",
    "PluginMetadata",
    "PluginMetadataError",
    "PluginSettingError",
    "VaultServicePlugin",
]
