"""The resources that users write and read: their models, statuses and errors.

This package is the bottom layer of the reconciler: it imports no other package of it and does no I/O beyond reading
the files it is given. A name is imported from its module on first use, so that code which only raises an error does
not build the models.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from reconciler.api.condition_types import (
        CONDITION_TYPES,
        ConditionStatus,
        ConditionType,
        find_condition,
    )
    from reconciler.api.conditions import Condition, set_condition
    from reconciler.api.env_file import load_env_file, permission_warning
    from reconciler.api.errors import ManifestError, PermanentError, Problem, TemporaryError, VaultError
    from reconciler.api.kinds import API_GROUP, API_VERSION
    from reconciler.api.manifest import Manifest, Survey, load, load_directory, parse, survey
    from reconciler.api.quantities import IntOrPercent, format_duration, parse_duration
    from reconciler.api.status import ReplicaCounts, Status
    from reconciler.api.strategy import RollingUpdate, Rotation, Strategy
    from reconciler.api.traffic import HealthCheck, Ports, Proxy
    from reconciler.api.vaultservice import (
        KIND,
        EnvFrom,
        Metadata,
        Spec,
        VaultService,
    )

__all__ = [
    "API_GROUP",
    "API_VERSION",
    "CONDITION_TYPES",
    "KIND",
    "Condition",
    "ConditionStatus",
    "ConditionType",
    "EnvFrom",
    "HealthCheck",
    "IntOrPercent",
    "Manifest",
    "ManifestError",
    "Metadata",
    "PermanentError",
    "Ports",
    "Problem",
    "Proxy",
    "ReplicaCounts",
    "RollingUpdate",
    "Rotation",
    "Spec",
    "Status",
    "Strategy",
    "Survey",
    "TemporaryError",
    "VaultError",
    "VaultService",
    "find_condition",
    "format_duration",
    "load",
    "load_directory",
    "load_env_file",
    "parse",
    "parse_duration",
    "permission_warning",
    "set_condition",
    "survey",
]

_HOMES: Final = {
    "condition_types": ("CONDITION_TYPES", "ConditionStatus", "ConditionType", "find_condition"),
    "conditions": ("Condition", "set_condition"),
    "env_file": ("load_env_file", "permission_warning"),
    "errors": ("ManifestError", "PermanentError", "Problem", "TemporaryError", "VaultError"),
    "manifest": ("Manifest", "Survey", "load", "load_directory", "parse", "survey"),
    "quantities": ("IntOrPercent", "format_duration", "parse_duration"),
    "status": ("ReplicaCounts", "Status"),
    "strategy": ("RollingUpdate", "Rotation", "Strategy"),
    "traffic": ("HealthCheck", "Ports", "Proxy"),
    "kinds": ("API_GROUP", "API_VERSION"),
    "vaultservice": ("KIND", "EnvFrom", "Metadata", "Spec", "VaultService"),
}
_HOME_OF: Final = {name: home for home, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> Any:
    """Import the name from its module. Raises AttributeError for a name that this package does not export."""
    if name not in _HOME_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_HOME_OF[name]}"), name)
    globals()[name] = value
    return value
