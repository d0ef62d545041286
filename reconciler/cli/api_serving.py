"""The Kubernetes API of a controller: joins the HTTP server, the store and its observer."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from reconciler.api import TemporaryError
from reconciler.api.crd import custom_resource_definition
from reconciler.api.kinds import KINDS, NAMESPACE, Ref
from reconciler.app.cluster.documents import document, written
from reconciler.app.cluster.writing import Writer
from reconciler.certificates import serving
from reconciler.cli.about import VERSION
from reconciler.store.audit import Audit
from reconciler.store.observer import Observer
from reconciler.store.tokens import Tokens
from reconciler.store.versions import Versions
from reconciler.web.kube.app import Api, create_app
from reconciler.web.kube.collection import Collection, Fixed, Stored
from reconciler.web.kube.served import CRDS, NAMESPACES, WATCHED
from reconciler.web.kube.watching import Bells
from reconciler.web.server import Server, Tls, parse_listen
from reconciler.wiring import utc_now

if TYPE_CHECKING:
    from reconciler.wiring import Application

__all__ = ["DIRECTORY", "serving_api"]

DIRECTORY: Final = "api"
"""The directory of the certificates, in the state directory."""
JOURNAL: Final = "versions.sqlite3"
STOP_SECONDS: Final = 5.0


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
    versions = Versions(state / JOURNAL, utc_now)
    observer = Observer(state, application.objects, versions, document)
    observer.look_everywhere()
    bells = Bells()
    versions.tell(bells.ring)

    def newest(ref: Ref) -> Mapping[str, Any] | None:
        observer.look([ref])
        found = versions.document(ref.kind.name, ref.name)
        return json.loads(found.text) if found else None

    writer = Writer(application.objects, application.build, newest, utc_now, roots)
    api = Api(
        _collections(versions, state),
        Tokens(state, utc_now),
        bells,
        utc_now,
        VERSION,
        writer,
        Audit(state).write,
    )
    tls = Tls(state / DIRECTORY / serving.CERTIFICATE, state / DIRECTORY / serving.KEY)
    stop = threading.Event()
    watching = threading.Thread(target=observer.keep_looking, args=(stop,), name="observer", daemon=True)
    with Server(create_app(api), host, port, tls) as server:
        watching.start()
        try:
            yield server.url
        finally:
            stop.set()
            bells.close()
            watching.join(STOP_SECONDS)
    versions.close()


def _collections(versions: Versions, state: Path) -> Mapping[str, Collection]:
    # They exist since the state directory does; only its own time is known.
    born = {"creationTimestamp": written(utc_now().fromtimestamp(state.stat().st_ctime, utc_now().tzinfo))}
    definitions = [_definition(custom_resource_definition(each), born) for each in KINDS.values()]
    fixed: dict[str, Any] = {
        NAMESPACES.kind: Fixed(NAMESPACES, [_namespace(born)], versions),
        CRDS.kind: Fixed(
            CRDS,
            definitions,
            versions,
        ),
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
