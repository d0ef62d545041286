"""Amounts that users write with a unit: durations, percentages, points in time.

Documents use the notation of Kubernetes ("1m30s", "25%", RFC 3339). In Python each is a plain number, or a value object
where rounding matters, so that no other package parses text.
"""

from __future__ import annotations

import math
import re
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any, Final

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    GetCoreSchemaHandler,
    PlainSerializer,
    WithJsonSchema,
)
from pydantic_core import core_schema

from reconciler.api.moments import format_moment

__all__ = [
    "ByteSize",
    "Duration",
    "IntOrPercent",
    "Percent",
    "Seconds",
    "Timestamp",
    "TimestampText",
    "format_duration",
    "parse_byte_size",
    "parse_duration",
]

MAX_DURATION_SECONDS: Final = 366 * 24 * 3600.0
MAX_PERCENT: Final = 100
MAX_COUNT: Final = 1000
MAX_BYTES: Final = 1 << 50

_UNIT_MILLISECONDS: Final = {"d": 86_400_000, "h": 3_600_000, "m": 60_000, "s": 1000, "ms": 1}
_DURATION_PART: Final = re.compile(r"([0-9]+(?:\.[0-9]+)?)(ms|d|h|m|s)")
DURATION_PATTERN: Final = r"^([0-9]+(\.[0-9]+)?(ms|d|h|m|s))+$"
_UNIT_BYTES: Final = {"": 1, "k": 10**3, "M": 10**6, "G": 10**9, "T": 10**12} | {
    "Ki": 1 << 10,
    "Mi": 1 << 20,
    "Gi": 1 << 30,
    "Ti": 1 << 40,
}
BYTE_SIZE_PATTERN: Final = r"^([1-9][0-9]{0,14})(|k|M|G|T|Ki|Mi|Gi|Ti)$"
PERCENT_PATTERN: Final = r"^[0-9]{1,3}%$"
_TIMESTAMP: Final = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt][0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,6})?([Zz]|[+-][0-9]{2}:[0-9]{2})"
)


def parse_duration(value: object) -> float:
    """Seconds, to the millisecond, from "500ms", "2s", "1m30s", "1d", or from a number of seconds.

    Raises ValueError for anything else, for a negative or a non-finite value and for more than a year.
    """
    if isinstance(value, str) and re.fullmatch(DURATION_PATTERN, value):
        parts = _DURATION_PART.findall(value)
        seconds = sum(float(amount) * _UNIT_MILLISECONDS[unit] for amount, unit in parts) / 1000
    elif isinstance(value, int | float) and not isinstance(value, bool):
        seconds = value
    else:
        raise ValueError('must be a duration such as "2s", "500ms" or "1m30s"')
    if not 0 <= seconds <= MAX_DURATION_SECONDS:
        raise ValueError("must be a duration between 0s and 366d")
    return round(seconds * 1000) / 1000


def format_duration(seconds: float) -> str:
    """The short notation, exact to the millisecond when parsed again: 90.0 -> "1m30s"."""
    milliseconds = round(seconds * 1000)
    if milliseconds % 1000 and milliseconds < 60_000:
        return f"{milliseconds}ms"
    parts = []
    for unit in ("d", "h", "m", "s", "ms"):
        amount, milliseconds = divmod(milliseconds, _UNIT_MILLISECONDS[unit])
        if amount:
            parts.append(f"{amount}{unit}")
    return "".join(parts) or "0s"


def parse_byte_size(value: object) -> int:
    """Bytes from "10Mi", "500k" or a number, as in Kubernetes. Raises ValueError for anything else and above 1 PiB."""
    if isinstance(value, str) and (found := re.fullmatch(BYTE_SIZE_PATTERN, value)):
        size = int(found[1]) * _UNIT_BYTES[found[2]]
    elif isinstance(value, int) and not isinstance(value, bool):
        size = value
    else:
        raise ValueError('must be a number of bytes such as "10Mi", "500k" or 4096')
    if not 1 <= size <= MAX_BYTES:
        raise ValueError("must be from 1 byte to 1024Ti")
    return size


def _format_byte_size(size: int) -> str | int:
    for unit in ("Ti", "Gi", "Mi", "Ki"):
        if size % _UNIT_BYTES[unit] == 0:
            return f"{size // _UNIT_BYTES[unit]}{unit}"
    return size


def _parse_percent(value: object) -> float:
    if isinstance(value, str) and re.fullmatch(PERCENT_PATTERN, value) and int(value[:-1]) <= MAX_PERCENT:
        return int(value[:-1]) / 100
    raise ValueError('must be a percentage from "0%" to "100%"')


