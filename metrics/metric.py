"""The definition of a metric, independent of the client library.

The catalogue, the recorder, the collector and the documentation all read these values, so a name, a label or a bucket is
defined once. This module does not import Prometheus' client, so code that only names metrics does not load it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from itertools import product


class Type(StrEnum):
    """The Prometheus metric types that the project uses."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"
    INFO = "info"


@dataclass(frozen=True, slots=True)
class Label:
    """One dimension of a metric.

    `values` is the complete set: other values are refused, and all of them are exported from the start. An open label
    (no `values`) must still be bounded by the number of services, workloads or kinds, not of containers.
    """

    name: str
    help: str
    values: tuple[str, ...] = ()


SERVICE = Label("name", "`metadata.name` of the VaultService.")
"""The label of series that are removed with their VaultService."""


@dataclass(frozen=True, eq=False)
class Metric:
    """One metric, equal only to itself.

    `name` is the name in queries, including its suffix; `unit` is an OpenMetrics base unit or empty. `buckets` are the
    upper bounds of a histogram in `unit`, ascending, without +Inf.
    """

    name: str
    type: Type
    help: str
    labels: tuple[Label, ...] = ()
    unit: str = ""
    buckets: tuple[float, ...] = ()

    @property
    def family(self) -> str:
        """The name without the suffix of its type, as in OpenMetrics and the client library."""
        suffix = {Type.COUNTER: "_total", Type.INFO: "_info"}.get(self.type, "")
        return self.name.removesuffix(suffix)

    @cached_property
    def label_names(self) -> tuple[str, ...]:
        """The names of the labels, in the order of their values."""
        return tuple(label.name for label in self.labels)

    @property
    def per_service(self) -> bool:
        """Whether each series belongs to one VaultService and is removed with it."""
        return SERVICE in self.labels

    def values_of(self, labels: Mapping[str, str]) -> tuple[str, ...]:
        """The values of `labels` in the metric's own order.

        Raises ValueError for a missing or unknown label and for a value outside a complete set, because a typing error
        must not create a series.
        """
        if labels.keys() != set(self.label_names):
            raise ValueError(f"{self.name} has the labels {list(self.label_names)}, not {sorted(labels)}")
        for label in self.labels:
            if label.values and labels[label.name] not in label.values:
                allowed = ", ".join(label.values)
                raise ValueError(f"{self.name}: {label.name}={labels[label.name]!r} is not one of {allowed}")
        return tuple(labels[name] for name in self.label_names)

    def known_series(self, service: str | None = None) -> list[tuple[str, ...]]:
        """Label values of every series that is known in advance: all labels have `values`, or are SERVICE with `service`
        given. Empty if another label is open.
        """
        choices = [
            (service,) if label == SERVICE and service is not None else label.values for label in self.labels
        ]
        return list(product(*choices))
