"""Programs that are started get the way to the engine and to registries, and nothing that decides what they do."""

from __future__ import annotations

import pytest

from reconciler.core.environment import passed, passes


@pytest.mark.parametrize(
    "name",
    [
        *(
            "PATH",
            "HOME",
            "LANG",
            "LC_ALL",
            "DOCKER_HOST",
            "DOCKER_CONFIG",
            "DOCKER_CERT_PATH",
            "SSH_AUTH_SOCK",
        ),
        *("HTTPS_PROXY", "no_proxy", "AWS_PROFILE", "XDG_RUNTIME_DIR", "SSL_CERT_FILE"),
    ],
)
def test_the_way_to_what_is_needed_passes(name: str) -> None:
    assert passes(name)


@pytest.mark.parametrize(
    "name",
    [
        *(
            "COMPOSE_REMOVE_ORPHANS",
            "COMPOSE_FILE",
            "COMPOSE_PROFILES",
            "COMPOSE_ANYTHING_NEW",
            "BUILDKIT_HOST",
        ),
        *(
            "DOCKER_DEFAULT_PLATFORM",
            "DOCKER_CONTEXT",
            "DOCKER_API_VERSION",
            "DOCKER_BUILDKIT",
            "DOCKER_STACK",
        ),
        *("LD_PRELOAD", "GIT_DIR", "GIT_SSH_COMMAND", "VAULT_STATE_DIR", "TOKEN", "PATHS", "XPATH", "PATH\n"),
    ],
)
def test_nothing_else_does(name: str) -> None:
    assert not passes(name)
    assert passed({name: "x", "PATH": "/bin"}) == {"PATH": "/bin"}
