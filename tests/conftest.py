"""The order of a run with workers: files that wait for containers begin first, so that none of them is left for the end
while the other worker has nothing to do. A run without workers keeps the order of the files: what is quick comes first."""

from __future__ import annotations

import pytest


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Called in each worker; the tests of a file stay together, in their order."""
    if hasattr(config, "workerinput"):
        slow = {item.path for item in items if item.get_closest_marker("docker")}
        items.sort(key=lambda item: item.path not in slow)
