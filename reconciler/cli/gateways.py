"""Routes and certificates of gateways as tables, for `routes`, `certificate` and `describe`."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Final

import click

from reconciler.api.reasons import Reason
from reconciler.cli.tables import printable, table

if TYPE_CHECKING:
    from reconciler.app.certificates import Certificate
    from reconciler.app.routes import RouteLine

__all__ = ["certificate_table", "ends", "route_table"]

FEW_DAYS: Final = 14
DAY: Final = 86400
COLORS: Final = {
    Reason.SERVING.value: "green",
    "Valid": "green",
    "Maintenance": "yellow",
    "RenewalFails": "yellow",
}
"""All other states are red."""


def route_table(lines: Sequence[RouteLine], now: datetime, *, wide: bool) -> str:
    """A line for each host and path, or port."""
    headers = ["HOST", "PATH", "SERVICE", "CERTIFICATE", "STATE"]
    if wide:
        headers += ["GATEWAY", "ROUTE", "TLS", "ISSUER"]
    rows = []
    for line in lines:
        row = line.certificate.row if line.certificate else None
        cells = [
            line.host or "*",
            line.path if line.port is None else f"port {line.port}",
            line.service,
            ends(row.not_after, now) if row else "",
            _colored(line.state),
        ]
        if wide:
            cells += [line.gateway, line.route, row.wanted.value if row else "", (row and row.issuer) or ""]
        rows.append([*map(printable, cells[:4]), cells[4], *map(printable, [*cells[5:], line.message])])
    return table([*headers, "MESSAGE"], rows)


def certificate_table(found: Sequence[Certificate], now: datetime, *, wide: bool) -> str:
    """A line for each host."""
    headers = [
        "HOST",
        "GATEWAY",
        "SOURCE",
        "ENDS",
        "RENEWAL",
        "STATE",
        *(["ISSUER", "ROUTE"] if wide else []),
    ]
    rows = [
        [
            each.row.host,
            each.gateway,
            each.row.wanted.value,
            ends(each.row.not_after, now),
            f"{each.row.renew_at:%Y-%m-%d}" if each.row.renew_at else "",
            _colored(each.state),
            *([printable(each.row.issuer or ""), each.row.route] if wide else []),
            printable(each.row.trouble),
        ]
        for each in found
    ]
    return table([*headers, "MESSAGE"], rows)


def ends(when: datetime | None, now: datetime) -> str:
    """The day on which a certificate ends, and how long that is; empty without one."""
    if when is None:
        return ""
    days = int((when - now).total_seconds() // DAY)
    text = f"{when:%Y-%m-%d} ({days}d)" if when > now else f"{when:%Y-%m-%d} (ended)"
    return click.style(text, fg="yellow") if days < FEW_DAYS else text


def _colored(state: str) -> str:
    return click.style(state, fg=COLORS.get(state, "red"))
