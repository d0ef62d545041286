"""The Kubernetes API of a controller: joins the HTTP server, the store and its observer."""

from __future__ import annotations

import json
import logging
import os
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from reconciler.api import TemporaryError
from reconciler.api.crd import custom_resource_definition
from reconciler.api.kinds import KINDS, NAMESPACE, Ref
from reconciler.api.moments import format_moment
from reconciler.app.cluster.documents import document
from reconciler.app.cluster.events import KIND, event_documents
from reconciler.app.cluster.writing import Writer
from reconciler.certificates import serving
from reconciler.cli.about import VERSION
from reconciler.store.audit import Audit
from reconciler.store.observer import Observer
from reconciler.store.tokens import Tokens
from reconciler.store.versions import Versions
from reconciler.web.kube.app import Api, create_app
from reconciler.web.kube.collection import Collection, Fixed, Refreshed, Stored
from reconciler.web.kube.served import CRDS, EVENTS, NAMESPACES, WATCHED
from reconciler.web.kube.watching import Bells
from reconciler.web.server import Server, Tls, parse_listen
from reconciler.wiring import utc_now

if TYPE_CHECKING:
    from reconciler.wiring import Application

__all__ = ["DIRECTORY", "Parts", "assemble", "serving_api"]

DIRECTORY: Final = "api"
"""The directory of the certificates, in the state directory."""
JOURNAL: Final = "versions.sqlite3"
STOP_SECONDS: Final = 5.0
LOOK_SECONDS: Final = 2.0
EVENTS_SHOWN: Final = 1000

_log = logging.getLogger(__name__)


@contextmanager
def serving_api(application: Application, listen: str, roots: tuple[Path, ...] = ()) -> Iterator[str]:
    """Serve the API on `listen` ("HOST:PORT") and yield its URL. Clients may name files below `roots` as settings.

    Raises VaultError if that is not possible.
    """
    host, port = parse_listen(listen)
    state = application.options.state_dir
    try:
        serving.ensure(state / DIRECTORY, serving.host_names(host), utc_now())
    except OSError as error:
        raise TemporaryError(
            f"cannot write the certificate of the API into {state / DIRECTORY}: {error}"
        ) from error
    tls = Tls(state / DIRECTORY / serving.CERTIFICATE, state / DIRECTORY / serving.KEY)
    parts = assemble(application, roots)
    stop = threading.Event()
    watching = [
        threading.Thread(target=parts.observer.keep_looking, args=(stop,), name="observer", daemon=True),
        threading.Thread(target=_keep_looking, args=(parts, stop), name="events", daemon=True),
    ]
    try:
        with Server(create_app(parts.api), host, port, tls) as server:
            for thread in watching:
                thread.start()
            try:
                yield server.url
            finally:
                stop.set()
                parts.api.bells.close()
                for thread in watching:
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


def assemble(application: Application, roots: tuple[Path, ...] = ()) -> Parts:
    """The API over a state directory, which has been looked at once."""
    state = application.options.state_dir
    versions = Versions(state / JOURNAL, utc_now)
    observer = Observer(state, application.objects, versions, document)
    observer.look_everywhere()
    bells = Bells()
    versions.tell(bells.ring)
    one_at_a_time = threading.Lock()

    def look_at_events() -> None:
        with one_at_a_time:
            events = application.history.events(limit=EVENTS_SHOWN)
            now = event_documents(events, _uids(versions), os.uname().nodename)
            gone = {(KIND, name): None for name in versions.names(KIND)}
            versions.record({**gone, **now})

    def newest(ref: Ref) -> Mapping[str, Any] | None:
        observer.look([ref])
        found = versions.document(ref.kind.name, ref.name)
        return json.loads(found.text) if found else None

    api = Api(
        {**_collections(versions, state), KIND: Refreshed(EVENTS, versions, look_at_events)},
        Tokens(state, utc_now),
        bells,
        utc_now,
        VERSION,
        Writer(application.objects, application.build, newest, utc_now, roots),
        Audit(state).write,
    )
    return Parts(
        api,
        versions,
        observer,
        look_at_events,
        lambda: (application.history.events(limit=1), versions.number),
    )


def _keep_looking(parts: Parts, stop: threading.Event) -> None:
    """Events have no bell: a watch sees one after LOOK_SECONDS at most."""
    before: object = None
    while not stop.wait(LOOK_SECONDS):
        try:
            if parts.stamp() != before:
                parts.look_at_events()
                # What it has recorded has another number.
                before = parts.stamp()
        except TemporaryError as error:
            _log.warning("the Kubernetes API does not see events: %s", error)


def _uids(versions: Versions) -> Mapping[tuple[str, str], str]:
    return {
        (served.kind, each.name): json.loads(each.text)["metadata"]["uid"]
        for served in WATCHED
        for each in versions.documents(served.kind)[1]
    }


def _collections(versions: Versions, state: Path) -> Mapping[str, Collection]:
    # They exist since the state directory does; only its own time is known.
    born = {
        "creationTimestamp": format_moment(utc_now().fromtimestamp(state.stat().st_ctime, utc_now().tzinfo))
    }
    definitions = [_definition(custom_resource_definition(each), born) for each in KINDS.values()]
    fixed: dict[str, Any] = {
        NAMESPACES.kind: Fixed(NAMESPACES, [_namespace(born)], versions),
        CRDS.kind: Fixed(CRDS, definitions, versions),
    }
    return {**{served.kind: Stored(served, versions) for served in WATCHED}, **fixed}


def _namespace(born: Mapping[str, Any]) -> dict[str, Any]:
    labels = {"kubernetes.io/metadata.name": NAMESPACE}
    return {
        "metadata": {"name": NAMESPACE, "uid": _uid(f"namespace/{NAMESPACE}"), "labels": labels, **born},
        "spec": {"finalizers": ["kubernetes"]},
        "status": {"phase": "Active"},
    }


def _definition(definition: Mapping[str, Any], born: Mapping[str, Any]) -> dict[str, Any]:
    """A CRD as a server shows it once it is established."""
    name = definition["metadata"]["name"]
    conditions = [
        {
            "type": type_,
            "status": "True",
            "reason": reason,
            "message": "",
            "lastTransitionTime": born["creationTimestamp"],
        }
        for type_, reason in (("NamesAccepted", "NoConflicts"), ("Established", "InitialNamesAccepted"))
    ]
    spec = {**definition["spec"], "conversion": {"strategy": "None"}}
    status = {
        "conditions": conditions,
        "acceptedNames": definition["spec"]["names"],
        "storedVersions": [each["name"] for each in definition["spec"]["versions"]],
    }
    return {
        "metadata": {**definition["metadata"], "uid": _uid(f"crd/{name}"), **born},
        "spec": spec,
        "status": status,
    }


def _uid(text: str) -> str:
    from uuid import NAMESPACE_URL, uuid5

    return str(uuid5(NAMESPACE_URL, text))
