"""Renders the samples of every collector as text, in the format that the scraper requests.

The formats are written here because the client library takes about 10 µs for each sample: a machine with 200 replicas has
thousands, and a scrape shares the interpreter with the rollouts. Tests parse the result with the library's own parsers.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Final

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.metrics_core import Metric as Family
from prometheus_client.registry import Collector
from prometheus_client.samples import Exemplar

from metrics.labels import ESCAPES, label_text

TEXT: Final = "text/plain; version=0.0.4; charset=utf-8"
OPENMETRICS: Final = "application/openmetrics-text; version=1.0.0; charset=utf-8"

_OPENMETRICS_VERSIONS: Final = ("", "1.0.0")
# In the text format, HELP is not quoted, so quotes are not escaped.
_TEXT_HELP_ESCAPES: Final = str.maketrans({"\\": r"\\", "\n": r"\n"})
# In OpenMetrics these types have a suffix; in the text format the suffix is part of the family's name.
_TEXT_SUFFIXES: Final = {"counter": "_total", "info": "_info"}
_NOT_FINITE: Final = {"inf": "+Inf", "-inf": "-Inf", "nan": "NaN"}
# Cached, because most numbers are small and repeat.
_REMEMBERED_NUMBERS: Final = 4_096
_TEXT_TYPES: Final = {"info": "gauge", "unknown": "untyped"}


class Exposition:
    """Renders these collectors, and the process's own memory, CPU time and file descriptors."""

    def __init__(self, *collectors: Collector) -> None:
        self._registry = CollectorRegistry()
        for collector in collectors:
            self._registry.register(collector)
        ProcessCollector(registry=self._registry)

    def render(self, accept: str = "") -> tuple[bytes, str]:
        """All samples and their content type, for the value of a request's Accept header.

        An invalid header gets the text format, so that the scrape still works.
        """
        if _wants_openmetrics(accept):
            lines = (line for family in self._registry.collect() for line in _openmetrics(family))
            return _encode(lines) + b"# EOF\n", OPENMETRICS
        return _encode(line for family in self._registry.collect() for line in _text(family)), TEXT


def _wants_openmetrics(accept: str) -> bool:
    choices = [_media_range(choice) for choice in accept.split(",")]
    openmetrics = [
        _quality(parameters)
        for media, parameters in choices
        if media == "application/openmetrics-text" and parameters.get("version", "") in _OPENMETRICS_VERSIONS
    ]
    text = [_quality(parameters) for media, parameters in choices if media == "text/plain"]
    return max(openmetrics, default=0.0) > 0 and max(openmetrics) >= max(text, default=0.0)


def _media_range(choice: str) -> tuple[str, dict[str, str]]:
    media, *parameters = (part.strip().lower() for part in choice.split(";"))
    pairs = (parameter.partition("=") for parameter in parameters)
    return media, {name.strip(): value.strip() for name, _, value in pairs}


def _quality(parameters: Mapping[str, str]) -> float:
    try:
        return float(parameters.get("q", "1"))
    except ValueError:
        return 0.0


def _encode(lines: Iterator[str]) -> bytes:
    # Label values come from outside; an invalid surrogate in one must not fail the whole scrape.
    return "".join(lines).encode("utf-8", "replace")


def _text(family: Family) -> Iterator[str]:
    name = family.name + _TEXT_SUFFIXES.get(family.type, "")
    yield f"# HELP {name} {family.documentation.translate(_TEXT_HELP_ESCAPES)}\n"
    yield f"# TYPE {name} {_TEXT_TYPES.get(family.type, family.type)}\n"
    yield from [
        f"{name}{label_text(labels)} {_number(value)}\n" for name, labels, value, *_ in family.samples
    ]


def _openmetrics(family: Family) -> Iterator[str]:
    yield f"# HELP {family.name} {family.documentation.translate(ESCAPES)}\n"
    yield f"# TYPE {family.name} {family.type}\n"
    if family.unit:
        yield f"# UNIT {family.name} {family.unit}\n"
    for sample in family.samples:
        exemplar = _exemplar(sample.exemplar) if sample.exemplar else ""
        yield f"{sample.name}{label_text(sample.labels)} {_number(sample.value)}{exemplar}\n"


@lru_cache(maxsize=_REMEMBERED_NUMBERS)
def _number(value: float) -> str:
    text = repr(float(value))
    return _NOT_FINITE.get(text, text)


def _exemplar(exemplar: Exemplar) -> str:
    timestamp = f" {exemplar.timestamp}" if exemplar.timestamp is not None else ""
    return f" # {label_text(exemplar.labels)} {_number(exemplar.value)}{timestamp}"
