"""The certificates of one VaultGateway on disk, with all that has to survive a restart on the way to new ones.

`<gateway>/certificates/` belongs to the controller alone (mode 0700): a file for each certificate with its key, one for
each unfinished order, the accounts, and `state.json` without any secret. Each is replaced by a rename, so a certificate
and its key always belong together. A file that cannot be read counts as missing and is left where it is.
"""

from __future__ import annotations

import os
from collections.abc import Hashable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache, lru_cache
from pathlib import Path
from typing import Any, Final, TypeVar, cast

from reconciler.api.errors import TemporaryError
from reconciler.certificates.certificate import Bundle, read_bundle
from reconciler.certificates.choosing import Held
from reconciler.certificates.errors import CertificateError
from reconciler.certificates.order import Order, file_id
from reconciler.certificates.renewal import Failure, Window
from reconciler.certificates.wanted import Source
from reconciler.files import replace, try_lock

__all__ = ["Account", "Renewal", "State", "Store"]

DIRECTORY_MODE: Final = 0o700
LOCK: Final = ".lock"
MAX_FILE: Final = 1024 * 1024

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Account:
    """An account with an ACME server; `url` is empty until the server knows the key."""

    server: str
    key: str = field(repr=False)
    url: str = ""
    contact: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Renewal:
    """What the server that issued a certificate (its fingerprint) said about its renewal, and when it is asked again."""

    fingerprint: str
    server: str
    ask_at: datetime
    window: Window | None = None


@dataclass(frozen=True, slots=True)
class State:
    """What has to survive a restart and is no secret. `away` are the failures of servers, by address."""

    failures: Mapping[str, Failure] = field(default_factory=dict)
    renewals: Mapping[str, Renewal] = field(default_factory=dict)
    forced: tuple[str, ...] = ()
    away: Mapping[str, Failure] = field(default_factory=dict)


class Store:
    """The files of one gateway. All methods raise TemporaryError for what the disk refuses."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    @contextmanager
    def alone(self) -> Iterator[bool]:
        """Whether no other process gets certificates for this gateway in the block; the kernel ends it with the process."""
        path = self._directory / LOCK
        with _disk_errors(path, "lock"):
            self._make(self._directory)
            descriptor = try_lock(path)
        try:
            yield descriptor is not None
        finally:
            if descriptor is not None:
                os.close(descriptor)

    def held(self, state: State) -> tuple[Held, ...]:
        """The certificates that are there."""
        return tuple(self._held(state))

    def save(self, source: Source, id: str, bundle: Bundle) -> Held:
        """Keep a certificate, in the place of the former one of that source and id."""
        held = Held(f"{source}-{id}.pem", source, bundle)
        self._write(held.file, bundle.pem.encode())
        return held

    def remove(self, held: Held) -> None:
        """Remove a certificate and its key."""
        self._remove(held.file)

    def orders(self) -> tuple[Order, ...]:
        """The unfinished orders, by their ids."""
        read = (self._typed(f"orders/{name}", Order) for name in self._names("orders"))
        return tuple(order for order in read if order is not None)

    def save_order(self, order: Order) -> None:
        """Keep an order as it stands."""
        self._write(f"orders/{order.id}.json", _adapter(Order).dump_json(order))

    def remove_order(self, order: Order) -> None:
        """Forget an order."""
        self._remove(f"orders/{order.id}.json")

    def account(self, server: str) -> Account | None:
        """The account with a server."""
        return self._typed(f"accounts/{file_id(server)}.json", Account)

    def save_account(self, account: Account) -> None:
        """Keep an account."""
        self._write(f"accounts/{file_id(account.server)}.json", _adapter(Account).dump_json(account))

    def state(self) -> State:
        """The rest."""
        return self._typed("state.json", State) or State()

    def save_state(self, state: State) -> None:
        """Keep the rest."""
        self._write("state.json", _adapter(State).dump_json(state))

    def request_renewal(self, names: tuple[str, ...]) -> None:
        """Ask for new certificates of these names; any process may, the one that keeps the store finds it."""
        for name in names:
            self._write(f"requests/{file_id(name)}", name.encode())

    def take_requests(self) -> tuple[str, ...]:
        """The names whose renewal was asked for; they are not told again after `forget_requests`."""
        found = (self._read(f"requests/{file}") for file in self._names("requests"))
        return tuple(sorted(name.decode(errors="replace") for name in found if name))

    def forget_requests(self, names: tuple[str, ...]) -> None:
        """Forget requests that are part of the state by now."""
        for name in names:
            self._remove(f"requests/{file_id(name)}")

    def _held(self, state: State) -> Iterator[Held]:
        for file in self._names("."):
            source, _, rest = file.rpartition("-")
            content = self._read(file) if rest.endswith(".pem") else None
            # Of a later release, or written manually: neither is served, nor removed.
            if content is None or source not in tuple(Source):
                continue
            with suppress(CertificateError):
                bundle = _parsed(content)
                renewal = state.renewals.get(file)
                is_of_it = renewal and renewal.fingerprint == bundle.certificate.fingerprints[0]
                yield Held(file, Source(source), bundle, renewal.window if renewal and is_of_it else None)

    def _names(self, below: str) -> list[str]:
        with _disk_errors(self._directory / below, "list"), suppress(FileNotFoundError):
            return sorted(
                entry.name for entry in os.scandir(self._directory / below) if not entry.name.startswith(".")
            )
        return []

    def _typed(self, name: str, kind: type[T]) -> T | None:
        content = self._read(name)
        if content is None:
            return None
        try:
            read: T = _adapter(cast(Hashable, kind)).validate_json(content)
            return read
        except ValueError:
            return None

    def _read(self, name: str) -> bytes | None:
        path = self._directory / name
        with (
            _disk_errors(path, "read"),
            suppress(FileNotFoundError, IsADirectoryError),
            path.open("rb") as file,
        ):
            return file.read(MAX_FILE)
        return None

    def _write(self, name: str, content: bytes) -> None:
        path = self._directory / name
        with _disk_errors(path, "write"):
            self._make(self._directory)
            self._make(path.parent)
            replace(path, content, durable=True)

    def _make(self, directory: Path) -> None:
        directory.mkdir(mode=DIRECTORY_MODE, parents=True, exist_ok=True)
        directory.chmod(DIRECTORY_MODE)

    def _remove(self, name: str) -> None:
        path = self._directory / name
        with _disk_errors(path, "remove"):
            path.unlink(missing_ok=True)


# A pass reads all of them; they change some times a year.
@lru_cache(maxsize=512)
def _parsed(content: bytes) -> Bundle:
    return read_bundle(content, content, "a certificate of the store")


@cache
def _adapter(kind: Hashable) -> Any:
    from pydantic import TypeAdapter

    made: Any = TypeAdapter
    return made(kind)


@contextmanager
def _disk_errors(path: Path, doing: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else str(error)
        raise TemporaryError(f"cannot {doing} {path}: {reason}") from error
