"""The same files on one host and on a Swarm of three: the same answers, to clients and to the one who asks `vaultctl`."""

from __future__ import annotations

import base64
import http.client
import json
import os
import re
import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from string import Template
from tempfile import TemporaryDirectory
from typing import Any, Final

import pytest

from tests.e2e.docker_cli import remove_project
from tests.e2e.stage import Stage, free_port, gateway_project
from tests.e2e.waiting import until
from tests.swarm.laboratory import Laboratory
from tests.swarm.ways_in import on_the_first_node

pytestmark = [pytest.mark.docker, pytest.mark.turns, pytest.mark.timeout(600)]

FILES: Final = Path(__file__).parent / "same"
LOGIN: Final = base64.b64encode(b"ann:correct horse").decode()
HASH: Final = subprocess.run(
    ["openssl", "passwd", "-6", "-salt", "same", "correct horse"], capture_output=True, text=True, check=True
).stdout.strip()
OWN: Final = re.compile(
    r"\b(?:[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|[0-9a-f]{12}|[0-9a-f]{32}|[0-9a-f]{64}|[0-9]{1,3}(?:\.[0-9]{1,3}){3})\b"
    r"|\b[A-Z][a-z]{2}, \d\d [A-Z][a-z]{2} \d{4} [0-9:]{8} GMT\b"
)
"""What is another one each time: host names of containers, IDs of requests and revisions, addresses, dates."""
SINCE: Final = re.compile(r"\b(?:\d+(?:\.\d+)?(?:ms|[smhd])){1,2}\b")
"""How long ago something was, or how long it took."""
OF_THE_ENGINE: Final = re.compile(r"\n(?:Containers|Last \d+ events):\n(?:  .*\n)+")
"""The parts of a description that tell of containers: with a Swarm they have nodes, and no exit codes."""


@dataclass(frozen=True)
class Question:
    """A request of a client."""

    path: str
    host: str = "app.test"
    method: str = "GET"
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


QUESTIONS: Final = {
    "the first page": Question("/"),
    "headers that are set and removed": Question("/", headers={"X-Gone": "1", "X-Team": "another", "X-Kept": "1"}),
    "a body": Question("/echo", method="POST", body=b"x" * 1000, headers={"Content-Type": "text/x"}),
    "a body that is too long": Question("/echo", method="POST", body=b"x" * 1025),
    "the head": Question("/", method="HEAD"),
    "a path that is not there": Question("/nowhere"),
    "a bad request": Question("/slow?ms=never"),
    "a slow one": Question("/slow?ms=300"),
    "a stream": Question("/stream?seconds=0.3"),
    "below a path": Question("/below/echo", method="POST", body=b"below"),
    "where none may come in": Question("/closed"),
    "in maintenance": Question("/away"),
    "without a login": Question("/known/"),
    "with a wrong login": Question("/known/", headers={"Authorization": "Basic eDp5"}),
    "with a login": Question("/known/", headers={"Authorization": f"Basic {LOGIN}"}),
    "another page asks": Question("/", headers={"Origin": "https://page.test"}),
    "a stranger's page asks": Question("/", headers={"Origin": "https://elsewhere.test"}),
    "a preflight": Question(
        "/", method="OPTIONS", headers={"Origin": "https://page.test", "Access-Control-Request-Method": "POST"}
    ),
    "an address that has moved": Question("/here?and=there", host="old.test"),
    "an unknown host": Question("/", host="unknown.test"),
    "a config": Question("/greeting.txt", host="files.test"),
    "a secret": Question("/word.txt", host="files.test"),
    "the environment": Question("/environment.txt", host="files.test"),
    "a directory": Question("/", host="files.test"),
}  # fmt: skip


