"""Commands in throw-away containers: they end, whatever the image does, and leave nothing behind."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from reconciler.core.labels import THROWAWAY
from reconciler.engines.base import OUTPUT_CHARACTERS, Command
from reconciler.engines.compose import throwaway
from reconciler.engines.compose.api import DockerApi
from reconciler.engines.compose.throwaway import run_once, sweep
from reconciler.engines.errors import EngineError
from tests.e2e.docker_cli import docker

IMAGE = "haproxy:3.0"

pytestmark = pytest.mark.docker


@pytest.fixture
def api() -> Iterator[DockerApi]:
    with closing(DockerApi()) as api:
        yield api


def command(script: str, mounts: Mapping[Path, str] | None = None) -> Command:
    return Command(IMAGE, ["sh", "-c", script], mounts or {}, {"GREETING": "hello"}, "99:99")


def _left(name: str) -> bool:
    """Whether there is a throw-away container with this word in its command; other tests have theirs."""
    listed = docker("ps", "--all", "--no-trunc", f"--filter=label={THROWAWAY}", "--format={{.Command}}")
    return name in listed


def test_it_has_its_mounts_its_variables_and_its_user(api: DockerApi, tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    (tmp_path / "file").write_text("content")
    check = 'test "$GREETING $(cat /in/file) $(id -u)" = "hello content 99" # ends-well'
    run_once(api, command(check, {tmp_path: "/in"}))
    assert not _left("ends-well")


def test_one_that_ignores_sigterm_leaves_nothing_either(api: DockerApi) -> None:
    stubborn = replace(command("trap '' TERM; while :; do sleep 0.1; done # stubborn"), longest=1)
    with pytest.raises(EngineError, match="took longer than 1 s"):
        run_once(api, stubborn)
    assert not _left("stubborn")


def test_of_endless_output_the_end_is_kept(api: DockerApi) -> None:
    loud = "head -c 30000000 /dev/zero | tr '\\0' 'x'; echo; echo last; exit 1"
    with pytest.raises(EngineError, match=r"last$") as raised:
        run_once(api, command(loud))
    assert len(str(raised.value)) < OUTPUT_CHARACTERS + 10


def test_it_has_no_network_no_capability_and_no_room(api: DockerApi) -> None:
    look = "grep -q 'CapEff:.0*$' /proc/self/status && ! touch /file 2>/dev/null && test \"$(ls /sys/class/net)\" = lo"
    run_once(api, command(look))


def test_what_was_left_behind_is_removed_and_what_runs_is_not(
    api: DockerApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = {f"t-left-{os.getpid()}-{limit}": limit for limit in (0, 3600)}
    for name, limit in names.items():
        docker(
            *("run", "--detach", f"--label={THROWAWAY}={limit}", f"--name={name}"),
            *("--entrypoint=sleep", IMAGE, "60"),
        )
    try:
        # Docker gives the time of creation in whole seconds.
        monkeypatch.setattr(throwaway, "MARGIN_SECONDS", 0.0)
        time.sleep(1.1)
        sweep(api)
        there = docker("ps", "--format={{.Names}}").split()
        assert [name in there for name in names] == [False, True]
    finally:
        docker("rm", "--force", *names, check=False)
