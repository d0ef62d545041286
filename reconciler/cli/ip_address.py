"""`--bind`: an address of this machine, numeric, since the address of a name can change."""

from __future__ import annotations

from ipaddress import ip_address
from typing import Final

import click

__all__ = ["ADDRESS"]


class _Address(click.ParamType[str]):
    """An IPv4 or IPv6 address in its shortest form."""

    name = "address"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """The address as text."""
        try:
            address = ip_address(value.strip("[]"))
        except ValueError:
            self.fail(f"{value!r} is no address; write a number such as 127.0.0.1 or ::1", param, ctx)
        return str(address)


ADDRESS: Final = _Address()
