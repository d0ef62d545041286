"""Ages are written as Kubernetes writes them, and cells have the types of their columns."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest

from reconciler.store.versions import Document
from reconciler.web.kube.served import WATCHED
from reconciler.web.kube.table import columns, human, row

NOW = datetime(2026, 5, 1, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-5, "<invalid>"), (-1, "0s"), (0, "0s"), (119, "119s"), (120, "2m"), (125, "2m5s"), (600, "10m"), (659, "10m"),
        (10_800, "3h"), (11_000, "3h3m"), (28_800, "8h"), (172_799, "47h"), (172_800, "2d"), (180_000, "2d2h"),
        (691_200, "8d"), (63_071_999, "729d"), (63_072_000, "2y"), (70_000_000, "2y80d"), (300_000_000, "9y"),
    ],
)  # fmt: skip
def test_ages(seconds: int, text: str) -> None:
    assert human((NOW - timedelta(seconds=seconds)).isoformat(), NOW) == text


def test_a_row_has_a_cell_for_each_column() -> None:
    service = next(each for each in WATCHED if each.kind == "VaultService")
    whole = {
        "metadata": {"name": "a", "creationTimestamp": "2026-05-01T11:59:00Z"},
        "spec": {"plugin": "whoami"},
        "status": {"replicas": {"desired": 3}, "conditions": [{"type": "Ready", "status": "True"}]},
    }
    document = Document("VaultService", "a", 5, json.dumps(whole).encode(), {})
    made = row(service, document, "Metadata", NOW)
    titles = [each["name"] for each in columns(service)]
    assert dict(zip(titles, made["cells"], strict=True)) == {
        "Name": "a", "Plugin": "whoami", "Replicas": 3, "Serving": None, "Ready": "True", "Age": "60s",
    }  # fmt: skip
    assert made["object"] == {
        "kind": "PartialObjectMetadata",
        "apiVersion": "meta.k8s.io/v1",
        "metadata": whole["metadata"],
    }
    assert row(service, document, "Object", NOW)["object"] == whole
    assert "object" not in row(service, document, "None", NOW)
