"""What answers on a UNIX socket of its own, with a thread for each connection."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress
from pathlib import Path


class Listener:
    """Takes connections until it is closed; what it does with one is `serve`."""

    def __init__(self, path: Path) -> None:
        self.url = f"unix://{path}"
        self._server = socket.socket(socket.AF_UNIX)
        self._server.bind(str(path))
        self._server.listen(64)
        self._accepting = threading.Thread(target=self._accept, name=type(self).__name__, daemon=True)
        self._accepting.start()

    def close(self) -> None:
        """Listen no more."""
        # A thread that waits in accept is woken by this, but not by closing.
        self._server.shutdown(socket.SHUT_RDWR)
        self._accepting.join()
        self._server.close()

    def serve(self, client: socket.socket) -> None:
        """Serve one connection to its end."""
        raise NotImplementedError

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._server.accept()
                threading.Thread(target=self.serve, args=(client,), daemon=True).start()
