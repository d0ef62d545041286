"""The Kubernetes API of a controller: joins the HTTP server, the store and its observer."""

from __future__ import annotations

import json
import logging
import os
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from metrics import catalog
from reconciler.api import TemporaryError, VaultError
from reconciler.api.kinds import KINDS, Ref
from reconciler.app.cluster import views as seen
from reconciler.app.cluster.audited import told
from reconciler.app.cluster.documents import document
from reconciler.app.cluster.events import KIND, Posted, event_documents
from reconciler.app.cluster.measuring import Measuring
from reconciler.app.cluster.nodes import node_document
from reconciler.app.cluster.registries import SeldomAsked
from reconciler.app.cluster.running import Running
from reconciler.app.cluster.shared import Shared
from reconciler.app.cluster.writing import Writer
from reconciler.app.views import Views
from reconciler.certificates import serving
from reconciler.cli.about import VERSION
from reconciler.cli.api_clients import clients_of
from reconciler.cli.api_documents import fixed_collections
from reconciler.cli.api_options import ApiFlags
from reconciler.store.audit import Audit
from reconciler.store.base import refs
from reconciler.store.ears import Ears
from reconciler.store.observer import Observer
from reconciler.store.tokens import Tokens
from reconciler.store.users import Users
from reconciler.store.versions import Versions
from reconciler.web.kube import discovery
from reconciler.web.kube.app import Api, create_app
from reconciler.web.kube.collection import Collection, Measured, Refreshed, Stored
from reconciler.web.kube.logins import deciding_who, token_documents, user_documents
from reconciler.web.kube.renewing import renewing
from reconciler.web.kube.served import (
    CERTIFICATES,
    EVENTS,
    EXPORTERS,
    FINDINGS,
    IMAGES,
    NODE_METRICS,
    NODES,
    POD_METRICS,
    PODS,
    REVISIONS,
    ROUTES,
    TOKENS,
    USERS,
    WATCHED,
)
from reconciler.web.kube.watching import Bells
from reconciler.web.server import Server, Tls, parse_listen
from reconciler.wiring import utc_now

if TYPE_CHECKING:
    from datetime import datetime

    from reconciler.store.versions import Document
    from reconciler.web.kube.served import Served
    from reconciler.wiring import Application

__all__ = ["DIRECTORY", "Parts", "assemble", "observing", "serving_api", "tls_of"]

DIRECTORY: Final = "api"
"""The directory of the certificates, in the state directory."""
JOURNAL: Final = "versions.sqlite3"
STOP_SECONDS: Final = 5.0
LOOK_SECONDS: Final = 30.0
"""How soon an event is found of which the kernel did not tell."""
PAUSE_SECONDS: Final = 1.0
"""Between two looks at events: one after the other is written, and each look reads the newest thousand."""
WRITTEN: Final = ("history.sqlite3", JOURNAL)
"""Beginnings of files that are written with an event, and with the UID of an object that an event names."""
EVENTS_SHOWN: Final = 1000
FRESH_SECONDS: Final = 5.0
"""How long that is told again for which the engine, registries or DNS are asked."""

_log = logging.getLogger(__name__)


@contextmanager
def serving_api(
    application: Application,
    listen: str,
    roots: tuple[Path, ...] = (),
    flags: ApiFlags | None = None,
    parts: Parts | None = None,
) -> Iterator[str]:
    """Serve the API on `listen` ("HOST:PORT") and yield its URL. Clients may name files below `roots` as settings; `flags`
    says which of them there are besides those with tokens. `parts` are those of `observing` where the page has them, too.

    Raises VaultError if that is not possible.
    """
    host, port = parse_listen(listen)
    tls = tls_of(application, host, (flags.client_ca_file,) if flags and flags.client_ca_file else ())
    with ExitStack() as opened:
        parts = parts or opened.enter_context(observing(application, roots, flags))
        server = opened.enter_context(Server(create_app(parts.api), host, port, tls, websockets=True))
        try:
            yield server.url
        finally:
            # First, because clients connect again as soon as their watch ends.
            server.leave()
            parts.api.bells.close()


def tls_of(application: Application, host: str, others: tuple[Path, ...] = ()) -> Tls:
    """The certificate of the state directory for a server on `host`, made if it is not there; `others` are authorities
    of clients besides its own. Raises TemporaryError.
    """
    state = application.options.state_dir
    try:
        serving.ensure(state / DIRECTORY, serving.host_names(host), utc_now())
    except OSError as error:
        raise TemporaryError(
            f"cannot write the certificate of the API into {state / DIRECTORY}: {error}"
        ) from error
    return Tls(
        state / DIRECTORY / serving.CERTIFICATE,
        state / DIRECTORY / serving.KEY,
        (state / DIRECTORY / serving.AUTHORITY, *others),
    )


