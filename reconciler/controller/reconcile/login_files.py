"""Reads the htpasswd files that routes name. A file that cannot be used is a result and no error: it closes its routes, and
everything else is served.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path

from reconciler.api.errors import ManifestError
from reconciler.api.text_file import read_text
from reconciler.core.routes.guards import LoginFiles
from reconciler.core.routes.logins import Logins, LoginsError, parse_logins

__all__ = ["read_login_files"]


def read_login_files(paths: Iterable[str]) -> LoginFiles:
    """What each of these files has, or why it cannot be used."""
    return {path: _read(path) for path in paths}


def _read(path: str) -> Logins | LoginsError:
    try:
        return _parsed(read_text(Path(path)), path)
    except ManifestError as error:
        return LoginsError(error.message)
    except LoginsError as error:
        return error


# Passes read all files; they change some times a year.
_parsed = lru_cache(maxsize=256)(parse_logins)