def _parse_timestamp(value: object) -> datetime:
    if isinstance(value, datetime) and value.tzinfo is not None:
        return value.astimezone(UTC)
    if isinstance(value, str) and _TIMESTAMP.fullmatch(value):
        # Also refused: 31 February, and a year that is out of range in UTC.
        with suppress(ValueError, OverflowError):
            return datetime.fromisoformat(value.upper()).astimezone(UTC)
    raise ValueError('must be a point in time such as "2026-05-01T12:00:00Z" (RFC 3339)')


def _check_timestamp_text(value: str) -> str:
    _parse_timestamp(value)
    return value


def _whole_if_possible(value: float) -> float | int:
    return int(value) if value.is_integer() else value


Duration = Annotated[
    float,
    BeforeValidator(parse_duration),
    PlainSerializer(format_duration, return_type=str),
    WithJsonSchema(
        {"anyOf": [{"type": "string", "pattern": DURATION_PATTERN}, {"type": "number", "minimum": 0}]}
    ),
]
"""Float seconds; written as "2s", "500ms", "1m30s" or a number of seconds."""

Seconds = Annotated[
    float,
    Field(ge=0, le=86400),
    PlainSerializer(_whole_if_possible, return_type=float | int, when_used="json"),
]
"""Float seconds from 0 to 86400; written as a plain number, in fields whose name ends with `Seconds`."""

ByteSize = Annotated[
    int,
    BeforeValidator(parse_byte_size),
    PlainSerializer(_format_byte_size, return_type=str | int, when_used="json"),
    WithJsonSchema(
        {"anyOf": [{"type": "string", "pattern": BYTE_SIZE_PATTERN}, {"type": "integer", "minimum": 1}]}
    ),
]
"""A number of bytes; written as "10Mi", "500k" or a plain number."""

Percent = Annotated[
    float,
    BeforeValidator(_parse_percent),
    PlainSerializer(lambda fraction: f"{round(fraction * 100)}%", return_type=str),
    WithJsonSchema({"type": "string", "pattern": PERCENT_PATTERN}),
]
"""A fraction from 0.0 to 1.0; written as "20%"."""

Timestamp = Annotated[
    datetime,
    BeforeValidator(_parse_timestamp),
    PlainSerializer(format_moment, return_type=str),
    WithJsonSchema({"type": "string", "format": "date-time"}),
]
"""An aware datetime in UTC; written as RFC 3339 with whole seconds."""

TimestampText = Annotated[
    str, AfterValidator(_check_timestamp_text), WithJsonSchema({"type": "string", "format": "date-time"})
]
"""RFC 3339 text that is compared and hashed exactly as written."""


@dataclass(frozen=True)
class IntOrPercent:
    """A number of replicas or a percentage of the desired ones; the caller chooses the rounding."""

    amount: int
    is_percent: bool = False

    def ceil_of(self, total: int) -> int:
        """Replicas out of `total`, rounded up (surge)."""
        return math.ceil(self.amount * total / 100) if self.is_percent else self.amount

    def floor_of(self, total: int) -> int:
        """Replicas out of `total`, rounded down (unavailable)."""
        return self.amount * total // 100 if self.is_percent else self.amount

    def __str__(self) -> str:
        return f"{self.amount}%" if self.is_percent else str(self.amount)

    @classmethod
    def parse(cls, value: object) -> IntOrPercent:
        """Parse 2 or "25%". Raises ValueError for other values, negative numbers and more than 100%."""
        if isinstance(value, cls):
            return value
        if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= MAX_COUNT:
            return cls(value)
        if isinstance(value, str) and re.fullmatch(PERCENT_PATTERN, value) and int(value[:-1]) <= MAX_PERCENT:
            return cls(int(value[:-1]), is_percent=True)
        raise ValueError(
            f'must be a number of replicas from 0 to {MAX_COUNT} or a percentage from "0%" to "100%"'
        )

    @classmethod
    def __get_pydantic_core_schema__(
        cls, source: type[Any], handler: GetCoreSchemaHandler
    ) -> core_schema.CoreSchema:
        return core_schema.no_info_plain_validator_function(
            cls.parse,
            serialization=core_schema.plain_serializer_function_ser_schema(
                lambda value: str(value) if value.is_percent else value.amount
            ),
            json_schema_input_schema=core_schema.union_schema(
                [core_schema.int_schema(ge=0, le=MAX_COUNT), core_schema.str_schema(pattern=PERCENT_PATTERN)]
            ),
        )
