"""The resource that users write and read: VaultService, its status, its errors.

This package is the bottom of the reconciler: it imports nothing of it, does no I/O beyond reading the files
it is given, and is what every other package speaks in.
"""

from reconciler.api.conditions import (
    CONDITION_TYPES,
    Condition,
    ConditionStatus,
    ConditionType,
    find_condition,
    set_condition,
)
from reconciler.api.env_file import load_env_file, permission_warning
from reconciler.api.errors import ManifestError, PermanentError, Problem, TemporaryError, VaultError
from reconciler.api.manifest import Manifest, Survey, load, load_directory, parse, survey
from reconciler.api.quantities import IntOrPercent, format_duration, parse_duration
from reconciler.api.status import ReplicaCounts, Status
from reconciler.api.strategy import RollingUpdate, Rotation, Strategy
from reconciler.api.traffic import HealthCheck, Ports, Proxy
from reconciler.api.vaultservice import (
    API_GROUP,
    API_VERSION,
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
