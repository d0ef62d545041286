"""`--allow-hostnames`: a host name, `*.` with a name for all below it, or `*`."""

from __future__ import annotations

from typing import Final

import click

__all__ = ["HOSTNAME_PATTERN"]


class _HostnamePattern(click.ParamType[str]):
    """A pattern in lower case; a mistake must not silently permit nothing."""

    name = "pattern"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """The pattern in lower case, without a dot at its end."""
        if value == "*":
            return value
        from pydantic import TypeAdapter, ValidationError

        from reconciler.api.formats import RouteHostname

        try:
            checked: str = TypeAdapter(RouteHostname).validate_python(value.lower().removesuffix("."))
        except ValidationError:
            example = "write app.example.org, '*.example.org' for all names below it, or '*'"
            self.fail(f"{value!r} is no host name; {example}", param, ctx)
        return checked


HOSTNAME_PATTERN: Final = _HostnamePattern()
