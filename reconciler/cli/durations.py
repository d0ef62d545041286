"""Durations on the command line, in the notation that manifests use."""

from __future__ import annotations

from typing import Final

import click

__all__ = ["DURATION"]


class _Duration(click.ParamType[float]):
    name = "duration"

    def convert(self, value: str | float, param: click.Parameter | None, ctx: click.Context | None) -> float:
        from reconciler.api.quantities import parse_duration

        try:
            return parse_duration(value)
        except ValueError as error:
            self.fail(f"{value!r} {error}", param, ctx)


DURATION: Final = _Duration()
"""Float seconds from "500ms", "2s", "5m" or "1m30s"."""
