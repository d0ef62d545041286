"""What is fed with bad input: one function for each way in, which makes an input and takes it as the product does.

A target returns when the input was understood or refused in the way that is promised. Whatever else is raised is a
defect; so is a message with a raw control character, or one that does not say where.
"""

from __future__ import annotations

import asyncio
import hmac
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from random import Random
from typing import Any, Final

import yaml
from starlette.applications import Starlette

from reconciler.api import ManifestError, Problem, VaultError, load_env_file, parse
from reconciler.api.query.errors import QueryError
from reconciler.api.query.jsonpath import find, relaxed, render, template
from reconciler.api.query.selectors import FieldSelector, LabelSelector
from reconciler.api.text_file import decode
from reconciler.app.columns import custom_columns
from reconciler.app.goals import parse_goal
from reconciler.app.selecting import FIELDS as FIELDS_OF_OBJECTS
from reconciler.core.admission.policy import Profile
from reconciler.core.admission.rules import FIELDS, RULES
from reconciler.core.compose.interpolation import escape
from reconciler.core.compose.source_text import read_source, steps_of
from reconciler.core.desired.build import build
from reconciler.core.desired.stack import Site
from reconciler.engines.compose.file import dump
from reconciler.engines.compose.project_files import collect
from reconciler.engines.compose.rows import read_row, service_of_event
from reconciler.engines.errors import EngineError
from reconciler.proxy.haproxy.config import read_back
from reconciler.proxy.haproxy.front import FRONT
from reconciler.proxy.haproxy.runtime import Runtime
from reconciler.proxy.haproxy.socket import Master
from reconciler.web.hooks import PATH, HookTarget, hook_route
from tests.fuzz import agents, kubernetes, seeds
from tests.fuzz.mutate import mutate_bytes, mutate_data, mutate_text
from vault_plugins import VaultServicePlugin

NOW: Final = datetime(2026, 5, 1, tzinfo=UTC)

Target = Callable[[Random, Path], None]

LONGEST: Final = 20_000
"""Characters of an error; one with a line for each of a hundred findings still fits."""

_SITE: Final = Site(Path("/state/files"), 99, 99)
_KEYS: Final = sorted(
    {*FIELDS["services"], *(rule.field.partition(".")[0] for rule in RULES[Profile.RESTRICTED])} - {""}
)


def manifest(random: Random, directory: Path) -> None:
    """A manifest in bytes."""
    content = mutate_bytes(random.choice(seeds.MANIFESTS), random, seeds.MANIFESTS)
    path = directory / "bad.yaml"
    try:
        for found in parse(decode(content, path), path):
            type(found.resource).model_validate(found.resource.to_document())
            found.resource.model_dump_json().encode()
    except ManifestError as error:
        _complain(error.problems, path)


def question(random: Random, _: Path) -> None:
    """A template, a path or a selector on the command line."""
    text = mutate_text(random.choice(seeds.TEMPLATES), random, seeds.TEMPLATES)
    chosen = mutate_text(random.choice(seeds.SELECTORS), random, seeds.SELECTORS)
    asked: tuple[Callable[[], object], ...] = (
        lambda: render(template(text), seeds.ANSWER),
        lambda: find(relaxed(text), seeds.ANSWER),
        lambda: parse_goal(f"jsonpath={text}").is_met(seeds.ANSWER),
        lambda: custom_columns(f"NAME:{text}"),
        lambda: LabelSelector.parse(chosen).matches({"team": "web", "n": "4"}),
        lambda: FieldSelector.parse(chosen, FIELDS_OF_OBJECTS).matches({"metadata.name": "files"}),
    )
    for ask in asked:
        try:
            ask()
        except QueryError as error:
            _printable(str(error))


def env_file(random: Random, directory: Path) -> None:
    """A file of settings."""
    path = directory / "bad.env"
    path.write_bytes(mutate_bytes(random.choice(seeds.ENV_FILES), random, seeds.ENV_FILES))
    try:
        settings = load_env_file(path)
    except ManifestError as error:
        _complain(error.problems, path, secret=seeds.CANARY)
    else:
        "".join(settings.values()).encode()


def compose_file(random: Random, directory: Path) -> None:
    """A Compose file and one that it may name. Compose itself is not asked: it gets what comes out of this."""
    for name, samples in (("compose.yaml", seeds.COMPOSE_FILES), ("other.yaml", seeds.COMPOSE_FILES)):
        (directory / name).write_bytes(mutate_bytes(random.choice(samples), random, samples))
    (directory / "a.env").write_text("A=1\n")
    stage = directory / "stage"
    try:
        files = collect(directory, "compose.yaml", lambda beside, texts: list(texts), stage)
    except ManifestError as error:
        for problem in error.problems:
            assert problem.path.parent == directory
            assert problem.message
            _printable(str(problem))
        return
    for name, source in files.sources.items():
        for each in source.references:
            assert Path(each.text).is_relative_to(stage), "a name that was not checked"
        again = read_source(files.text_of(name).decode())
        assert [(each.place, each.text) for each in again.references] == [
            (each.place, each.text) for each in source.references
        ], "Compose would read another name"
        files.written(steps_of("services.web.ports[0]"))


class _Plugin(VaultServicePlugin):
    metadata = VaultServicePlugin.Metadata(name="Fuzz", slug="fuzz", default_port=8080)

    def __init__(self, fragment: Any, web: Any) -> None:
        self._fragment, self._web = fragment, web

    def build_compose(self, env: Mapping[str, str]) -> Mapping[str, Any]:
        fragment: Mapping[str, Any] = self._fragment
        return fragment

    def get_containers(self) -> Any:
        return self._web


