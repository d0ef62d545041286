"""Schemathesis over our own OpenAPI, as each role: no answer is a defect or outside the schema, and no role does more than
it may.

Half of the requests fit the schema and half break it in one place. A share of them is about objects that exist: names that
are made up are never found.
"""

from __future__ import annotations

import json
import tempfile
import time
import traceback
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote, urlsplit

import jsonschema
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from schemathesis.core.failures import FailureGroup
from schemathesis.core.result import Err
from schemathesis.core.transport import Response
from schemathesis.generation import GenerationMode
from schemathesis.schemas import APIOperation
from schemathesis.specs.openapi import checks

from reconciler.store.base import refs
from reconciler.web.kube.openapi import documents
from tests.web.kube.in_process import NONE, ROLES, Answer, InProcess

WHO: Final = (*ROLES, NONE, None)
"""None: without a credential."""
BATCH: Final = 100
"""Requests about one operation before the objects that they made are removed."""
FEWEST: Final = 4
"""Requests about one operation: to prepare for it takes longer than these."""
MAX_FINDS: Final = 5
_CHECKS: Final = (
    schemathesis.checks.not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_headers_conformance,
    checks.response_schema_conformance,
)
_BASE: Final = "http://vault"
_LOGS: Final = ("audit", "versions.sqlite3", "history.sqlite3")
"""Files of the state directory that reads may change, too, and those that tell of a write that was refused."""


@dataclass(frozen=True)
class RoleReport:
    """What the requests of one role came to; `codes` is how often each status was the answer."""

    role: str
    requests: int
    seconds: float
    codes: Mapping[int, int]
    finds: tuple[str, ...]

    def __str__(self) -> str:
        rate = self.requests / self.seconds
        codes = ", ".join(f"{code} ×{count:,}" for code, count in sorted(self.codes.items()))
        return (
            f"{f'schema, as {self.role}':<18} {self.requests:>8,} requests {rate:>6,.0f}/s  "
            f"{len(self.finds)} finds  ({codes})"
        )


