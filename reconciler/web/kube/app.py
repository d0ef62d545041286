"""The ASGI application of the Kubernetes API: one handler that finds out who asks for what, and answers."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from anyio import to_thread
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from reconciler.api.errors import PermanentError, TemporaryError, VaultError
from reconciler.api.kinds import NAMESPACE
from reconciler.app.cluster.events import Posted, posted, would_be
from reconciler.app.cluster.running import NotReplaceableError
from reconciler.app.cluster.written import InvalidError
from reconciler.web.kube import access, discovery, protobuf
from reconciler.web.kube.asked import Place, form_of, list_options, place_of
from reconciler.web.kube.errors import (
    INTERNAL_ERROR,
    ApiError,
    Cause,
    bad_request,
    forbidden,
    invalid,
    method_not_allowed,
    not_found,
    unknown_path,
)
from reconciler.web.kube.fairness import Streaming, Turns
from reconciler.web.kube.listing import listed, shown
from reconciler.web.kube.openapi import documents as openapi
from reconciler.web.kube.scale import as_scale
from reconciler.web.kube.served import EVENTS, PODS, REVIEWS, ROLLBACK, Served, served_at
from reconciler.web.kube.streams.entry import Streams, destination
from reconciler.web.kube.streams.logs import log_answer
from reconciler.web.kube.watching import Bells, Watch
from reconciler.web.kube.writes import Act, Answer, Asked, Undo, as_status, document_of, roll_back, write
from reconciler.web.server import CLIENT_CERTIFICATE

if TYPE_CHECKING:
    from reconciler.app.cluster.running import Running
    from reconciler.app.cluster.writing import Writer
    from reconciler.web.kube.clients.client import Client
    from reconciler.web.kube.clients.clients import Clients
    from reconciler.web.kube.collection import Collection

__all__ = ["Api", "create_app"]

MAX_BODY_BYTES: Final = 3 * 1024 * 1024
"""As in Kubernetes."""
ANSWER_SECONDS: Final = 30.0
MAX_WARNINGS: Final = 20
MAX_WARNING: Final = 250
MAX_QUERY: Final = 16 * 1024
HEALTH: Final = ("healthz", "livez", "readyz")

_HEADERS: Final = {"Cache-Control": "no-cache, private", "X-Content-Type-Options": "nosniff"}
_METHODS: Final = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"]
_VERBS: Final = {"POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Api:
    """What the API is made of. `collections` are by the kind of their documents."""

    collections: Mapping[str, Collection]
    clients: Clients
    bells: Bells
    now: Callable[[], datetime]
    version: str
    writer: Writer
    running: Running
    post: Callable[[Posted], None]
    undo: Undo
    acts: Mapping[tuple[str, str], Act]
    """What is done for other writes, by kind and verb, or by kind and part."""
    audit: Callable[[Mapping[str, Any]], None]
    watchers: Streaming = field(default_factory=Streaming)
    turns: Turns = field(default_factory=Turns)


def create_app(api: Api) -> ASGIApp:
    """The application."""
    talk = Streams(api.running, api.clients, api.watchers, api.now, api.audit)

    async def answer(request: Request) -> ASGIApp:
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                return await _answer(api, request)
        except TimeoutError:
            message = f"no answer within {ANSWER_SECONDS:g} s"
            raise ApiError(504, "Timeout", message, {"retryAfterSeconds": 1}) from None

    http = Starlette(
        routes=[Route("/{path:path}", answer, methods=_METHODS)],
        exception_handlers={
            ApiError: _refuse,
            HTTPException: _http_error,
            TemporaryError: _not_now,
            PermanentError: _broken,
            ClientDisconnect: _left,
            Exception: _fail,
        },
    )

    async def serve(scope: Scope, receive: Receive, send: Send) -> None:
        await (talk if scope["type"] == "websocket" else http)(scope, receive, send)

    return serve


@dataclass(frozen=True)
class _Question:
    """A request for a resource."""

    request: Request
    client: Client
    served: Served
    place: Place

    @property
    def include(self) -> str:
        return self.request.query_params.get("includeObject", "Metadata")


async def _answer(api: Api, request: Request) -> ASGIApp:
    # Not what the route has matched: its pattern leaves a line end at the end of a path out.
    segments = tuple(request.scope["path"].removeprefix("/").rstrip("/").split("/"))
    if segments[0] in HEALTH:
        # Load balancers have no credential.
        return PlainTextResponse("ok", headers=_HEADERS)
    client = await api.clients.identify(
        request.headers.getlist("authorization"), request.scope.get("state", {}).get(CLIENT_CERTIFICATE)
    )
    access.refuse_impersonation(client, request.headers)
    async with api.turns.one_of(client.user):
        return await _answer_to(api, request, segments, client)


async def _answer_to(api: Api, request: Request, segments: tuple[str, ...], client: Client) -> ASGIApp:
    if len(request.url.query) > MAX_QUERY:
        raise bad_request(f"the query has more than {MAX_QUERY} characters")
    place = place_of(segments)
    served = served_at(place.group, place.version, place.resource) if place else None
    if place is None or served is None:
        return _about_the_api(api, request, segments)
    return await _about_a_resource(api, _Question(request, client, served, place))


def _about_the_api(api: Api, request: Request, segments: tuple[str, ...]) -> Response:
    if request.method not in ("GET", "HEAD"):
        raise method_not_allowed() if _discovered(api, request, segments) else unknown_path()
    found = _discovered(api, request, segments)
    if found is None:
        raise unknown_path()
    answer = _json(found)
    if found.get("kind") == discovery.AGGREGATED:
        # Clients tell the form by its media type.
        answer.headers["Content-Type"] = (
            f"application/json;g=apidiscovery.k8s.io;v=v2;as={discovery.AGGREGATED}"
        )
    return answer


def _discovered(api: Api, request: Request, segments: tuple[str, ...]) -> Mapping[str, Any] | None:
    """The document of a path that is no resource."""
    match segments:
        case ("",):
            return {
                "paths": [
                    "/api",
                    "/apis",
                    *(f"/{each}" for each in HEALTH),
                    "/openapi/v2",
                    "/openapi/v3",
                    "/version",
                ]
            }
        case ("version",):
            return discovery.version(api.version)
        case ("api" | "apis",) if form_of(_accept(request)) == "aggregated":
            return discovery.aggregated(core=segments[0] == "api")
        case ("api",):
            return discovery.versions_of_core()
        case ("apis",):
            return discovery.group_list()
        case ("openapi", "v3"):
            return openapi.index()
        case ("openapi", "v3", *rest):
            return openapi.part("/".join(rest))
        case ("openapi", "v2"):
            form_of(_accept(request))
            return openapi.swagger()
        case ("api", version):
            return discovery.resource_list("", version)
        case ("apis", group):
            return discovery.group_of(group)
        case ("apis", group, version):
            return discovery.resource_list(group, version)
    return None


async def _about_a_resource(api: Api, question: _Question) -> ASGIApp:
    request, served, place = question.request, question.served, question.place
    if (place.namespace is not None and not served.namespaced) or (
        served.namespaced and place.namespace is None and (place.name or request.method == "POST")
    ):
        raise unknown_path()
    if place.subresource and place.subresource not in dict(served.subresources):
        raise unknown_path()
    if served == PODS and place.subresource:
        return await _part_of_pod(api, question)
    verb = "get" if request.method in ("GET", "HEAD") else _VERBS[request.method]
    if place.subresource and verb not in dict(served.subresources)[place.subresource]:
        raise method_not_allowed()
    if request.method in ("GET", "HEAD"):
        # In a thread, because a read may wait for the disk.
        return await to_thread.run_sync(lambda: _read(api, question), abandon_on_cancel=True)
    if not place.subresource and verb not in served.verbs:
        raise method_not_allowed()
    if served in REVIEWS:
        return _json(access.review(served, question.client, await _review(served, request)), 201)
    return await _write(api, question, verb)


async def _part_of_pod(api: Api, question: _Question) -> ASGIApp:
    served, place, query = question.served, question.place, question.request.query_params
    if place.name is None or (question.request.method != "GET" and place.subresource == "log"):
        raise method_not_allowed()
    access.authorize(question.client, "get", served, place.namespace, place.name, place.subresource)
    if place.subresource != "log":
        if place.namespace == NAMESPACE:
            # kubectl shows the answer to this second try when the WebSocket was refused.
            await destination(api.running, place.name, place.subresource or "")
        raise bad_request("Upgrade request required, to a WebSocket: kubectl 1.31 or later sends it")
    name = place.name
    pair = await to_thread.run_sync(lambda: api.running.one(name)) if place.namespace == NAMESPACE else None
    if pair is None:
        raise not_found(served.group, served.plural, name)
    ref, instance = pair
    answer = await log_answer(
        api.running.instances, instance, query, lambda text: api.running.hide(text, ref.label), api.now()
    )

    async def follow(scope: Scope, receive: Receive, send: Send) -> None:
        if not await api.clients.while_valid(question.client, answer(scope, receive, send)):
            await send({"type": "http.response.body", "body": b"", "more_body": False})

    return _Counted(follow, api.watchers, question.client.user)


async def _write(api: Api, question: _Question, verb: str) -> Response:
    """Write, and keep in the audit log what came of it: no write is done that is not in the log."""
    request, place = question.request, question.place
    if (place.name is None) != (verb == "create" and not place.subresource):
        raise method_not_allowed()
    asked = Asked(
        verb,
        question.served,
        place,
        await _whole(request),
        request.headers.get("content-type", "").partition(";")[0].strip().lower(),
        dict(request.query_params),
        request.headers.get("user-agent", ""),
    )
    answer = await to_thread.run_sync(lambda: _audited(api, question, asked), abandon_on_cancel=True)
    response = _json(answer.document, answer.code)
    # It may have the text of a new token.
    response.headers["Cache-Control"] = "no-store"
    for warning in answer.warnings[:MAX_WARNINGS]:
        response.headers.append("Warning", f'299 - "{_quoted(warning)}"')
    return response


def _quoted(warning: str) -> str:
    """A text for a header: one line of printable ASCII."""
    said = "".join(
        each if each.isprintable() and each.isascii() else "?" for each in " ".join(warning.split())
    )
    return said[:MAX_WARNING].replace("\\", "\\\\").replace('"', '\\"')


def _audited(api: Api, question: _Question, asked: Asked) -> Answer:
    client, request, place = question.client, question.request, question.place
    record = {
        "time": api.now().isoformat(),
        **client.record,
        "client": request.client.host if request.client else "",
        "verb": asked.verb,
        "resource": asked.served.qualified + (f"/{place.subresource}" if place.subresource else ""),
        "name": asked.name,
        "dryRun": asked.query.get("dryRun", "") != "",
    }
    try:
        access.authorize(client, asked.verb, asked.served, place.namespace, place.name, place.subresource)
    except ApiError as error:
        api.audit({**record, "stage": "refused", "code": error.code, "reason": error.reason})
        raise
    api.audit({**record, "stage": "asked"})
    code, reason, name = 500, INTERNAL_ERROR, asked.name
    try:
        answer = _written(api, asked)
        code, reason = answer.code, ""
        name = answer.document.get("metadata", {}).get("name", name)
    except ApiError as error:
        code, reason = error.code, error.reason
        raise
    finally:
        api.audit({**record, "name": name, "stage": "done", "code": code, "reason": reason})
    return answer


def _written(api: Api, asked: Asked) -> Answer:
    if act := api.acts.get((asked.served.kind, asked.place.subresource or asked.verb)):
        try:
            return act(asked)
        except VaultError as error:
            raise as_status(error, asked) from None
    if asked.served == PODS:
        return _replace(api, asked)
    if asked.served == EVENTS:
        return _post(api, asked)
    if asked.place.subresource == ROLLBACK:
        return roll_back(api.writer, asked, api.undo)
    return write(api.writer, asked)


def _post(api: Api, asked: Asked) -> Answer:
    """An event of a client, such as an operator: it is one of the object's from now on."""
    if asked.place.namespace != NAMESPACE:
        raise not_found("", "namespaces", asked.place.namespace or "")
    try:
        event = posted(document_of(asked))
    except InvalidError as error:
        causes = [Cause(each.field, each.message) for each in error.mistakes]
        raise invalid("", EVENTS.kind, "", causes) from None
    if api.collections[event.ref.kind.name].document(event.ref.name) is None:
        raise invalid("", EVENTS.kind, "", [Cause("involvedObject.name", f"there is no {event.ref}")])
    if asked.dry_run:
        return Answer(201, would_be(event, api.now(), api.running.node))
    api.post(event)
    documents = [json.loads(each.text) for each in api.collections[EVENTS.kind].documents()[1]]
    mine = [
        each
        for each in documents
        if (each["involvedObject"]["name"], each["reason"], each["message"])
        == (event.ref.name, event.reason, event.message)
    ]
    # A full disk keeps no history.
    kept = max(mine, key=lambda each: str(each["lastTimestamp"]), default=None)
    return Answer(201, kept or would_be(event, api.now(), api.running.node))


