"""What a plugin imports: `from vault_plugins import VaultServicePlugin`.

Only the contract is re-exported. Discovery is in `vault_plugins.registry` and is never imported here, to avoid an import
cycle: the registry imports plugins, and plugins import this package.
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
