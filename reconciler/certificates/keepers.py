"""The keepers of all gateways of a controller, each with a thread of its own: a server that does not answer delays the
certificates of its own gateway only.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final

from reconciler.api.acme import Acme
from reconciler.api.errors import ManifestError
from reconciler.api.text_file import read_text
from reconciler.certificates.acme.dns import DnsRunner
from reconciler.certificates.errors import AcmeError
from reconciler.certificates.keeper import Keeper, always, directory_of

if TYPE_CHECKING:
    from reconciler.certificates.acme.client import AcmeServer
    from reconciler.certificates.store import Account

__all__ = ["Keepers", "connected"]

STOP_SECONDS: Final = 5.0
"""Seconds to wait for requests that are under way; orders go on after the next start."""


def connected(account: Account, acme: Acme) -> AcmeServer:
    """The ACME server of a spec. Raises AcmeError for a key file that cannot be read."""
    # Imported when a gateway has an account: the library takes a fifth of a second.
    from reconciler.certificates.acme.client import AcmeServer, Binding

    binding = None
    if bound := acme.external_account:
        try:
            binding = Binding(bound.key_id, read_text(Path(bound.key_file)).strip())
        except ManifestError as error:
            raise AcmeError(error.message) from None
    return AcmeServer(account, ca_file=acme.ca_file, binding=binding)


class Keepers:
    """The keeper of each gateway. `gateway` is the directory of one by name, `programs` that of DNS programs; `changed` is
    called with the name of a gateway whose pass should look at its certificates, `failed` with an unexpected error. `start`
    starts a thread. `require` raises TemporaryError while another controller gets certificates.
    """

    def __init__(
        self,
        gateway: Callable[[str], Path],
        programs: Path | None,
        environ: Mapping[str, str],
        changed: Callable[[str], None] = lambda name: None,
        failed: Callable[[str, Exception], None] = lambda name, error: None,
        start: Callable[[threading.Thread], None] = threading.Thread.start,
        require: Callable[[], object] = always,
    ) -> None:
        self._gateway = gateway
        self._runner = DnsRunner(programs, environ)
        self._changed = changed
        self._failed = failed
        self._start_thread = start
        self._require = require
        self._lock = threading.Lock()
        self._running: dict[str, tuple[Keeper, threading.Thread]] = {}

    def of(self, name: str) -> Keeper:
        """The keeper of a gateway; its thread is started with the first call."""
        with self._lock:
            if name not in self._running:
                self._running[name] = self._start(name)
            return self._running[name][0]

    def drop(self, name: str) -> None:
        """End the thread of a gateway that is gone; its files go with its directory."""
        with self._lock:
            running = self._running.pop(name, None)
        if running:
            running[0].stop()

    def stop(self) -> None:
        """End all threads."""
        with self._lock:
            running, self._running = list(self._running.values()), {}
        for keeper, _ in running:
            keeper.stop()
        for _, thread in running:
            thread.join(STOP_SECONDS)

    def _start(self, name: str) -> tuple[Keeper, threading.Thread]:
        keeper = Keeper(
            directory_of(self._gateway(name)),
            connected,
            self._runner.run,
            lambda: self._changed(name),
            require=self._require,
        )
        thread = threading.Thread(
            target=keeper.run,
            args=(lambda error: self._failed(name, error),),
            name=f"certificates-{name}",
            # One that waits for a server must not keep the controller from ending.
            daemon=True,
        )
        self._start_thread(thread)
        return keeper, thread
