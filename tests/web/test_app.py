"""The routes answer with what their callables return, in time, and all errors have one format."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable

import pytest
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from metrics.exposition import OPENMETRICS, TEXT, Exposition
from metrics.recorder import Recorder
from reconciler.web.app import create_app
from reconciler.web.health import Check, Health, Probe
from tests.web.asking import Client

FINE = Health(live=tuple, ready=tuple)
SECRET = "hunter2"


def with_health(*, live: Probe = tuple, ready: Probe = tuple) -> Client:
    return Client(create_app(Exposition(Recorder()).render, Health(live=live, ready=ready)))


def fail() -> tuple[Check, ...]:
    raise RuntimeError(SECRET)


@pytest.mark.parametrize(
    ("accept", "content_type"), [("*/*", TEXT), ("application/openmetrics-text;version=1.0.0", OPENMETRICS)]
)
def test_metrics_come_in_the_format_that_was_asked_for(accept: str, content_type: str) -> None:
    app = create_app(Exposition(Recorder()).render, FINE)
    answer = Client(app).get("/metrics", headers={"Accept": accept})
    assert answer.status_code == 200
    assert answer.headers["content-type"] == content_type
    assert "vault_event_stream_reconnects_total 0.0\n" in answer.text


def test_choices_in_several_headers_are_all_heard() -> None:
    app = create_app(Exposition(Recorder()).render, FINE)
    headers = [("Accept", "text/html"), ("Accept", "application/openmetrics-text")]
    assert Client(app).get("/metrics", headers=headers).headers["content-type"] == OPENMETRICS


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
def test_health_without_complaints_is_200(path: str) -> None:
    answer = with_health(
        live=lambda: [Check("workers", ok=True, detail="4 of 4")],
        ready=lambda: (each for each in [Check("workers", ok=True, detail="4 of 4")]),
    ).get(path)
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-store"
    assert answer.json() == {
        "status": "ok",
        "reason": "",
        "checks": [{"name": "workers", "ok": True, "detail": "4 of 4"}],
    }


def test_an_engine_that_is_away_is_told_by_ready_and_does_not_end_the_process() -> None:
    checks = [
        Check(
            "engine", ok=False, detail="the engine does not answer; start it with `systemctl start docker`"
        ),
        Check("sources", ok=False, detail="no manifest was read yet"),
        Check("workers", ok=True),
    ]
    app = with_health(ready=lambda: checks)
    answer = app.get("/readyz")
    assert answer.status_code == 503
    assert answer.json()["status"] == "failed"
    assert answer.json()["reason"] == (
        "engine: the engine does not answer; start it with `systemctl start docker`; "
        "sources: no manifest was read yet"
    )
    assert [check["ok"] for check in answer.json()["checks"]] == [False, False, True]
    assert app.get("/healthz").status_code == 200


def test_a_check_that_raises_is_unhealthy_and_keeps_its_text_for_the_log(
    caplog: pytest.LogCaptureFixture,
) -> None:
    answer = with_health(live=fail).get("/healthz")
    assert answer.status_code == 503
    assert SECRET not in answer.text
    assert SECRET in caplog.text


def test_metrics_that_raise_are_500_and_keep_their_text_for_the_log(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def render(accept: str) -> tuple[bytes, str]:
        raise RuntimeError(SECRET)

    answer = Client(create_app(render, FINE)).get("/metrics")
    assert answer.status_code == 500
    assert answer.json() == {"error": "cannot collect the metrics; the log says why"}
    assert SECRET in caplog.text


@pytest.mark.parametrize("path", ["/metrics", "/healthz", "/readyz"])
@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
def test_nothing_can_be_changed_here(path: str, method: str) -> None:
    answer = with_health().request(method, path)
    assert answer.status_code == 405
    assert sorted(answer.headers["allow"].split(", ")) == ["GET", "HEAD"]
    assert answer.json() == {"error": "Method Not Allowed"}


def test_head_answers_without_a_body() -> None:
    answer = with_health().request("HEAD", "/metrics")
    assert answer.status_code == 200
    assert answer.content == b""


@pytest.mark.parametrize("path", ["/", "/.git/config", "/healthz/x"])
def test_anything_else_is_404_in_json(path: str) -> None:
    answer = with_health().get(path)
    assert answer.status_code == 404
    assert answer.json() == {"error": "Not Found"}


async def echo(request: Request) -> Response:
    return JSONResponse({"bytes": len(await request.body())})


async def crash(request: Request) -> Response:
    raise RuntimeError(SECRET)


async def slow_stream(request: Request) -> Response:
    async def lines() -> AsyncIterator[bytes]:
        for _ in range(4):
            await asyncio.sleep(0.1)
            yield b"line\n"

    return StreamingResponse(lines())


def with_routes(*, answer_seconds: float = 5.0) -> Client:
    routes = [
        Route("/hooks/git", echo, methods=["POST"]),
        Route("/crash", crash),
        Route("/stream", slow_stream),
    ]
    app = create_app(
        Exposition(Recorder()).render, FINE, routes, max_body_bytes=10, answer_seconds=answer_seconds
    )
    return Client(app)


async def chunks(*parts: bytes) -> AsyncIterator[bytes]:
    for part in parts:
        yield part


def test_other_routes_are_served_beside_ours() -> None:
    assert with_routes().request("POST", "/hooks/git", content=b"0123456789").json() == {"bytes": 10}
    assert with_routes().get("/healthz").status_code == 200


@pytest.mark.parametrize("body", [lambda: b"01234567890", lambda: chunks(b"012345", b"67890")])
def test_a_body_over_the_limit_is_413_whether_or_not_its_length_was_told(
    body: Callable[[], bytes | AsyncIterator[bytes]],
) -> None:
    assert with_routes().request("POST", "/hooks/git", content=body()).status_code == 413


def test_a_crash_in_a_route_is_500_without_a_traceback() -> None:
    answer = with_routes().get("/crash")
    assert answer.status_code == 500
    assert SECRET not in answer.text
    assert "defect" in answer.json()["error"]


def test_an_answer_that_started_may_take_longer_than_the_deadline() -> None:
    assert with_routes(answer_seconds=0.2).get("/stream").text == "line\n" * 4


def test_a_probe_that_hangs_is_answered_for_at_the_deadline() -> None:
    release = threading.Event()

    def hang() -> tuple[Check, ...]:
        release.wait(30)
        return ()

    app = create_app(Exposition(Recorder()).render, Health(live=hang, ready=tuple), answer_seconds=0.2)
    try:
        answer = Client(app).get("/healthz")
    finally:
        release.set()
    assert answer.status_code == 503
    assert answer.json() == {"error": "no answer within 0.2 s"}