def _replace(api: Api, asked: Asked) -> Answer:
    """The deletion of a Pod: its container is drained, and replaced."""
    name, is_here = asked.name, asked.place.namespace == NAMESPACE
    try:
        found = is_here and (
            api.running.require_replaceable(name) if asked.dry_run else api.running.replace(name, api.now())
        )
    except NotReplaceableError as error:
        raise forbidden("", PODS.plural, name, str(error)) from None
    if not found:
        raise not_found("", PODS.plural, name)
    return Answer(200, json.loads(shown(api.collections[PODS.kind], name, "plain", "None", api.now())))


def _read(api: Api, question: _Question) -> ASGIApp:
    served, place, client = question.served, question.place, question.client
    collection = api.collections.get(served.kind)
    if collection is None:
        raise method_not_allowed()
    form = form_of(_accept(question.request))
    options = list_options(question.request.query_params, served.fields)
    verb = "get" if place.name else "watch" if options.watch else "list"
    access.authorize(client, verb, served, place.namespace, place.name)
    if place.namespace not in (None, NAMESPACE):
        collection = _Elsewhere(collection)
    if place.name and place.subresource == "scale":
        return _json(as_scale(json.loads(shown(collection, place.name, "plain", "None", api.now()))))
    if place.name:
        return _raw(shown(collection, place.name, form, question.include, api.now()))
    if not options.watch:
        return _raw(listed(collection, options, form, question.include, api.now()))
    watch = Watch(
        collection,
        options,
        form,
        question.include,
        bells=api.bells,
        now=api.now,
        may_go_on=lambda: api.clients.is_valid(client),
    )
    return _Counted(watch, api.watchers, client.user)


