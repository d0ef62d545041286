"""Compose projects that are not the controller's: found, ended, started again.

For adoptions and releases only. A container of such a project is never removed with a volume, and never changed but for its
restart policy.
"""

from __future__ import annotations

import random
import shutil
import socket
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from reconciler.api.errors import PermanentError, TemporaryError
from reconciler.core import labels
from reconciler.core.adoption.found import FoundContainer, FoundMount, FoundProject
from reconciler.core.adoption.record import FormerContainer
from reconciler.core.assess.observation import State
from reconciler.engines.compose.api import DockerApi
from reconciler.engines.compose.cli import DEFAULT_HOST
from reconciler.engines.compose.project import ComposeRefusedError, run_compose
from reconciler.engines.compose.rows import COMPOSE_ONE_OFF, COMPOSE_PROJECT, COMPOSE_SERVICE
from reconciler.engines.errors import EngineError

if TYPE_CHECKING:
    from docker import APIClient

FILES: Final = "com.docker.compose.project.config_files"
HASH: Final = "com.docker.compose.config-hash"
VERSION: Final = "com.docker.compose.version"

LOOK_SECONDS: Final = 0.1
STOP_MARGIN: Final = 30.0
"""Seconds beyond its grace period within which the engine ends a container."""
READY_SECONDS: Final = 300.0
"""For a container of a Compose project to become healthy; after that the same step can be repeated."""
UP_SECONDS: Final = 300.0
PORTS: Final = range(20000, 32000)
"""Below those that the kernel gives to clients."""
MOST_TRIED: Final = 100

_RUNS: Final = ("running", "paused", "restarting")


