"""Series of counters and histograms, with cached labels.

The client library's counters build every sample twice and every label set again at each scrape, which was half of its
cost. These keep their labels. They are not thread-safe: the recorder holds the lock.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from time import time
from typing import Final

from prometheus_client.samples import Exemplar, Sample
from prometheus_client.utils import floatToGoString

from metrics.labels import Labels
from metrics.metric import Metric

__all__ = ["CounterSeries", "HistogramSeries"]

EXEMPLAR_CHARACTERS: Final = 128
"""Limit of OpenMetrics for all names and values of one exemplar together."""


class CounterSeries:
    """One series of a counter."""

    __slots__ = ("_exemplar", "_labels", "_name", "_value")

    def __init__(self, metric: Metric, values: Sequence[str]) -> None:
        self._name = metric.name
        self._labels = Labels(dict(zip(metric.label_names, values, strict=True)))
        self._value = 0.0
        self._exemplar: Exemplar | None = None

    def add(self, amount: float, exemplar: Mapping[str, str] | None) -> None:
        """Add `amount`. Raises ValueError if it is negative."""
        if amount < 0:
            raise ValueError(f"{self._name}: counters take non-negative amounts, not {amount}")
        self._value += amount
        if exemplar:
            self._exemplar = _exemplar(exemplar, amount)

    def samples(self) -> Iterator[Sample]:
        """Its only sample."""
        yield Sample(self._name, self._labels, self._value, None, self._exemplar)


class HistogramSeries:
    """One series of a histogram: its buckets, their count and their sum."""

    __slots__ = ("_bounds", "_buckets", "_counts", "_exemplars", "_labels", "_name", "_sum")

    def __init__(self, metric: Metric, values: Sequence[str]) -> None:
        self._name = metric.name
        self._labels = Labels(dict(zip(metric.label_names, values, strict=True)))
        self._bounds = metric.buckets
        bounds = (*metric.buckets, float("inf"))
        self._buckets = [Labels({**self._labels, "le": _bound(bound)}) for bound in bounds]
        self._counts = [0] * len(bounds)
        self._exemplars: list[Exemplar | None] = [None] * len(bounds)
        self._sum = 0.0

    def observe(self, value: float, exemplar: Mapping[str, str] | None) -> None:
        """Count one value in the first bucket whose upper bound is not below it."""
        index = bisect_left(self._bounds, value)
        self._counts[index] += 1
        self._sum += value
        if exemplar:
            self._exemplars[index] = _exemplar(exemplar, value)

    def samples(self) -> Iterator[Sample]:
        """Cumulative buckets, then count and sum."""
        bucket, total = f"{self._name}_bucket", 0.0
        for labels, count, exemplar in zip(self._buckets, self._counts, self._exemplars, strict=True):
            total += count
            yield Sample(bucket, labels, total, None, exemplar)
        yield Sample(f"{self._name}_count", self._labels, total)
        yield Sample(f"{self._name}_sum", self._labels, self._sum)


def _bound(value: float) -> str:
    return str(floatToGoString(value))  # type: ignore[no-untyped-call]


def _exemplar(labels: Mapping[str, str], value: float) -> Exemplar:
    if sum(len(name) + len(text) for name, text in labels.items()) > EXEMPLAR_CHARACTERS:
        raise ValueError(f"the exemplar {dict(labels)} has more than {EXEMPLAR_CHARACTERS} characters")
    return Exemplar(dict(labels), value, time())
