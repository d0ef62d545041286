"""Shared by the whole run: the limits of this machine, each measured once, and an engine for Swarm."""

from __future__ import annotations

import secrets
import statistics
import subprocess
import sys
import time
import urllib.request
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import cached_property
from http import HTTPStatus
from typing import Any, Final

import docker as docker_sdk

from benchmarks.harness.contestants import IMAGE, IMAGES, PROXY_IMAGE, RefusedError
from benchmarks.harness.pool import wait_until
from benchmarks.harness.private_engine import EngineRefusedError, private_engine
from benchmarks.harness.rounds import timed

STARTS: Final = 24
"""Number of containers for measuring the engine's maximum rate."""
SIDE_BY_SIDE: Final = 8
ALONE: Final = 5
INTERPRETERS: Final = 10
COMMAND: Final = ["sleep", "infinity"]
PORT: Final = 8000
ANSWER_SECONDS: Final = 60.0


class Lab(ExitStack):
    """Use as a context manager, which stops everything that it started."""

    @cached_property
    def swarm(self) -> str:
        """The URL of a separate engine for Swarm. Raises RefusedError."""
        try:
            return self.enter_context(private_engine(IMAGES))
        except EngineRefusedError as error:
            raise RefusedError(str(error)) from error

    @cached_property
    def engine(self) -> Any:
        """The engine's API, bare."""
        return docker_sdk.APIClient()

    @cached_property
    def starts_per_second(self) -> float:
        """How many containers the bare engine creates and starts in a second, eight side by side."""
        return STARTS / self._time_starts(STARTS, SIDE_BY_SIDE)

    @cached_property
    def starts_in_networks_per_second(self) -> float:
        """The same, each container in a network of its own that is created for it."""
        return STARTS / self._time_starts(STARTS, SIDE_BY_SIDE, in_networks=True)

    def answering_seconds(self, count: int, environment: Mapping[str, str]) -> float:
        """Seconds in which the bare engine starts so many replicas, eight side by side, until all of them answer.

        This is the limit of what waits for all of them: while they boot, they share the processors with the engine.
        """
        if count not in self._answering:
            self._answering[count] = self._time_answers(count, environment)
        return self._answering[count]

    @cached_property
    def _answering(self) -> dict[int, float]:
        return {}

    @cached_property
    def start_seconds(self) -> float:
        """How long one container takes to be created and started when nothing else is."""
        return statistics.median(self._time_starts(1, 1) for _ in range(ALONE))

    @cached_property
    def interpreter_seconds(self) -> float:
        """Run time of an empty Python program."""
        nothing = [sys.executable, "-I", "-c", ""]
        return statistics.median(
            timed(lambda: subprocess.run(nothing, check=True)) for _ in range(INTERPRETERS)
        )

    @cached_property
    def event_seconds(self) -> float:
        """How long an event is on its way from the engine to a bare listener."""
        created = self.engine.create_container(PROXY_IMAGE, COMMAND, entrypoint=[])["Id"]
        filters = {"container": created, "event": "die"}
        events = docker_sdk.APIClient().events(decode=True, filters=filters)
        delays = []
        try:
            for _ in range(ALONE):
                self.engine.start(created)
                self.engine.kill(created)
                event = next(events)
                delays.append(time.time() - event["timeNano"] / 1e9)
        finally:
            self.engine.remove_container(created, force=True)
            events.close()
        return float(statistics.median(delays))

    def one_event(self) -> str:
        """The limit of a reaction to an event."""
        return f"the event on its way: {self.event_seconds * 1000:.1f} ms"

    def rate(self, containers: int) -> str:
        """The limit for this number of containers, as text for a row."""
        rate = self.starts_per_second
        return f"{containers} bare starts: {containers / rate:.1f} s ({rate:.1f}/s)"

    def one_start(self, boot: float = 0.0) -> str:
        """The limit for one container that has to boot, as text for a row."""
        seconds = self.start_seconds + boot
        return (
            f"boot and one bare start: {seconds:.2f} s"
            if boot
            else f"one bare start: {seconds * 1000:.0f} ms"
        )

    def _time_answers(self, count: int, environment: Mapping[str, str]) -> float:
        mark = f"t-bench-{secrets.token_hex(3)}"
        network = self.engine.create_network(mark)["Id"]

        def start(_: int) -> str:
            client = docker_sdk.APIClient()
            host = client.create_host_config(network_mode=network, init=True)
            wanted = dict(environment)
            created = client.create_container(IMAGE, environment=wanted, labels={mark: ""}, host_config=host)
            client.start(created["Id"])
            networks = client.inspect_container(created["Id"])["NetworkSettings"]["Networks"]
            client.close()
            return str(networks[mark]["IPAddress"])

        def answered(address: str) -> None:
            wait_until(f"{address} answers", lambda: answers(address), ANSWER_SECONDS)

        def start_all() -> None:
            with ThreadPoolExecutor(SIDE_BY_SIDE) as pool:
                addresses = list(pool.map(start, range(count)))
            for address in addresses:
                answered(address)

        try:
            return timed(start_all)
        finally:
            for row in self.engine.containers(all=True, filters={"label": mark}):
                self.engine.remove_container(row["Id"], force=True)
            self.engine.remove_network(network)

    def _time_starts(self, count: int, side_by_side: int, *, in_networks: bool = False) -> float:
        """Seconds from the first call until all run; they are removed afterwards."""
        mark = f"t-bench-{secrets.token_hex(3)}"

        def start(number: int) -> None:
            client = docker_sdk.APIClient()
            host = None
            if in_networks:
                network = client.create_network(f"{mark}-{number}", labels={mark: ""})
                host = client.create_host_config(network_mode=network["Id"])
            created = client.create_container(
                PROXY_IMAGE, COMMAND, entrypoint=[], labels={mark: ""}, host_config=host
            )
            client.start(created["Id"])
            client.close()

        def remove(container: str) -> None:
            client = docker_sdk.APIClient()
            client.remove_container(container, force=True)
            client.close()

        try:
            with ThreadPoolExecutor(side_by_side) as pool:
                return timed(lambda: list(pool.map(start, range(count))))
        finally:
            # After the pool has ended, because other starts may still run when one fails.
            of_this = {"label": mark}
            started = self.engine.containers(all=True, filters=of_this)
            with ThreadPoolExecutor(side_by_side) as pool:
                list(pool.map(remove, [row["Id"] for row in started]))
            for network in self.engine.networks(filters=of_this):
                self.engine.remove_network(network["Id"])


def answers(address: str) -> bool:
    """Whether a replica at this address answers."""
    try:
        with urllib.request.urlopen(f"http://{address}:{PORT}/healthz", timeout=1.0) as answer:
            return bool(answer.status == HTTPStatus.OK)
    except OSError:
        return False