def fragment(random: Random, _: Path) -> None:
    """What a plugin returns; what is accepted has to be written so that YAML reads the same."""
    data: Any = random.choice(seeds.FRAGMENTS)
    for _step in range(random.randint(1, 3)):
        data = mutate_data(data, random, _KEYS)
    web: Any = ["web"] if random.randrange(20) else mutate_data(["web"], random, ["db", "gateway"])
    try:
        stack = build(seeds.SERVICE, _Plugin(data, web), _SITE, front=FRONT)
    except VaultError as error:
        _says(error, "'fuzz'")
    else:
        assert yaml.safe_load(dump(stack.document)) == escape(stack.document)


def haproxy_config(random: Random, _: Path) -> None:
    """A haproxy.cfg that somebody has edited."""
    content = mutate_bytes(seeds.CONFIG, random, [seeds.CONFIG, *seeds.ANSWERS])
    read_back({"haproxy.cfg": content.decode(errors="replace")})


def haproxy_answer(random: Random, directory: Path) -> None:
    """What comes out of HAProxy's socket."""
    server = _Socket.of(directory)
    server.answer = mutate_bytes(random.choice(seeds.ANSWERS), random, seeds.ANSWERS)
    try:
        Runtime(Master(server.site, 1, time.monotonic() + 5), "web").processes()
    except VaultError as error:
        # It may quote the answer; what prints it makes it printable.
        assert len(str(error)) < LONGEST  # noqa: PT017 - nothing has to be raised


def docker_row(random: Random, _: Path) -> None:
    """A row of the engine's list of containers."""
    row = mutate_data(random.choice(seeds.ROWS), random, [*seeds.ROWS[0]])
    if not isinstance(row, dict):
        return
    try:
        read_row(row, {"vault-files_vault-net": "vault-net"}, NOW, stopping=False)
    except EngineError as error:
        _says(error, "engine")


def docker_event(random: Random, _: Path) -> None:
    """An event of the engine; what is not understood is about nobody."""
    event = mutate_data(random.choice(seeds.EVENTS), random, ["Type", "Actor", "name"])
    if isinstance(event, dict):
        name = service_of_event(event)
        assert name is None or isinstance(name, str)


def webhook(random: Random, _: Path) -> None:
    """A delivery to the webhook, some of them signed, all of them strange."""
    headers, body = random.choice(seeds.DELIVERIES)
    sent = mutate_bytes(body, random, [each for _, each in seeds.DELIVERIES])
    fields = {
        name: mutate_text(value, random, [value]) if random.randrange(4) == 0 else value
        for name, value in headers.items()
    }
    if random.randrange(3):
        fields["x-hub-signature-256"] = "sha256=" + hmac.new(seeds.SECRET, sent, sha256).hexdigest()
    status, answer = _deliver(fields, sent)
    assert status in (202, 204, 400, 401)
    assert seeds.SECRET not in answer


def _deliver(fields: Mapping[str, str], body: bytes) -> tuple[int, bytes]:
    """The status and body of the answer to a POST, without a server in between."""
    headers = [(k.encode(), v.encode("utf-8", "surrogatepass")) for k, v in fields.items()]
    scope = {
        "type": "http", "method": "POST", "path": PATH, "query_string": b"", "headers": headers, "http_version": "1.1",
    }  # fmt: skip
    messages: list[Any] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: Any) -> None:
        messages.append(message)

    asyncio.run(_APP(scope, receive, send))
    return messages[0]["status"], b"".join(message.get("body", b"") for message in messages[1:])


_APP: Final = Starlette(routes=[hook_route(seeds.SECRET, [HookTarget("files", "main", lambda: None)])])

TARGETS: Final[Mapping[str, Target]] = {
    "manifest": manifest,
    "question": question,
    "env file": env_file,
    "Compose file": compose_file,
    "fragment": fragment,
    "haproxy.cfg": haproxy_config,
    "HAProxy's answer": haproxy_answer,
    "Docker's row": docker_row,
    "Docker's event": docker_event,
    "webhook": webhook,
    "API, requests": kubernetes.request,
    "API, bytes": kubernetes.raw_bytes,
    "API, WebSockets": kubernetes.websocket,
    "agent, requests": agents.request,
    "agent, answers": agents.answer,
}


def _complain(problems: tuple[Problem, ...], path: Path, secret: str = "\0") -> None:
    assert problems
    for problem in problems:
        assert problem.path == path
        assert problem.line >= 0
        assert problem.message
        assert secret not in str(problem)
        _printable(str(problem))


def _says(error: VaultError, what: str) -> None:
    assert what in str(error)
    assert len(str(error)) < LONGEST
    _printable(str(error))


def _printable(text: str) -> None:
    raw = [character for character in text if not character.isprintable() and character != "\n"]
    assert not raw, f"{raw!r} would reach a terminal or a log"


class _Socket:
    """A master socket that says whatever `answer` is to everybody, once they have said everything."""

    _open: dict[Path, _Socket] = {}  # noqa: RUF012 - one for each directory, as long as the process lives

    def __init__(self, directory: Path) -> None:
        self.answer = b""
        self.site = Site(directory, os.geteuid(), os.getegid())
        self.site.run.mkdir()
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(self.site.run / "master-1.sock"))
        self._listener.listen()
        threading.Thread(target=self._serve, daemon=True).start()

    @classmethod
    def of(cls, directory: Path) -> _Socket:
        if directory not in cls._open:
            cls._open[directory] = cls(directory)
        return cls._open[directory]

    def _serve(self) -> None:
        while True:
            connection, _ = self._listener.accept()
            with connection, _ignoring_a_client_that_left():
                while connection.recv(65536):
                    pass
                connection.sendall(self.answer)


@contextmanager
def _ignoring_a_client_that_left() -> Iterator[None]:
    try:
        yield
    except OSError:
        return
