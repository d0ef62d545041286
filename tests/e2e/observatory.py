"""A real Prometheus for a test: started by hand with `vaultctl`'s own configuration, minutes played as seconds.

The shipped rules are what is tested; only their durations are scaled, so that a quarter of an hour takes 15 seconds.
"""

from __future__ import annotations

import http.client
import json
import re
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlencode

import yaml

from tests.e2e.waiting import PATIENCE, until

ROOT: Final = Path(__file__).parents[2]
RULES: Final = sorted((ROOT / "metrics" / "alerts").glob("*.rules.yaml"))
INTERVAL: Final = "1s"
SCRAPE_TIMEOUT: Final = "1s"
REQUEST_SECONDS: Final = 10.0


def programs() -> Path:
    """The directory of prometheus and promtool."""
    done = subprocess.run(
        [ROOT / "scripts" / "prometheus"], capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr
    return Path(done.stdout.strip())


def a_minute_is_a_second(rules: str) -> str:
    """The same rules at sixty times the speed: `for: 5m`, `[5m]` and `5 * 60` all become five seconds."""
    scaled = re.sub(r"(for: \d+|\[\d+)m", r"\1s", rules).replace(" * 60", "")
    assert scaled != rules
    return scaled


@dataclass(frozen=True, slots=True)
class Alert:
    """An alert that fires."""

    name: str
    service: str


class Prometheus:
    """A running Prometheus, asked over its HTTP API."""

    def __init__(self, port: int) -> None:
        self._port = port

    def ask(self, path: str, **parameters: str | float) -> Any:
        """The `data` of an answer. Raises AssertionError, with Prometheus' own words, for anything but success."""
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=REQUEST_SECONDS)
        try:
            connection.request("GET", f"/api/v1/{path}?{urlencode(parameters)}")
            body = connection.getresponse().read()
        finally:
            connection.close()
        answer = json.loads(body)
        assert answer["status"] == "success", f"{parameters}: {answer}"
        return answer["data"]

    def query(self, expr: str) -> list[dict[str, Any]]:
        """The series that an expression has now."""
        result: list[dict[str, Any]] = self.ask("query", query=expr)["result"]
        return result

    def query_range(self, expr: str, start: float, end: float, step: float) -> list[dict[str, Any]]:
        """The series that an expression had between two Unix times, every `step` seconds."""
        result: list[dict[str, Any]] = self.ask("query_range", query=expr, start=start, end=end, step=step)[
            "result"
        ]
        return result

    def firing(self) -> set[Alert]:
        """The alerts that fire now."""
        alerts = self.ask("alerts")["alerts"]
        return {
            Alert(alert["labels"]["alertname"], alert["labels"].get("name", ""))
            for alert in alerts
            if alert["state"] == "firing"
        }

    def fired(self, since: float) -> set[str]:
        """The names of the alerts that fired at any moment since a Unix time."""
        seconds = max(1, round(time.time() - since))
        return {
            series["metric"]["alertname"]
            for series in self.query(f'max_over_time(ALERTS{{alertstate="firing"}}[{seconds}s])')
        }

    def until_firing(self, *names: str, within: float = PATIENCE) -> None:
        """Wait until alerts of all these names fire at the same time."""
        missing = set(names)

        def all_fire() -> bool:
            missing.clear()
            missing.update(set(names) - {alert.name for alert in self.firing()})
            return not missing

        try:
            until(f"{', '.join(names)} fire", all_fire, within)
        except AssertionError as error:
            raise AssertionError(f"{error}; not firing: {sorted(missing)}") from None

    def until_quiet(self, within: float = PATIENCE) -> None:
        """Wait until no alert fires."""
        until("no alert fires", lambda: not self.firing(), within)

    def is_up(self) -> bool:
        """Whether it answers."""
        try:
            return bool(self.query("vector(1)"))
        except (OSError, AssertionError, ValueError):
            return False


@contextmanager
def observing(directory: Path, port: int, config: str) -> Iterator[Prometheus]:
    """A Prometheus with this scrape configuration and the shipped rules, sixty times as fast."""
    rules: list[str] = []
    for path in RULES:
        copy = directory / path.name
        copy.write_text(a_minute_is_a_second(path.read_text(encoding="utf-8")), encoding="utf-8")
        rules.append(str(copy))
    file = directory / "prometheus.yml"
    file.write_text(_hurried(config, rules), encoding="utf-8")
    done = subprocess.run(
        [programs() / "promtool", "check", "config", file],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    command: Sequence[str | Path] = (
        programs() / "prometheus",
        f"--config.file={file}",
        f"--storage.tsdb.path={directory / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}",
        "--enable-feature=exemplar-storage",
        "--log.level=warn",
    )
    log = directory / "prometheus.log"
    with log.open("w") as stream:
        process = subprocess.Popen(command, stdout=stream, stderr=stream, cwd=directory)
    try:
        prometheus = Prometheus(port)
        until("Prometheus answers", prometheus.is_up)
        yield prometheus
    finally:
        process.terminate()
        try:
            process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _hurried(config: str, rules: list[str]) -> str:
    document = yaml.safe_load(config)
    document["global"] = {
        "scrape_interval": INTERVAL,
        "scrape_timeout": SCRAPE_TIMEOUT,
        "evaluation_interval": INTERVAL,
    }
    document["rule_files"] = rules
    for job in document["scrape_configs"]:
        for discovery in job.get("http_sd_configs", ()):
            discovery["refresh_interval"] = INTERVAL
    return yaml.safe_dump(document)