class _Elsewhere:
    """A collection as another namespace has it: nothing."""

    def __init__(self, collection: Collection) -> None:
        self.served = collection.served
        self._collection = collection

    def document(self, name: str) -> None:
        return None

    def documents(self) -> tuple[int, Sequence[Any]]:
        return self._collection.documents()[0], ()

    def since(self, number: int, limit: int) -> tuple[int, Sequence[Any]] | None:
        found = self._collection.since(number, limit)
        return found and (found[0], ())


class _Counted:
    """A watch or a log that counts as one of its user while it lasts."""

    def __init__(self, watch: ASGIApp, watchers: Streaming, user: str) -> None:
        self._watch = watch
        self._watchers = watchers
        self._user = user

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        with self._watchers.one_of(self._user):
            await self._watch(scope, receive, send)


async def _whole(request: Request) -> bytes:
    """The body. Raises ApiError (413) when it is too large, without reading the rest of it."""
    found = bytearray()
    async for chunk in request.stream():
        found += chunk
        if len(found) > MAX_BODY_BYTES:
            message = f"limit is {MAX_BODY_BYTES} bytes"
            raise ApiError(413, "RequestEntityTooLarge", f"Request entity too large: {message}")
    return bytes(found)


async def _review(served: Served, request: Request) -> Mapping[str, Any]:
    if not request.headers.get("content-type", "").startswith(protobuf.MEDIA_TYPE):
        return await _body(request)
    try:
        return protobuf.read_review(served.kind, await _whole(request))
    except protobuf.ProtobufError as error:
        raise bad_request(f"the body of the request cannot be read: {error}") from None


