"""What the shipped plugins require of their settings, by slug."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from tests.catalogue.applications import applications

SETTINGS: Final[Mapping[str, Mapping[str, str]]] = {
    **{slug: each.settings for slug, each in applications().items()},
    "paperless": {"PAPERLESS_SECRET_KEY": "s3cret", "PAPERLESS_DBPASS": "pa$$word"},
}