def ask_as(role: str | None, first: int, inputs: int) -> RoleReport:
    """Send about `inputs` requests as a role; the same ones for the same `first`."""
    started = time.monotonic()
    operations = list(_operations())
    # A short campaign has some of the operations, and another one others.
    step = max(1, len(operations) * FEWEST // inputs)
    operations = operations[first % step :: step]
    each = -(-inputs // len(operations))
    finds: list[str] = []
    codes: dict[int, int] = {}
    with tempfile.TemporaryDirectory(prefix="fuzz-") as directory, InProcess(Path(directory)) as api:
        asking = _Asking(api, role, codes)
        for number, operation in enumerate(operations):
            for begin in range(0, each, BATCH):
                _reset(api)
                try:
                    asking.ask(operation, first + number * inputs + begin, min(BATCH, each - begin))
                except (Exception, FailureGroup):
                    finds.append(f"as {role}: {operation.method} {operation.path}\n{traceback.format_exc()}")
                    break
            if len(finds) >= MAX_FINDS:
                break
    return RoleReport(str(role), sum(codes.values()), time.monotonic() - started, codes, tuple(finds))


def _operations() -> Iterator[APIOperation[Any, Any, Any, Any]]:
    for path in documents.index()["paths"]:
        # A copy: the documents are shared with the server.
        schema = schemathesis.openapi.from_dict(json.loads(json.dumps(documents.part(path))))
        for found in schema.get_all_operations():
            if isinstance(found, Err):
                raise found.err()
            yield found.ok()


def _reset(api: InProcess) -> None:
    """Remove what requests have made."""
    for ref in refs(api.application.objects):
        api.application.objects.of(ref.kind).remove(ref.name)
    api.begin()


class _Asking:
    def __init__(self, api: InProcess, role: str | None, codes: dict[int, int]) -> None:
        self._api = api
        self._role = role
        self._codes = codes
        (part,) = [documents.part("api/v1")]
        assert part is not None
        self._line = part["components"]["schemas"]["io.k8s.apimachinery.pkg.apis.meta.v1.WatchEvent"]

    def ask(self, operation: Any, number: int, count: int) -> None:
        """Raises what is wrong with an answer."""
        fits, breaks = (operation.as_strategy(generation_mode=mode) for mode in GenerationMode)

        @seed(number)
        @settings(
            max_examples=count,
            database=None,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            phases=[Phase.generate],
        )
        @given(st.one_of(fits, breaks), st.integers(0, 7))
        def request(case: Any, luck: int) -> None:
            if luck < 7:
                self._aim(case)
            self._send(case)

        request()

    def _aim(self, case: Any) -> None:
        """Have a request be about an object that exists, and let its body name what there is."""
        kind = case.operation.definition.raw["x-kubernetes-group-version-kind"]["kind"]
        collection = self._api.api.collections.get(kind)
        there = collection.documents()[1] if collection else ()
        places, body = case.path_parameters or {}, case.body
        if "namespace" in places:
            places["namespace"] = "default"
        if "name" in places and there:
            places["name"] = there[0].name
        if not isinstance(body, dict):
            return
        if case.method == "PUT" and there:
            body["metadata"] = {"name": there[0].name, "resourceVersion": str(there[0].number)}
        elif case.method == "POST":
            body["metadata"] = {"generateName": "made-"}
        if isinstance(spec := body.get("spec"), dict) and kind == "VaultService":
            spec |= {"plugin": "whoami", "compose": None}
        if isinstance(about := body.get("involvedObject"), dict):
            about |= {"kind": "VaultService", "name": "files", "namespace": "default"}

    def _send(self, case: Any) -> None:
        kwargs = case.as_transport_kwargs(base_url=_BASE)
        prepared = requests.Request(**{key: value for key, value in kwargs.items() if key in _SENT}).prepare()
        url = urlsplit(str(prepared.url))
        body = prepared.body or b""
        headers = [
            (_bytes(name).lower(), _bytes(value))
            for name, value in prepared.headers.items()
            if name.lower() != "authorization"
        ]
        before, logins = self._seen(), self._logins()
        answer = self._api.call(
            prepared.method or "GET",
            unquote(url.path),
            url.query.encode(),
            [*headers, *self._api.login(self._role)],
            _bytes(body),
        )
        self._codes[answer.code] = self._codes.get(answer.code, 0) + 1
        self._conforms(case, prepared, answer)
        self._is_allowed(case, answer, is_changed=self._seen() != before)
        if self._role != "admin":
            assert self._logins() == logins, "it has changed who is let in"

    def _conforms(self, case: Any, prepared: requests.PreparedRequest, answer: Answer) -> None:
        if (answer.code == 200 and answer.content.startswith(b'{"type":"')) or not answer.content:
            for line in answer.content.splitlines():
                jsonschema.validate(json.loads(line), self._line)
            return
        headers = {name: [value] for name, value in answer.headers.items()}
        response = Response(answer.code, headers, answer.content, prepared, 0.0, False, encoding="utf-8")
        case.validate_response(response, checks=list(_CHECKS))

    def _is_allowed(self, case: Any, answer: Answer, *, is_changed: bool) -> None:
        path, is_read = case.operation.path, case.method in ("GET", "HEAD")
        is_question = "/selfsubject" in path
        if self._role in (NONE, None):
            expected = 401 if self._role is None else 403
            assert answer.code >= 400 or (is_question and self._role), f"{answer.code} instead of {expected}"
        if self._role == "view" and not is_read and not is_question:
            assert answer.code >= 400, f"{answer.code} for a write"
        if self._role not in ("edit", "admin") or is_read:
            assert not is_changed, "it has changed what is stored"
        if self._role != "admin":
            assert not self._api.instances.executions, "a command was run"

    def _logins(self) -> tuple[bytes, ...]:
        """The files of tokens and users."""
        paths = (self._api.state / each for each in ("tokens.json", "users.json"))
        return tuple(path.read_bytes() if path.exists() else b"" for path in paths)

    def _seen(self) -> frozenset[tuple[str, int, int]]:
        """The files of the state directory: when each was written last, and its size."""
        found = set()
        for path in self._api.state.rglob("*"):
            if path.is_file() and not path.name.startswith(_LOGS):
                status = path.stat()
                found.add((str(path), status.st_mtime_ns, status.st_size))
        return frozenset(found)


_SENT: Final = ("method", "url", "headers", "params", "data", "json", "cookies", "files")


def _bytes(value: str | bytes) -> bytes:
    return value if isinstance(value, bytes) else value.encode("utf-8", "surrogatepass")
