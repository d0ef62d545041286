"""Counters and histograms of the process.

Only events are recorded here. States (replicas, conditions, drift) are read from the last observation by the collector at
each scrape, because a gauge that code has to update becomes stale.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from threading import Lock
from typing import TypeAlias

from prometheus_client.metrics_core import Metric as Family

from metrics.catalog import CATALOG
from metrics.metric import SERVICE, Metric, Type
from metrics.series import CounterSeries, HistogramSeries

_Series: TypeAlias = dict[tuple[str, ...], CounterSeries] | dict[tuple[str, ...], HistogramSeries]


class Recorder:
    """The counters and histograms of one process; a Prometheus collector. Every method is thread-safe.

    Counters whose series are known in advance start at 0: for Prometheus, a series that appears with the value 1 has not
    increased, so an alert on the first rollback would not fire.
    """

    def __init__(self, catalog: Iterable[Metric] = CATALOG) -> None:
        self._lock = Lock()
        self._counters: dict[Metric, dict[tuple[str, ...], CounterSeries]] = {}
        self._histograms: dict[Metric, dict[tuple[str, ...], HistogramSeries]] = {}
        for metric in catalog:
            if metric.type is Type.COUNTER:
                self._counters[metric] = {}
            elif metric.type is Type.HISTOGRAM:
                self._histograms[metric] = {} if metric.labels else {(): HistogramSeries(metric, ())}
        self._start_at_zero(service=None)

    def add(
        self,
        metric: Metric,
        amount: float = 1.0,
        /,
        *,
        exemplar: Mapping[str, str] | None = None,
        **labels: str,
    ) -> None:
        """Add a non-negative `amount` to a counter.

        `exemplar` (at most 128 characters in all) identifies one counted event, such as a reconcile id. Raises ValueError
        for labels that the catalogue does not list and for a metric that is not a counter.
        """
        series = self._counters.get(metric)
        if series is None:
            raise ValueError(f"{metric.name} is not a counter of this recorder")
        values = metric.values_of(labels)
        with self._lock:
            if values not in series:
                series[values] = CounterSeries(metric, values)
            series[values].add(amount, exemplar)

    def observe(
        self, metric: Metric, value: float, /, *, exemplar: Mapping[str, str] | None = None, **labels: str
    ) -> None:
        """Add one value, in the metric's unit, to a histogram.

        Raises ValueError for labels that the catalogue does not list and for a metric that is not a
        histogram.
        """
        series = self._histograms.get(metric)
        if series is None:
            raise ValueError(f"{metric.name} is not a histogram of this recorder")
        values = metric.values_of(labels)
        with self._lock:
            if values not in series:
                series[values] = HistogramSeries(metric, values)
            series[values].observe(value, exemplar)

    def introduce(self, name: str) -> None:
        """Create the counters of the VaultService `name` with 0; existing ones keep their values."""
        self._start_at_zero(service=name)

    def forget(self, name: str) -> None:
        """Drop every series of the VaultService `name`. Call it after the last pass: a later event recreates the
        series.
        """
        with self._lock:
            for metric, series in self._everything():
                if metric.per_service:
                    position = metric.labels.index(SERVICE)
                    for values in [each for each in series if each[position] == name]:
                        series.pop(values)

    def describe(self) -> Iterator[Family]:
        """The families without samples; the registry uses them to refuse duplicate names."""
        for metric, _ in self._everything():
            yield _family(metric)

    def collect(self) -> Iterator[Family]:
        """The families with their current samples."""
        for metric, series in self._everything():
            family = _family(metric)
            with self._lock:
                for each in series.values():
                    family.samples.extend(each.samples())
            yield family

    def _everything(self) -> Iterator[tuple[Metric, _Series]]:
        yield from self._counters.items()
        yield from self._histograms.items()

    def _start_at_zero(self, service: str | None) -> None:
        with self._lock:
            for metric, series in self._counters.items():
                if metric.per_service == (service is not None):
                    for values in metric.known_series(service):
                        series.setdefault(values, CounterSeries(metric, values))


def _family(metric: Metric) -> Family:
    return Family(metric.family, metric.help, metric.type.value, metric.unit)
