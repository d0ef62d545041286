"""A Compose project as people have it, with PostgreSQL, rows that are written all the time, and no controller."""

from __future__ import annotations

import subprocess
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from tests.e2e.docker_cli import CALL_SECONDS, containers, docker, remove_project
from tests.e2e.stage import VAULTCTL, Stage, staged
from tests.e2e.waiting import PATIENCE, until

PAUSE: Final = 0.1
COMPOSE: Final = """\
services:
  app:
    image: vault-reconciler/whoami:latest
    init: true
    restart: always
    ports: ["{port}:8000"]
    environment: {{VERSION: "${{APP_VERSION:-1}}"}}
    volumes: [{volumes}]
    depends_on:
      db: {{condition: service_healthy}}
      migrate: {{condition: service_completed_successfully}}
    healthcheck:
      test: [CMD, curl, -fsS, -o, /dev/null, "http://127.0.0.1:8000/healthz"]
      interval: 5s
      start_period: 60s
      start_interval: 250ms
  db:
    image: postgres:16
    restart: unless-stopped
    environment: {{POSTGRES_PASSWORD: "te$$st"}}
    volumes: ["data:/var/lib/postgresql/data"]
    healthcheck:
      test: [CMD, pg_isready, -q, -h, 127.0.0.1, -U, postgres]
      interval: 5s
      start_period: 60s
      start_interval: 500ms
  migrate:
    image: postgres:16
    environment: {{PGPASSWORD: "te$$st"}}
    entrypoint: [psql, -h, db, -U, postgres, -c, "create table rows (n int)"]
    restart: "no"
    depends_on:
      db: {{condition: service_healthy}}
volumes:
  data:
  uploads:
"""


@dataclass
class Shop:
    """The project, and the stage whose state directory and port it is adopted with."""

    stage: Stage
    project: str
    directory: Path

    @property
    def file(self) -> Path:
        """Its Compose file."""
        return self.directory / "compose.yaml"

    @property
    def manifest(self) -> Path:
        """Where `vaultctl adopt` writes."""
        return self.directory / f"{self.stage.name}.yaml"

    def adopt(self, *arguments: str, code: int | None = 0) -> subprocess.CompletedProcess[str]:
        """`vaultctl adopt` of the project."""
        return self.stage.vaultctl("adopt", self.project, "--name", self.stage.name, *arguments, code=code)

    def databases(self) -> list[str]:
        """The containers of PostgreSQL that run, of both sides."""
        return [each for project in (self.project, self.stage.project) for each in containers(project, "db")]

    def rows(self) -> list[int]:
        """What is in the table."""
        (database,) = self.databases()
        found = docker("exec", database, "psql", "-U", "postgres", "-Atc", "select n from rows order by n")
        return [int(line) for line in found.split()]


@contextmanager
def shop(*, writes: bool = False) -> Iterator[Shop]:
    """The project under `docker compose`, ready. `writes`: its web service has a volume that it writes to."""
    with staged() as stage:
        here = Shop(stage, f"p-{stage.name}", stage.root / "shop")
        here.directory.mkdir()
        volumes = '"uploads:/uploads"' if writes else ""
        here.file.write_text(COMPOSE.format(port=stage.port, volumes=volumes))
        try:
            compose = ("compose", "--project-name", here.project, "--file", str(here.file))
            docker(*compose, "up", "--detach", timeout=3 * CALL_SECONDS)
            until("the project answers", lambda: _answers(stage))
            yield here
        finally:
            remove_project(here.project)


def _answers(stage: Stage) -> bool:
    try:
        return stage.get()[0] == 200
    except OSError:
        return False


@dataclass
class Writer:
    """Inserts one number after the other wherever PostgreSQL runs; `confirmed` are those that it has acknowledged, and
    `crowds` the moments at which there were two of it.
    """

    shop: Shop
    confirmed: list[int] = field(default_factory=list)
    crowds: list[list[str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._write, name="writer")

    def __enter__(self) -> Writer:
        self._thread.start()
        until("the first row", lambda: self.confirmed)
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(CALL_SECONDS)

    def _write(self) -> None:
        number = 0
        while not self._stop.wait(PAUSE):
            running = self.shop.databases()
            if len(running) > 1:
                self.crowds.append(running)
            for database in running:
                number += 1
                words = [
                    "exec",
                    database,
                    "psql",
                    "-U",
                    "postgres",
                    "-qc",
                    "insert into rows select " + str(number),
                ]
                done = subprocess.run(
                    ["docker", *words], capture_output=True, timeout=CALL_SECONDS, check=False
                )
                if done.returncode == 0:
                    self.confirmed.append(number)


def timed(stage: Stage, words: Sequence[str]) -> list[tuple[float, str]]:
    """Run `vaultctl` to its end, and return the steps that it tells, each with the moment (time.monotonic)."""
    told = []
    command = [*VAULTCTL, "--state-dir", str(stage.state), *words]
    with subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True) as process:
        guard = threading.Timer(PATIENCE, process.kill)
        guard.start()
        assert process.stderr is not None
        lines = []
        for line in process.stderr:
            lines.append(line)
            if " step: " in line:
                told.append((time.monotonic(), line.strip().partition(" step: ")[2]))
        guard.cancel()
    assert process.returncode == 0, "".join(lines)
    return [*told, (time.monotonic(), "")]