@contextmanager
def observing(
    application: Application, roots: tuple[Path, ...] = (), flags: ApiFlags | None = None
) -> Iterator[Parts]:
    """The parts of the API over a state directory, which is looked at until the block ends. Raises VaultError."""
    state = application.options.state_dir
    parts = assemble(application, roots, flags)
    try:
        with Ears() as of_objects, Ears() as of_events:
            looking = [
                threading.Thread(
                    target=parts.observer.keep_looking, args=(of_objects,), name="observer", daemon=True
                ),
                threading.Thread(
                    target=_keep_looking, args=(parts, state, of_events), name="events", daemon=True
                ),
            ]
            for thread in looking:
                thread.start()
            try:
                yield parts
            finally:
                of_objects.end()
                of_events.end()
                parts.api.running.end()
                for thread in looking:
                    thread.join(STOP_SECONDS)
    finally:
        parts.versions.close()


@dataclass(frozen=True)
class Parts:
    """The API without its server and threads. `look_at_events` records the events that there are."""

    api: Api
    versions: Versions
    observer: Observer
    look_at_events: Callable[[], None]
    stamp: Callable[[], object]


def assemble(application: Application, roots: tuple[Path, ...] = (), flags: ApiFlags | None = None) -> Parts:
    """The API over a state directory, which has been looked at once."""
    state = application.options.state_dir
    tokens = Tokens(state, utc_now)
    # First, because an option that is wrong ends it.
    clients = clients_of(
        flags or ApiFlags(),
        tokens,
        utc_now,
        lambda succeeded: application.recorder.add(
            catalog.OIDC_KEY_FETCHES, result=catalog.SUCCESS if succeeded else catalog.ERROR
        ),
    )
    versions = Versions(state / JOURNAL, utc_now)
    observer = Observer(state, application.objects, versions, document)
    observer.look_everywhere()
    bells = Bells()
    versions.tell(bells.ring)
    one_at_a_time = threading.Lock()
    uids, node = _Uids(versions), os.uname().nodename

    def look_at_events() -> None:
        with one_at_a_time:
            events = application.history.events(limit=EVENTS_SHOWN)
            now = event_documents(events, uids.all(), node)
            gone = {(KIND, name): None for name in versions.names(KIND)}
            versions.record({**gone, **now})

    running = Running(
        application.engine.instances, application.objects, versions, uids.of, node, application.secrets.hide
    )
    measuring = Measuring(running)
    since = utc_now().fromtimestamp(state.stat().st_ctime, utc_now().tzinfo)
    version = discovery.version(VERSION)["gitVersion"]

    def look_at_nodes() -> None:
        try:
            machines = application.engine.nodes.all()
        except VaultError:
            # Those that were known are so no longer, and one is there in any case.
            known = dict.fromkeys(versions.names(NODES.kind)) or {node: None}
            found = {name: node_document(None, name, since, version) for name in known}
        else:
            # The only one has the name that events say.
            names = [node] if len(machines) == 1 else [each.name for each in machines]
            found = {
                name: node_document(each, name, since, version)
                for name, each in zip(names, machines, strict=True)
            }
        gone = {(NODES.kind, name): None for name in versions.names(NODES.kind)}
        versions.record({**gone, **{(NODES.kind, name): document for name, document in found.items()}})

    def post(event: Posted) -> None:
        records = application.history.of(event.ref.kind)
        records.record_event(event.ref.name, event.type, event.reason, event.message, utc_now())

    views = Views(application, utc_now, _log.warning)

    def undo(ref: Ref, number: int | None) -> Mapping[str, Any]:
        stored = application.objects.of(ref.kind).get(ref.name)
        return {} if stored is None else views.undo(stored, number).fields

    def owner(name: str) -> Ref | None:
        found = versions.document(PODS.kind, name)
        if found is None:
            return None
        (reference,) = json.loads(found.text)["metadata"]["ownerReferences"]
        return Ref(KINDS[reference["kind"]], reference["name"])

    users = Users(state, utc_now)
    log = Audit(state)

    def audit(record: Mapping[str, Any]) -> None:
        log.write(record)
        event = told(record, owner)
        # Names that are made up would fill the history.
        if event is not None and versions.document(event.ref.kind.name, event.ref.name) is not None:
            post(event)

    def newest(ref: Ref) -> Mapping[str, Any] | None:
        observer.look([ref])
        found = versions.document(ref.kind.name, ref.name)
        return json.loads(found.text) if found else None

    api = Api(
        {
            **{served.kind: Stored(served, versions) for served in WATCHED},
            **fixed_collections(versions, since),
            KIND: Refreshed(EVENTS, versions, look_at_events),
            PODS.kind: Refreshed(PODS, versions, running.look, running.begin),
            NODES.kind: Refreshed(NODES, versions, look_at_nodes),
            **_computed(application, views, versions, since),
            TOKENS.kind: Measured(TOKENS, versions, lambda: token_documents(tokens)),
            USERS.kind: Measured(USERS, versions, lambda: user_documents(users)),
            POD_METRICS.kind: Measured(POD_METRICS, versions, measuring.pods),
            NODE_METRICS.kind: Measured(NODE_METRICS, versions, measuring.nodes),
        },
        clients,
        bells,
        utc_now,
        VERSION,
        Writer(application.objects, application.build, newest, utc_now, roots),
        running,
        post,
        undo,
        {**renewing(views.certificates, views.renew), **deciding_who(tokens, users, utc_now)},
        audit,
    )
    return Parts(
        api,
        versions,
        observer,
        look_at_events,
        lambda: (application.history.events(limit=1), versions.number),
    )


