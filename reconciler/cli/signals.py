"""SIGTERM and SIGINT of a verb that runs until it is asked to stop."""

from __future__ import annotations

import logging
import os
import signal
import socket
import threading

from reconciler.cli import exit_codes

__all__ = ["stop_on_signals"]

_log = logging.getLogger(__name__)


def stop_on_signals() -> threading.Event:
    """An event that SIGTERM and SIGINT set; the second signal ends the process."""
    stop = threading.Event()
    heard, said = socket.socketpair()
    said.setblocking(False)

    def listen() -> None:
        heard.recv(1)
        stop.set()
        _log.info("asked to stop: ending the passes under way; services keep running")
        heard.recv(1)
        os._exit(exit_codes.INTERRUPTED)

    # Python calls a handler in the main thread, which keeps sleeping when the kernel delivers the signal to another one, as
    # just after a SIGCONT. The byte arrives in any case.
    signal.set_wakeup_fd(said.detach(), warn_on_full_buffer=False)
    for signum in (signal.SIGTERM, signal.SIGINT):
        signal.signal(signum, lambda *_: None)
    threading.Thread(target=listen, name="signals", daemon=True).start()
    return stop
