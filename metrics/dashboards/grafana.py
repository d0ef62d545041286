"""Converts a page of panels to Grafana's JSON model.

The model is long and repetitive: data source, grid position and reference letters of every panel are derived here.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

__all__ = ["SERVICE_VARIABLE", "Kind", "Page", "Panel", "Query", "to_json"]

SCHEMA_VERSION: Final = 39
COLUMNS: Final = 24
"""Width of Grafana's grid."""
REFRESH: Final = "15s"
SOURCE: Final = {"type": "prometheus", "uid": "${source}"}
SERVICE_VARIABLE: Final = "service"


class Kind(StrEnum):
    """Panel types of Grafana."""

    LINES = "timeseries"
    NUMBER = "stat"
    STATES = "state-timeline"
    TABLE = "table"


_SIZES: Final = {Kind.LINES: (8, 8), Kind.NUMBER: (4, 4), Kind.STATES: (24, 6), Kind.TABLE: (24, 6)}


@dataclass(frozen=True, slots=True)
class Query:
    """One PromQL expression and the legend of its series."""

    expr: str
    legend: str = ""


@dataclass(frozen=True, slots=True)
class Panel:
    """One panel. `unit` is Grafana's name of the unit; `help` is the tooltip of the title."""

    title: str
    kind: Kind
    queries: tuple[Query, ...]
    unit: str = "short"
    help: str = ""
    stacked: bool = False


@dataclass(frozen=True, slots=True)
class Page:
    """One dashboard. `rows` are headings with their panels; `marks` are annotations in all time series."""

    slug: str
    title: str
    rows: tuple[tuple[str, tuple[Panel, ...]], ...]
    marks: tuple[tuple[str, Query], ...] = ()
    per_service: bool = False

    @property
    def panels(self) -> tuple[Panel, ...]:
        """All panels, top to bottom."""
        return tuple(panel for _, panels in self.rows for panel in panels)


def to_json(page: Page) -> str:
    """The dashboard as JSON for Grafana's file provisioning."""
    model = {
        "uid": f"vault-{page.slug}",
        "title": page.title,
        "tags": ["vault-reconciler"],
        "schemaVersion": SCHEMA_VERSION,
        "version": 1,
        "editable": True,
        "graphTooltip": 1,
        "refresh": REFRESH,
        "time": {"from": "now-1h", "to": "now"},
        "timezone": "browser",
        "links": [
            {
                "type": "dashboards",
                "title": "vault-reconciler",
                "tags": ["vault-reconciler"],
                "asDropdown": True,
                "includeVars": True,
                "keepTime": True,
            }
        ],
        "templating": {"list": _variables(page)},
        "annotations": {"list": [_annotation(name, query) for name, query in page.marks]},
        "panels": _panels(page),
    }
    return json.dumps(model, indent=2, ensure_ascii=False) + "\n"


def _variables(page: Page) -> list[dict[str, Any]]:
    source = {"name": "source", "label": "Data source", "type": "datasource", "query": "prometheus"}
    if not page.per_service:
        return [source]
    query = "label_values(vault_service_info, name)"
    service = {
        "name": SERVICE_VARIABLE,
        "label": "Service",
        "type": "query",
        "datasource": SOURCE,
        "definition": query,
        "query": {"query": query, "refId": "services"},
        "refresh": 2,
        "sort": 1,
    }
    return [source, service]


def _annotation(name: str, query: Query) -> dict[str, Any]:
    return {
        "name": name,
        "datasource": SOURCE,
        "enable": True,
        "expr": query.expr,
        "titleFormat": query.legend,
        "iconColor": "purple",
        "step": "15s",
    }


def _panels(page: Page) -> list[dict[str, Any]]:
    drawn: list[dict[str, Any]] = []
    top = 0
    for heading, panels in page.rows:
        drawn.append(
            {
                "id": len(drawn) + 1,
                "type": "row",
                "title": heading,
                "collapsed": False,
                "gridPos": {"x": 0, "y": top, "w": COLUMNS, "h": 1},
                "panels": [],
            }
        )
        top += 1
        left = height = 0
        for panel in panels:
            width, tall = _SIZES[panel.kind]
            if left + width > COLUMNS:
                left, top, height = 0, top + height, 0
            drawn.append(_panel(len(drawn) + 1, panel, {"x": left, "y": top, "w": width, "h": tall}))
            left, height = left + width, max(height, tall)
        top += height
    return drawn


def _panel(number: int, panel: Panel, position: dict[str, int]) -> dict[str, Any]:
    at_once = panel.kind in (Kind.NUMBER, Kind.TABLE)
    custom: dict[str, Any] = {}
    if panel.kind is Kind.LINES:
        custom = {"fillOpacity": 20 if panel.stacked else 0, "showPoints": "never"}
        if panel.stacked:
            custom["stacking"] = {"mode": "normal"}
    return {
        "id": number,
        "type": panel.kind.value,
        "title": panel.title,
        "description": panel.help,
        "datasource": SOURCE,
        "gridPos": position,
        "fieldConfig": {"defaults": {"unit": panel.unit, "custom": custom}, "overrides": []},
        "targets": [
            {
                "refId": chr(ord("A") + index),
                "datasource": SOURCE,
                "expr": query.expr,
                "legendFormat": query.legend,
                "instant": at_once,
                "range": not at_once,
                "format": "table" if panel.kind is Kind.TABLE else "time_series",
                "exemplar": panel.kind is Kind.LINES and "_bucket" in query.expr,
            }
            for index, query in enumerate(panel.queries)
        ],
    }