class ForeignProjects:
    """The projects of one engine. `environ` says where the docker program is; Compose gets nothing else of it."""

    def __init__(
        self,
        environ: Mapping[str, str],
        host: str | None = None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._environ = environ
        self._api = DockerApi(host)
        self._clock = clock
        self._sleep = sleep

    def close(self) -> None:
        """Close all connections."""
        self._api.close()

    # Looking

    def projects_of(self, file: Path) -> tuple[str, ...]:
        """The names of the projects with containers of this Compose file."""
        names = {
            marks.get(COMPOSE_PROJECT, "")
            for row in self._api.rows(FILES)
            if str(file) in (marks := row.get("Labels") or {}).get(FILES, "").split(",")
        }
        return tuple(sorted(names - {""}))

    def find(self, project: str, *, ours: bool = False) -> FoundProject:
        """The containers of a project without those of single commands, and without or only those of the controller."""
        found = []
        for row in sorted(self._api.rows_of(project), key=lambda each: (each["Created"], each["Id"])):
            marks = row.get("Labels") or {}
            if marks.get(COMPOSE_ONE_OFF) == "True" or (labels.SERVICE in marks) is not ours:
                continue
            if details := self._api.inspect(row["Id"]):
                found.append(_container(details))
        return FoundProject(project, tuple(found))

    def definitions(self, project: str, file: Path, profiles: Sequence[str]) -> tuple[Mapping[str, str], str]:
        """What Compose calls the definition of each service in a file, and the version of Compose."""
        output = self._compose(project, file, profiles, ["config", "--hash", "*"])
        hashes = dict(line.split(None, 1) for line in output.splitlines() if line.strip())
        version = self._run(["compose", "version", "--short"], file.parent).strip().lstrip("v")
        return {name: text.strip() for name, text in hashes.items()}, version.partition("-")[0]

    def running(self, project: str) -> tuple[str, ...]:
        """The names of the containers of any project that run, or would run again by themselves."""
        return tuple(
            row["Names"][0].lstrip("/") for row in self._api.rows_of(project) if row["State"] in _RUNS
        )

    def still_running(self, containers: Iterable[FormerContainer]) -> tuple[str, ...]:
        """The names of those that have not ended."""
        known = {each.id: each for each in containers}
        rows = self._api.rows_by_id(tuple(known))
        return tuple(known[row["Id"]].name for row in rows if row["State"] in _RUNS)

    def existing(self, kind: str, names: Iterable[str]) -> frozenset[str]:
        """Those of these volumes or networks that exist."""
        wanted = set(names)
        if kind == "networks":
            return frozenset(each["Name"] for each in self._api.read("list networks", "/networks")) & wanted
        found = self._api.read("list volumes", "/volumes").get("Volumes") or ()
        return frozenset(each["Name"] for each in found) & wanted

    def sizes(self, volumes: Iterable[str]) -> Mapping[str, int]:
        """How many bytes are in these volumes, as far as the engine knows; negative where it does not."""
        wanted = set(volumes)
        if not wanted:
            return {}
        try:
            found = self._api.read("measure volumes", "/system/df", query={"type": "volume"})
        except EngineError:
            # It takes long where there is much: what is not known counts as data.
            return {}
        return {
            each["Name"]: (each.get("UsageData") or {}).get("Size", -1)
            for each in found.get("Volumes") or ()
            if each["Name"] in wanted
        }

    def free_port(self) -> int:
        """A port that nothing listens on now."""
        for port in random.sample(PORTS, MOST_TRIED):
            with socket.socket() as probe, suppress(OSError):
                probe.bind(("", port))
                return port
        raise TemporaryError(f"no port of {PORTS.start} to {PORTS.stop - 1} is free")

    # Changing

    def hold_back(self, containers: Sequence[FormerContainer]) -> None:
        """Keep the engine from starting these again by itself."""
        for each in containers:
            self._set_restart(each.id, "no", 0)

    def end(self, containers: Sequence[FormerContainer]) -> None:
        """Stop containers for good, and return when they were seen to have ended. Raises TemporaryError if they do not."""
        self.hold_back(containers)
        for each in containers:
            self._api.ask("stop a container", partial(_stop, each), missing=None)
        longest = max((each.grace for each in containers), default=0.0)
        self._until(
            longest + STOP_MARGIN,
            lambda: not self.still_running(containers),
            lambda: f"{', '.join(self.still_running(containers))} does not end",
        )

    def revive(self, container: FormerContainer) -> None:
        """Start a container with the restart policy that it had, and return when it is ready. Raises PermanentError when it
        is gone, TemporaryError when it does not become ready.
        """
        details = self._api.inspect(container.id)
        if details is None:
            raise PermanentError(
                f"{container.name} is gone; `docker compose up -d --no-deps {container.service}` makes another one on the "
                "same volumes"
            )
        self._set_restart(container.id, container.restart, container.retries)
        if not details["State"]["Running"]:
            self._api.ask("start a container", lambda api: api.start(container.id))
        self._until_ready(container.name, container.id)

    def remove(self, containers: Sequence[FormerContainer]) -> None:
        """Remove containers that have ended; their volumes stay, also those without a name."""
        for each in containers:
            self._api.ask("remove a container", partial(_remove, each), missing=None)

    def up(self, project: str, file: Path, service: str) -> None:
        """Create and start the containers of one service of a file, and return when they are ready."""
        words = ["up", "--detach", "--no-deps", "--pull", "never", "--quiet-pull", service]
        self._compose(project, file, (), words, UP_SECONDS)
        for container in self.find(project).of(service):
            self._until_ready(container.name, container.id)

    # Details

    def _set_restart(self, container: str, policy: str, retries: int) -> None:
        wanted = {"Name": policy, "MaximumRetryCount": retries}
        self._api.ask("change a restart policy", partial(_update, container, wanted), missing=None)

    def _until_ready(self, name: str, container: str) -> None:
        last = ""

        def is_ready() -> bool:
            nonlocal last
            state = (self._api.inspect(container) or {}).get("State") or {}
            last = (state.get("Health") or {}).get("Status") or state.get("Status", "gone")
            return last in ("running", "healthy")

        self._until(READY_SECONDS, is_ready, lambda: f"{name} does not become ready, it is {last}")

    def _until(self, seconds: float, is_met: Callable[[], bool], complaint: Callable[[], str]) -> None:
        deadline = self._clock() + seconds
        while not is_met():
            if self._clock() >= deadline:
                raise TemporaryError(
                    f"{complaint()} after {seconds:g} s; look at its log, and repeat the command"
                )
            self._sleep(LOOK_SECONDS)

    def _compose(
        self, project: str, file: Path, profiles: Sequence[str], words: Sequence[str], seconds: float = 30.0
    ) -> str:
        chosen = [word for name in profiles for word in ("--profile", name)]
        place = ["--project-name", project, "--project-directory", str(file.parent), "--file", str(file)]
        return self._run(["compose", *place, *chosen, *words], file.parent, seconds)

    def _run(self, words: Sequence[str], directory: Path, seconds: float = 30.0) -> str:
        program = shutil.which("docker", path=self._environ.get("PATH"))
        if program is None:
            raise PermanentError("docker is not installed; install it with its Compose plugin")
        settings = self._environ.get("DOCKER_CONFIG") or str(
            Path(self._environ.get("HOME") or "/") / ".docker"
        )
        host = self._api.host or DEFAULT_HOST
        try:
            output, _ = run_compose(
                [program, "--config", settings, "--host", host, *words], {}, directory, seconds
            )
        except ComposeRefusedError as refused:
            raise EngineError(f"docker compose: {refused}") from None
        return output


def _stop(container: FormerContainer, api: APIClient) -> None:
    api.stop(container.id, timeout=round(container.grace))


def _remove(container: FormerContainer, api: APIClient) -> None:
    api.remove_container(container.id, v=False)


def _update(container: str, policy: Any, api: APIClient) -> None:
    api.update_container(container, restart_policy=policy)


def _container(details: Mapping[str, Any]) -> FoundContainer:
    marks, state = details["Config"].get("Labels") or {}, details["State"]
    policy = (details.get("HostConfig") or {}).get("RestartPolicy") or {}
    mounts = tuple(
        FoundMount(each["Name"], each["Destination"])
        for each in details.get("Mounts") or ()
        if each.get("Type") == "volume"
    )
    bindings = (details.get("HostConfig") or {}).get("PortBindings") or {}
    live = (details.get("NetworkSettings") or {}).get("Ports") or {}
    return FoundContainer(
        id=details["Id"],
        name=details["Name"].lstrip("/"),
        service=marks.get(COMPOSE_SERVICE, ""),
        state=State(state["Status"]),
        files=tuple(each for each in marks.get(FILES, "").split(",") if each),
        hash=marks.get(HASH, ""),
        version=marks.get(VERSION, "").lstrip("v").partition("-")[0],
        exit_code=state.get("ExitCode"),
        restart=policy.get("Name") or "no",
        retries=policy.get("MaximumRetryCount") or 0,
        mounts=mounts,
        ports={**_ports(bindings), **_ports(live)},
    )


def _ports(bindings: Mapping[str, Any]) -> Mapping[int, int]:
    return {
        int(key.partition("/")[0]): int(each["HostPort"])
        for key, all_of in bindings.items()
        if key.endswith("/tcp")
        for each in all_of or ()
        if str(each.get("HostPort") or "").isdecimal()
    }
