"""Counts and times what happens, for as long as the process lives.

Only events are recorded here: counters and histograms. Whatever is a state (replicas, conditions, drift) is
read from the last observation by the collector when Prometheus asks, because a gauge that is set by hand goes
stale.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from prometheus_client import Counter, Histogram, disable_created_metrics
from prometheus_client.metrics_core import Metric as Family

from metrics.catalog import CATALOG
from metrics.metric import SERVICE, Metric, Type

# Creation times would be one more series for each counter and histogram, and Prometheus takes them for
# gauges.
disable_created_metrics()  # type: ignore[no-untyped-call]


class Recorder:
    """The counters and histograms of one process; a Prometheus collector. Every method is thread-safe.

    Counters whose series are known beforehand start at 0: to Prometheus, a series that appears with the value
    1 has not increased, and an alert on the first rollback would never fire.
    """

    def __init__(self, catalog: Iterable[Metric] = CATALOG) -> None:
        self._counters: dict[Metric, Counter] = {}
        self._histograms: dict[Metric, Histogram] = {}
        for metric in catalog:
            if metric.type is Type.COUNTER:
                self._counters[metric] = Counter(
                    metric.family, metric.help, metric.label_names, unit=metric.unit, registry=None
                )
            elif metric.type is Type.HISTOGRAM:
                self._histograms[metric] = Histogram(
                    metric.family,
                    metric.help,
                    metric.label_names,
                    unit=metric.unit,
                    buckets=metric.buckets,
                    registry=None,
                )
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

        `exemplar` (at most 128 characters in all) names an example of what was counted, such as a reconcile
        id. Raises ValueError for labels that the catalogue does not list and for a metric that is not a
        counter.
        """
        counter = self._counters.get(metric)
        if counter is None:
            raise ValueError(f"{metric.name} is no counter of this recorder")
        values = metric.values_of(labels)
        child = counter.labels(*values) if values else counter
        child.inc(amount, exemplar=dict(exemplar) if exemplar else None)

    def observe(
        self, metric: Metric, value: float, /, *, exemplar: Mapping[str, str] | None = None, **labels: str
    ) -> None:
        """Put one value, in the metric's unit, into a histogram.

        Raises ValueError for labels that the catalogue does not list and for a metric that is not a
        histogram.
        """
        histogram = self._histograms.get(metric)
        if histogram is None:
            raise ValueError(f"{metric.name} is no histogram of this recorder")
        values = metric.values_of(labels)
        child = histogram.labels(*values) if values else histogram
        child.observe(value, exemplar=dict(exemplar) if exemplar else None)

    def introduce(self, name: str) -> None:
        """Let the counters of the VaultService `name` start at 0; those it has already keep their values."""
        self._start_at_zero(service=name)

    def forget(self, name: str) -> None:
        """Drop every series of the VaultService `name`. Call it after the last pass: a later event brings the
        series back.
        """
        for metric, family in (*self._counters.items(), *self._histograms.items()):
            if metric.per_service:
                family.remove_by_labels({SERVICE.name: name})

    def describe(self) -> Iterator[Family]:
        """The families without samples; the registry uses them to refuse a name that is taken."""
        for family in (*self._counters.values(), *self._histograms.values()):
            yield from family.describe()

    def collect(self) -> Iterator[Family]:
        """The families with their current samples."""
        for family in (*self._counters.values(), *self._histograms.values()):
            yield from family.collect()

    def _start_at_zero(self, service: str | None) -> None:
        for metric, counter in self._counters.items():
            if metric.labels and metric.per_service == (service is not None):
                for values in metric.known_series(service):
                    counter.labels(*values)
