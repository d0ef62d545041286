import json
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from reconciler.api.quantities import (
    MAX_DURATION_SECONDS,
    ByteSize,
    IntOrPercent,
    Percent,
    Seconds,
    Timestamp,
    TimestampText,
    format_duration,
    parse_byte_size,
    parse_duration,
)


@pytest.mark.parametrize(
    ("written", "seconds"),
    [
        ("0s", 0.0),
        ("500ms", 0.5),
        ("2s", 2.0),
        ("1.5s", 1.5),
        ("1m30s", 90.0),
        ("1h", 3600.0),
        ("1d12h", 129600.0),
        ("366d", MAX_DURATION_SECONDS),
        (3, 3.0),
        (0.25, 0.25),
    ],
)
def test_a_duration_is_read_as_seconds(written: object, seconds: float) -> None:
    assert parse_duration(written) == pytest.approx(seconds)


@pytest.mark.parametrize(
    "written",
    [
        *["", "2", "s", "2 s", "-2s", "2S", "2s\n", "1x", "2s!", "٢s", "1e3s", "367d", "9" * 400 + "s"],
        *[-1, 10**400, float("nan"), float("inf"), True, None, []],
    ],
)
def test_anything_else_is_no_duration(written: object) -> None:
    with pytest.raises(ValueError, match="must be a duration"):
        parse_duration(written)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.0, "0s"),
        (0.5, "500ms"),
        (1.5, "1500ms"),
        (2.0, "2s"),
        (90.0, "1m30s"),
        (90.5, "1m30s500ms"),
        (86400.0, "1d"),
    ],
)
def test_a_duration_is_written_in_the_shortest_units(seconds: float, text: str) -> None:
    assert format_duration(seconds) == text


@given(st.integers(0, int(MAX_DURATION_SECONDS * 1000)))
def test_every_millisecond_survives_writing_and_reading(milliseconds: int) -> None:
    assert round(parse_duration(format_duration(milliseconds / 1000)) * 1000) == milliseconds


@pytest.mark.parametrize(
    ("written", "total", "up", "down"),
    [
        (1, 3, 1, 1),
        (0, 3, 0, 0),
        ("25%", 3, 1, 0),
        ("25%", 4, 1, 1),
        ("34%", 3, 2, 1),
        ("100%", 3, 3, 3),
        ("0%", 10, 0, 0),
        ("7%", 100, 7, 7),
        ("29%", 100, 29, 29),
    ],
)
def test_a_share_of_the_replicas_rounds_as_asked(written: int | str, total: int, up: int, down: int) -> None:
    share = IntOrPercent.parse(written)
    assert (share.ceil_of(total), share.floor_of(total)) == (up, down)
    assert str(share) == str(written)
    assert IntOrPercent.parse(share) is share


@given(st.integers(0, 100), st.integers(0, 1000))
def test_rounding_up_and_down_enclose_the_exact_share(percent: int, total: int) -> None:
    share = IntOrPercent(percent, is_percent=True)
    assert share.floor_of(total) * 100 <= percent * total <= share.ceil_of(total) * 100
    assert share.ceil_of(total) - share.floor_of(total) in (0, 1)


@pytest.mark.parametrize(
    "written", [-1, 1001, 1.0, True, None, "", "1", "101%", "-1%", "1.5%", "%", "5 %", "5%\n"]
)
def test_anything_else_is_no_share(written: object) -> None:
    with pytest.raises(ValueError, match="must be a number of replicas"):
        IntOrPercent.parse(written)


@pytest.mark.parametrize(
    ("kind", "written", "value", "document"),
    [
        (Percent, "20%", 0.2, "20%"),
        (Percent, "0%", 0.0, "0%"),
        (Seconds, 2, 2.0, 2),
        (Seconds, 0.5, 0.5, 0.5),
        (
            Timestamp,
            "2026-05-01T14:00:00+02:00",
            datetime(2026, 5, 1, 12, tzinfo=UTC),
            "2026-05-01T12:00:00Z",
        ),
        (
            Timestamp,
            "2026-05-01t12:00:00.25z",
            datetime(2026, 5, 1, 12, 0, 0, 250_000, UTC),
            "2026-05-01T12:00:00Z",
        ),
        (
            TimestampText,
            "2026-05-01T14:00:00+02:00",
            "2026-05-01T14:00:00+02:00",
            "2026-05-01T14:00:00+02:00",
        ),
    ],
)
def test_amounts_are_plain_in_python_and_written_as_users_do(
    kind: Any, written: Any, value: Any, document: Any
) -> None:
    adapter = TypeAdapter(kind)
    assert adapter.validate_python(written) == value
    assert adapter.dump_python(value, mode="json") == document


@pytest.mark.parametrize(
    ("kind", "written"),
    [(Percent, bad) for bad in (20, 0.2, "20", "101%", "-1%")]
    + [(Seconds, bad) for bad in (-1, 86401, float("nan"))]
    + [
        (kind, bad)
        for kind in (Timestamp, TimestampText)
        for bad in (
            "2026-05-01",
            "2026-05-01T12:00:00",
            "2026-02-31T12:00:00Z",
            "0001-01-01T00:00:00+23:59",
            "now",
        )
    ]
    + [(Timestamp, datetime(2026, 5, 1)), (Timestamp, 1777636800)],
)
def test_other_amounts_are_refused(kind: Any, written: Any) -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(kind).validate_python(written)


def test_times_of_other_zones_become_utc() -> None:
    there = datetime(2026, 5, 1, 14, tzinfo=timezone(timedelta(hours=2)))
    read = TypeAdapter(Timestamp).validate_python(there)
    assert read == there
    assert read.tzinfo is UTC


@pytest.mark.parametrize(
    ("text", "size"),
    [("10Mi", 10 << 20), ("1k", 1000), ("4096", 4096), (4096, 4096), ("1Gi", 1 << 30), ("2T", 2 * 10**12)],
)
def test_a_byte_size_has_the_units_of_kubernetes(text: str | int, size: int) -> None:
    assert parse_byte_size(text) == size


@pytest.mark.parametrize(
    "bad", ["", "10 Mi", "10mb", "-1", "0", "1.5Gi", "10MiB", 0, -1, True, 1.5, "9999Ti", "1\n", None]
)
def test_another_byte_size_is_refused(bad: object) -> None:
    with pytest.raises(ValueError, match="must be"):
        parse_byte_size(bad)


@given(st.integers(1, 1 << 50))
def test_a_byte_size_is_written_exactly(size: int) -> None:
    adapter = TypeAdapter(ByteSize)
    written = json.loads(adapter.dump_json(size))
    assert parse_byte_size(written) == size
