"""The page of a controller: joins its HTTP server, the store and the journal that the Kubernetes API reads as well."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from reconciler.api.errors import PermanentError
from reconciler.api.kinds import VAULT_SERVICE
from reconciler.app.acting import Editor
from reconciler.app.cluster.traffic import Meter
from reconciler.cli.about import VERSION
from reconciler.cli.api_serving import tls_of
from reconciler.cli.git_options import read_secret
from reconciler.store.revision_key import ensure_key
from reconciler.store.sessions import Sessions
from reconciler.store.tokens import Tokens
from reconciler.store.users import Users
from reconciler.web.kube.watching import Bells
from reconciler.web.server import Server, Tls, parse_listen
from reconciler.web.ui.app import create_app
from reconciler.web.ui.delay import Delays
from reconciler.web.ui.live import Streams
from reconciler.web.ui.numbers import Changes
from reconciler.web.ui.pulse import Pulse
from reconciler.web.ui.scene import Stage
from reconciler.web.ui.signing import Signing
from reconciler.web.ui.site import Site
from reconciler.web.ui.visitors import Visitors
from reconciler.wiring import utc_now

if TYPE_CHECKING:
    from metrics.snapshots import QueueSnapshot
    from reconciler.app.places import Credentials
    from reconciler.cli.api_options import ApiFlags
    from reconciler.cli.api_serving import Parts
    from reconciler.web.ui.issuer import Issuer
    from reconciler.wiring import Application, GitFollow

__all__ = ["serving_ui", "site_of"]

STOP_SECONDS: Final = 5.0


@contextmanager
def serving_ui(
    application: Application,
    listen: str,
    parts: Parts,
    tls: Tls | None = None,
    credentials: Credentials | None = None,
    *,
    signed: bool = False,
    followed: Sequence[GitFollow] = (),
    flags: ApiFlags | None = None,
    queues: Callable[[], Sequence[QueueSnapshot]] = tuple,
) -> Iterator[str]:
    """Serve the page on `listen` ("HOST:PORT") and yield its URL; without `tls` the certificate is that of the state
    directory. Changes of what is in Git are pushed with `credentials`, unless only signed commits are followed; `followed`
    are the branches of the controller, and `queues` its queues; `flags` say where else users may log in.

    Raises VaultError if that is not possible.
    """
    host, port = parse_listen(listen)
    site = site_of(
        application, parts, credentials, signed=signed, followed=followed, flags=flags, queues=queues
    )
    silence = site.pulse.follow(parts.versions)
    application.board.tell(site.stage.saw)
    application.board.tell(site.meter.saw)
    stop = threading.Event()
    looking = threading.Thread(
        target=site.meter.keep_looking,
        args=(stop, application.object_views.names),
        name="traffic",
        daemon=True,
    )
    looking.start()
    # Browsers would ask people for a certificate if it named authorities of clients.
    tls = tls or _without_clients(tls_of(application, host))
    try:
        with Server(create_app(site), host, port, tls, websockets=True) as server:
            try:
                yield server.url
            finally:
                server.leave()
                site.bells.close()
    finally:
        stop.set()
        silence()
        application.board.silence(site.stage.saw)
        application.board.silence(site.meter.saw)
        looking.join(STOP_SECONDS)


def site_of(
    application: Application,
    parts: Parts,
    credentials: Credentials | None = None,
    *,
    signed: bool = False,
    followed: Sequence[GitFollow] = (),
    flags: ApiFlags | None = None,
    queues: Callable[[], Sequence[QueueSnapshot]] = tuple,
) -> Site:
    """The parts of the page over those of the API."""
    state = application.options.state_dir
    issuer = _issuer(parts, flags)
    visitors = Visitors(
        Users(state, utc_now),
        Sessions(state, utc_now),
        Signing(ensure_key(state)),
        utc_now,
        issuer.oidc.settings.issuer if issuer else "",
        parts.api.clients.grants,
    )
    bells = Bells()
    pulse = Pulse(VAULT_SERVICE.name, bells.ring)
    streams, running = Streams(), parts.api.running
    meter = Meter(
        application.counting,
        running.owned,
        running.instances.usage,
        utc_now,
        is_watched=lambda: streams.are_open,
        changed=Changes(pulse.touch).saw,
    )
    return Site(
        application=application,
        visitors=visitors,
        delays=Delays(time.monotonic),
        pulse=pulse,
        stage=Stage(application.secrets.hide, pulse.touch),
        meter=meter,
        bells=bells,
        streams=streams,
        editor=Editor(application, state, os.environ, utc_now, credentials, signed),
        running=running,
        followed=followed,
        queues=queues,
        tokens=Tokens(state, utc_now),
        audit=parts.api.audit,
        now=utc_now,
        version=VERSION,
        host=os.uname().nodename,
        issuer=issuer,
    )


def _issuer(parts: Parts, flags: ApiFlags | None) -> Issuer | None:
    """Where users without a password log in. Raises PermanentError for options that cannot be used."""
    oidc = parts.api.clients.oidc
    if flags is None or flags.ui_url is None or oidc is None:
        return None
    from reconciler.web.kube.clients.oidc_settings import check_url
    from reconciler.web.ui.issuer import SCOPES, Issuer

    try:
        check_url(flags.ui_url)
    except ValueError as error:
        raise PermanentError(f"--ui-url: {error}") from None
    secret = read_secret(flags.oidc_client_secret_file).decode() if flags.oidc_client_secret_file else ""
    return Issuer(oidc, flags.ui_url, (*SCOPES, *flags.oidc_extra_scopes), flags.oidc_ca_file, secret)


def _without_clients(tls: Tls) -> Tls:
    return Tls(tls.certificate, tls.key)
