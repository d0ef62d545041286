"""A service as it is passed to Compose, in the forms that all Compose versions read alike.

The revision is computed before this step, over the plugin's own form, so that an improved reader replaces no container.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from reconciler.core.compose.environment import read_labels
from reconciler.core.compose.mounts import read_mounts
from reconciler.core.compose.needs import read_needs
from reconciler.core.compose.networks import with_alias

NOT_HANDED: Final = ("container_name", "profiles", "develop", "attach", "pull_refresh_after")
"""Fields that Compose does not get: the table in `fields` says what becomes of them."""


def handed_over(service: Mapping[str, Any], container_name: str | None = None) -> dict[str, Any]:
    """The service for the Compose file: long forms, labels as texts, and an alias in place of `container_name`."""
    handed = {key: value for key, value in service.items() if key not in NOT_HANDED}
    if container_name and handed.get("networks"):
        # Others of the stack may call it by that name, as they could if it had it.
        handed["networks"] = with_alias(handed["networks"], container_name)
    if service.get("volumes"):
        handed["volumes"] = [mount.long() for mount in read_mounts(service["volumes"])]
    if "labels" in service:
        handed["labels"] = read_labels(service["labels"])
    if service.get("depends_on"):
        handed["depends_on"] = {
            need.service: {"condition": need.condition, "required": need.required}
            for need in read_needs(service["depends_on"])
        }
    return handed