@dataclass
class Machine:
    """Where the files are applied: one host, or a Swarm."""

    stage: Stage
    files: str

    @property
    def following(self) -> Path:
        """A directory that the controller does not follow."""
        return self.stage.root / "following"

    def write(self, version: str, directory: Path | None = None) -> None:
        """Have the controller find these files, or have them in another directory."""
        values = {"name": self.stage.name, "port": self.stage.port, "version": version}
        directory = directory or self.stage.manifests
        directory.mkdir(exist_ok=True)
        for file, text in (("logins", f"ann:{HASH}\n"), ("words.env", "WORD=sesame\n")):
            (directory / file).write_text(text)
            (directory / file).chmod(0o600)
        path = directory / "all.yaml"
        path.with_suffix(".new").write_text(Template(self.files).substitute(values))
        path.with_suffix(".new").replace(path)

    def reached(self, version: str) -> None:
        """Wait until all answers are those of a version, and nothing is left to be done."""
        until(f"version {version} is everywhere", lambda: self._is(version))
        until("nothing differs", lambda: self.said("diff", "-f", str(self.stage.manifests))[0] == 0)

    def _is(self, version: str) -> bool:
        for question, needle in (
            (Question("/"), f'"version": "{version}"'),
            (QUESTIONS["a config"], f", {version}"),
        ):
            for _ in range(6):
                try:
                    if needle not in self.ask(question)[2]:
                        return False
                except OSError:
                    return False
        return True

    def ask(self, question: Question) -> tuple[int, Mapping[str, str], str]:
        """Status, headers and body, without what is another one each time."""
        connection = http.client.HTTPConnection("127.0.0.1", self.stage.port, timeout=30)
        try:
            headers = {"Host": question.host, **question.headers}
            connection.request(question.method, question.path, question.body or None, headers)
            answer = connection.getresponse()
            found = {name.lower(): OWN.sub("OWN", value) for name, value in answer.getheaders()}
            body = answer.read()
            if found.get("content-length") == str(len(body)) or question.method == "HEAD":
                # Addresses and names in a body are not always as long.
                found["content-length"] = "right"
            return answer.status, found, OWN.sub("OWN", body.decode())
        finally:
            connection.close()

    def said(self, *words: str) -> tuple[int, str]:
        """The exit code of `vaultctl`, and what it prints, without what is another one each time."""
        done = self.stage.vaultctl(*words, code=None)
        text = OF_THE_ENGINE.sub("\n", (done.stdout + done.stderr).replace(str(self.stage.root), "ROOT"))
        lines = SINCE.sub("SINCE", OWN.sub("OWN", text)).splitlines()
        return done.returncode, "\n".join(" ".join(line.split()) for line in lines)

    def document(self, *words: str) -> dict[str, Any]:
        """What `vaultctl get -o json` says that does not tell of moments and containers."""
        text = self.stage.vaultctl("get", *words, "-o", "json").stdout
        found = json.loads(text.replace(str(self.stage.root), "ROOT"))
        status = found["status"]
        conditions = [[each[key] for key in ("type", "status", "reason")] for each in status["conditions"]]
        return {
            **{key: found[key] for key in ("apiVersion", "kind", "spec")},
            "labels": found["metadata"].get("labels"),
            "generation": found["metadata"]["generation"],
            "conditions": conditions,
            **{key: status.get(key) for key in ("observedGeneration", "replicas", "routes", "url")},
        }


@contextmanager
def machine(name: str, port: int) -> Iterator[Machine]:
    """A controller that follows the files of its directory."""
    # Short, because the path of a UNIX socket may have no more than 107 characters; and in memory, for the secrets.
    with (
        TemporaryDirectory(prefix="vr-") as root,
        TemporaryDirectory(prefix="vr-", dir="/dev/shm") as runtime,
    ):
        stage = Stage(Path(root), name=name, port=port, env={"VAULT_RUNTIME_DIR": runtime})
        made = Machine(stage, (FILES / "manifests.yaml").read_text())
        made.write("1")
        with stage.controller():
            try:
                made.reached("1")
            except AssertionError as error:
                log = (stage.root / "controller.log").read_text().splitlines()[-60:]
                raise AssertionError("\n".join([str(error), *log])) from None
            yield made


def projects(name: str) -> tuple[str, ...]:
    """All that the files make, in the order of removal: the gateway is connected to the networks of the services."""
    return (gateway_project(f"{name}-front"), f"vault-{name}", f"vault-{name}-files")


@contextmanager
def removed(remove: Callable[[str], object], name: str) -> Iterator[None]:
    """Whatever happens, nothing of them is left afterwards."""
    try:
        yield
    finally:
        for project in projects(name):
            remove(project)


@dataclass
class Seen:
    """What one machine answered: to clients, and what its `vaultctl` said."""

    answers: dict[str, tuple[int, Mapping[str, str], str]] = field(default_factory=dict)
    words: dict[str, tuple[int, str]] = field(default_factory=dict)
    documents: dict[str, dict[str, Any]] = field(default_factory=dict)


def look(made: Machine) -> Seen:
    """Ask everything, have the second version be applied, and ask again."""
    seen = Seen()
    _ask(made, seen, "version 1")
    made.write("2", made.following)
    seen.words["the differences of version 2"] = made.said("diff", "-f", str(made.following))
    made.write("2")
    made.reached("2")
    _ask(made, seen, "version 2")
    return seen


def _ask(made: Machine, seen: Seen, when: str) -> None:
    name, front, files = made.stage.name, f"{made.stage.name}-front", str(made.stage.manifests)
    seen.answers |= {f"{what}, {when}": made.ask(question) for what, question in QUESTIONS.items()}
    commands: list[tuple[str, ...]] = [
        ("get",), ("get", "gateways"), ("get", name, "-l", "team=same"), ("get", "nothing"), ("routes",),
        ("describe", name), ("describe", f"{name}-files"), ("describe", "gateway", front), ("diff", "-f", files),
        ("validate", "-f", files), ("rollout", "history", name),
    ]  # fmt: skip
    for words in commands:
        seen.words[f"{' '.join(words)}, {when}".replace(str(made.stage.root), "ROOT")] = made.said(*words)
    for words in ((name,), (f"{name}-files",), ("gateway", front)):
        seen.documents[f"{' '.join(words)}, {when}"] = made.document(*words)


def test_the_same_files_give_the_same_answers(swarm: Laboratory) -> None:
    name, port = f"t-same-{os.urandom(3).hex()}", free_port()
    with removed(remove_project, name), machine(name, port) as host:
        on_host = look(host)
    with removed(swarm.remove_project, name), on_the_first_node(swarm), machine(name, port) as several:
        on_swarm = look(several)
    assert on_swarm.answers == on_host.answers
    assert on_swarm.words == on_host.words
    assert on_swarm.documents == on_host.documents