async def _body(request: Request) -> Mapping[str, Any]:
    try:
        document = json.loads(await _whole(request) or b"null")
    except (ValueError, RecursionError):
        document = None
    if not isinstance(document, dict):
        raise bad_request("the body of the request is not an object in JSON")
    return document


def _accept(request: Request) -> str:
    return ",".join(request.headers.getlist("accept"))


def _json(document: Mapping[str, Any], code: int = 200) -> Response:
    return _raw(json.dumps(document, ensure_ascii=False).encode(), code)


def _raw(text: bytes, code: int = 200) -> Response:
    return Response(text, code, {**_HEADERS, "Content-Type": "application/json"})


async def _refuse(request: Request, error: Exception) -> Response:
    assert isinstance(error, ApiError)
    answer = _json(error.document(), error.code)
    answer.headers.update(error.headers)
    return answer


_REASONS: Final = {405: "MethodNotAllowed", 413: "RequestEntityTooLarge"}


async def _http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    found = ApiError(error.status_code, _REASONS.get(error.status_code, "BadRequest"), error.detail)
    return await _refuse(request, found)


async def _not_now(request: Request, error: Exception) -> Response:
    """A full disk, for example: the same request may succeed later."""
    found = ApiError(503, "ServiceUnavailable", str(error), {"retryAfterSeconds": 1}, {"Retry-After": "1"})
    return await _refuse(request, found)


async def _broken(request: Request, error: Exception) -> Response:
    """A file of the state directory cannot be used; its message says what to do."""
    return await _refuse(request, ApiError(503, "ServiceUnavailable", str(error)))


async def _left(request: Request, error: Exception) -> Response:
    """The client has gone before its whole request was here: there is none to answer."""
    return Response(status_code=400)


async def _fail(request: Request, error: Exception) -> Response:
    message = "this is a defect of the controller; its log has the details"
    return await _refuse(request, ApiError(500, INTERNAL_ERROR, message))
