"""Events read like those of kubectl."""

import re
from datetime import UTC, datetime, timedelta

import click

from reconciler.cli.events import event_table
from reconciler.store.base import Event

NOW = datetime(2026, 5, 1, 12, 0, tzinfo=UTC)
EVENT = Event(
    kind="VaultService",
    name="files",
    type="Warning",
    reason="ReplicaDied",
    message="exited with code 1\nsecond line",
    revision="v1-abc",
    commit="",
    count=3,
    first_time=NOW - timedelta(minutes=5),
    last_time=NOW - timedelta(seconds=10),
)


def test_repetitions_are_counted() -> None:
    headers, row = click.unstyle(event_table([EVENT], NOW, with_service=True)).splitlines()
    assert headers.split() == ["LAST", "SEEN", "TYPE", "REASON", "SERVICE", "MESSAGE"]
    assert re.split(" {2,}", row) == [
        "10s (x3 over 5m)",
        "Warning",
        "ReplicaDied",
        "files",
        "exited with code 1 second line",
    ]


def test_the_service_is_left_out_where_it_is_known() -> None:
    assert "files" not in event_table([EVENT], NOW, with_service=False)
