"""What Docker's command line says, told apart: wrong for good, or worth another try."""

from __future__ import annotations

import pytest

from reconciler.engines.compose.cli import _INVALID, _NO_IMAGE


@pytest.mark.parametrize(
    "said",
    [
        "validating compose.yaml: services.web.cpus must be a number",
        "validating compose.yaml: services.web additional properties 'bogus' not allowed",
        'service "web" refers to undefined network elsewhere: invalid compose project',
        'invalid mount config for type "bind": bind source path does not exist: /nowhere',
        "invalid reference format",
        "invalid volume specification: 'a:b:c:d'",
        "conflicting options: port publishing and the container type network mode",
        "Duplicate mount point: /data",
        "invalid CapAdd: unknown capability: \"CAP_X\"",
        "unknown log opt 'x' for json-file log driver",
    ],
)  # fmt: skip
def test_a_wrong_definition_is_not_tried_again(said: str) -> None:
    assert _INVALID.search(said)


@pytest.mark.parametrize(
    "said",
    [
        "No such image: web:1",
        "No such container: 0123",
        "Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon running?",
        "could not find an available, non-overlapping IPv4 address pool among the defaults",
        "driver failed programming external connectivity: port is already allocated",
        "context deadline exceeded",
        "no space left on device",
        "Conflict. The container name is already in use",
    ],
)
def test_what_time_may_change_is_tried_again(said: str) -> None:
    assert not _INVALID.search(said)


@pytest.mark.parametrize(
    ("said", "lasts"),
    [
        ("manifest for web:9 not found: manifest unknown: manifest unknown", True),
        ("pull access denied for web, repository does not exist or may require 'docker login'", True),
        ('Get "https://nowhere.invalid/v2/": dial tcp: lookup nowhere.invalid: no such host', True),
        ("no matching manifest for linux/arm64 in the manifest list entries", True),
        ('error parsing HTTP 404 response body: unexpected end of JSON input: ""', True),
        ("unauthorized: authentication required", True),
        ('Get "https://registry/v2/": dial tcp 10.0.0.1:443: connect: connection refused', False),
        ('Get "https://registry/v2/": net/http: TLS handshake timeout', False),
        ("received unexpected HTTP status: 503 Service Unavailable", False),
        ("toomanyrequests: You have reached your pull rate limit", False),
        ("dial tcp: lookup registry: server misbehaving", False),
        ("unexpected EOF", False),
    ],
)
def test_a_registry_that_has_no_such_image_is_told_from_one_that_is_away(said: str, lasts: bool) -> None:
    assert bool(_NO_IMAGE.search(said)) == lasts
