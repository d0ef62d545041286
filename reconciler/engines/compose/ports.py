"""Finds the owner of a host port before a gateway is created, so that no container fails to start on a taken port."""

from __future__ import annotations

import errno
import socket
from collections.abc import Iterable, Mapping
from typing import Any

from reconciler.core import labels
from reconciler.core.desired.stack import Role
from reconciler.engines.compose.rows import COMPOSE_PROJECT


def owner_of(port: int, rows: Iterable[Mapping[str, Any]], *, local: bool, project: str = "") -> str | None:
    """A phrase that names the owner of this TCP port, or None when it is free, or that of a gateway of `project` itself.

    `rows` are the engine's containers; processes are searched only when the engine is on this host (`local`).
    """
    for row in rows:
        if any(mapping.get("PublicPort") == port for mapping in row.get("Ports") or ()):
            marks = row.get("Labels") or {}
            owner = marks.get(COMPOSE_PROJECT)
            if owner == project and marks.get(labels.ROLE) == Role.GATEWAY:
                return None
            return f"container {row['Names'][0].lstrip('/')}" + (f" of project {owner!r}" if owner else "")
    if not local or _is_free(port):
        return None
    return _process(port) or "another process"


def _is_free(port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("0.0.0.0", port))
        except OSError as error:
            return error.errno != errno.EADDRINUSE
    return True


def _process(port: int) -> str | None:
    import psutil

    try:
        connections = psutil.net_connections(kind="tcp")
    except psutil.Error:
        return None
    for connection in connections:
        if connection.status == psutil.CONN_LISTEN and connection.laddr and connection.laddr.port == port:
            if connection.pid is None:
                return None
            try:
                return f"process {psutil.Process(connection.pid).name()} (pid {connection.pid})"
            except psutil.Error:
                return f"process {connection.pid}"
    return None