def _computed(
    application: Application, views: Views, versions: Versions, since: datetime
) -> Mapping[str, Collection]:
    """The resources that are computed for each answer; those for which others are asked, for the answers of a while."""
    registries, hide = SeldomAsked(lambda: application.registries), application.secrets.hide

    def images() -> Mapping[str, Mapping[str, Any]]:
        registries.begin()
        found = views.images(registries=registries)
        return seen.images({**each, "message": hide(each["message"], each["service"])} for each in found)

    def findings() -> Mapping[str, Mapping[str, Any]]:
        return seen.findings(replace(each, message=hide(each.message)) for each in views.findings())

    def exporters() -> Mapping[str, Mapping[str, Any]]:
        # From memory, as Prometheus is told them.
        boards = (application.board, application.gateway_board)
        return seen.exporters(each for board in boards for each in board.exporters())

    measures: Mapping[Served, Callable[[], Mapping[str, Mapping[str, Any]]]] = {
        REVISIONS: lambda: seen.revisions((ref, views.revisions(ref)) for ref in refs(application.objects)),
        ROUTES: lambda: seen.routes(views.routes(), since),
        CERTIFICATES: lambda: seen.certificates(views.certificates()),
        IMAGES: Shared(images, FRESH_SECONDS).get,
        EXPORTERS: exporters,
        FINDINGS: Shared(findings, FRESH_SECONDS).get,
    }
    return {served.kind: Measured(served, versions, measure) for served, measure in measures.items()}


def _keep_looking(parts: Parts, state: Path, ears: Ears) -> None:
    """Record events of the history as soon as any process has written some."""
    from inotify_simple import flags

    ears.watch(state, flags.MODIFY | flags.CREATE | flags.MOVED_TO)
    before: object = None
    # Events before the watch existed, too.
    has_changed = True
    while not ears.has_ended:
        if has_changed:
            try:
                if parts.stamp() != before:
                    parts.look_at_events()
                    # What it has recorded has another number.
                    before = parts.stamp()
            except TemporaryError as error:
                _log.warning("the Kubernetes API does not see events: %s", error)
            ears.rest(PAUSE_SECONDS)
        told = ears.read(LOOK_SECONDS)
        has_changed = not told or any(each.name.startswith(WRITTEN) for each in told)


class _Uids:
    """The UIDs of objects, each read once for a version of its document."""

    def __init__(self, versions: Versions) -> None:
        self._versions = versions
        self._read: dict[tuple[str, str], tuple[int, str]] = {}

    def of(self, ref: Ref) -> str | None:
        """That of an object; None when there is none."""
        found = self._versions.document(ref.kind.name, ref.name)
        return None if found is None else self._uid(found)

    def all(self) -> Mapping[tuple[str, str], str]:
        """Those of all objects by kind and name."""
        documents = (each for served in WATCHED for each in self._versions.documents(served.kind)[1])
        found = {(each.kind, each.name): self._uid(each) for each in documents}
        self._read = {key: each for key, each in self._read.copy().items() if key in found}
        return found

    def _uid(self, document: Document) -> str:
        known = self._read.get((document.kind, document.name))
        if known is None or known[0] != document.number:
            known = (document.number, json.loads(document.text)["metadata"]["uid"])
            self._read[(document.kind, document.name)] = known
        return known[1]
