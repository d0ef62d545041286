"""Both syntaxes of a mount, and options that contradict each other."""

from __future__ import annotations

from typing import Any

import pytest

from reconciler.core.admission import Policy, review
from reconciler.core.compose.mounts import read_mounts


def refused(volume: Any) -> list[str]:
    found = review({"services": {"a": {"image": "x", "volumes": [volume]}}}, [], Policy())
    return [finding.rule for finding in found]


@pytest.mark.parametrize("options", ["ro", "rw", "ro,z", "Z,ro", "nocopy,ro", "cached"])
def test_known_options(options: str) -> None:
    assert refused(f"/srv/x:/x:{options}") == []


@pytest.mark.parametrize(
    "options", ["ro,rw", "rw,ro", "ro,ro", "ro,z,rw", "z,Z", "rw,cached,delegated", "ro,cached,rw"]
)
def test_contradicting_options(options: str) -> None:
    assert refused(f"/srv/x:/x:{options}") == ["mount-options"]


@pytest.mark.parametrize("rest", ["ro:rw", "", "RO", "ro, rw", "rslave", "volume-opt", "d:/x"])
def test_unknown_options(rest: str) -> None:
    assert "mount-options" in refused(f"/srv/x:/x:{rest}")


@pytest.mark.parametrize("bind", [{"propagation": "rshared"}, {"recursive": "writable"}, {"new": 1}])
def test_unknown_options_of_the_long_syntax(bind: dict[str, Any]) -> None:
    assert refused({"type": "bind", "source": "/srv/x", "target": "/x", "bind": bind}) == ["mount-options"]


@pytest.mark.parametrize(
    ("volume", "read_only"),
    [
        ("/etc/ssl/certs:/x:ro", True),
        ("/etc/ssl/certs:/x:ro,rw", False),
        ("/etc/ssl/certs:/x", False),
        ({"type": "bind", "source": "/etc/ssl/certs", "read_only": True}, True),
        ({"type": "bind", "source": "/etc/ssl/certs", "read_only": "true"}, False),
    ],
)
def test_what_counts_as_read_only(volume: Any, read_only: bool) -> None:
    assert [(mount.is_bind, mount.read_only) for mount in read_mounts([volume])] == [(True, read_only)]
