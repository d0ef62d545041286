"""Which variables of the controller's environment reach the programs that it starts: docker, Compose, git.

Both read dozens of variables that change what they do: COMPOSE_REMOVE_ORPHANS=1 removes replicas that serve. So this is an
allow list: paths of programs, the user's configuration and credentials, network access, and the language of messages.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

_PASSED: Final = re.compile(
    # user and paths
    r"PATH|HOME|USER|LOGNAME|TMPDIR|TZ|LANG|LANGUAGE|LC_[A-Z]+|XDG_(CONFIG|CACHE|DATA)_HOME|XDG_RUNTIME_DIR"
    # the way to the engine and to registries
    r"|DOCKER_(HOST|CONFIG|TLS|TLS_VERIFY|CERT_PATH)|SSH_AUTH_SOCK|SSL_CERT_(FILE|DIR)"
    r"|((HTTP|HTTPS|ALL|NO|FTP)_PROXY|(http|https|all|no|ftp)_proxy)"
    # what credential helpers of registries read
    r"|DBUS_SESSION_BUS_ADDRESS|GNUPGHOME|PASSWORD_STORE_DIR|(AWS|AZURE|GOOGLE)_[A-Z0-9_]+"
)


def passes(name: str) -> bool:
    """Whether a variable of this name reaches the programs that are started."""
    return _PASSED.fullmatch(name) is not None


def passed(environ: Mapping[str, str]) -> dict[str, str]:
    """The part of an environment that reaches them."""
    return {name: value for name, value in environ.items() if passes(name)}
