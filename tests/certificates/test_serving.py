"""The API's certificate is made once, renewed by the same authority, and made again for other names."""

from __future__ import annotations

import socket
import ssl
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from reconciler.certificates.serving import AUTHORITY, CERTIFICATE, KEY, ensure, host_names

NOW = datetime.now(UTC)
NAMES = frozenset({"localhost", "127.0.0.1", "::1"})


def contents(directory: Path) -> list[bytes]:
    return [(directory / name).read_bytes() for name in (AUTHORITY, CERTIFICATE, KEY)]


@pytest.mark.parametrize("name", ["localhost", "127.0.0.1"])
def test_a_strict_client_trusts_it(tmp_path: Path, name: str) -> None:
    ensure(tmp_path, NAMES, NOW)
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(tmp_path / CERTIFICATE, tmp_path / KEY)
    client = ssl.create_default_context(cafile=str(tmp_path / AUTHORITY))
    client.verify_flags |= ssl.VerifyFlags.VERIFY_X509_STRICT
    here, there = socket.socketpair()

    def answer() -> None:
        with server.wrap_socket(there, server_side=True) as connection:
            connection.recv(1)

    thread = threading.Thread(target=answer, daemon=True)
    thread.start()
    with client.wrap_socket(here, server_hostname=name) as connection:
        connection.send(b"x")
    thread.join(10)


def test_it_is_made_once_and_renewed_at_half_of_its_life(tmp_path: Path) -> None:
    ensure(tmp_path, NAMES, NOW)
    first = contents(tmp_path)
    ensure(tmp_path, NAMES, NOW + timedelta(days=190))
    assert contents(tmp_path) == first
    ensure(tmp_path, NAMES, NOW + timedelta(days=210))
    second = contents(tmp_path)
    assert second[0] == first[0]
    assert second[1] != first[1]


def test_other_names_need_another_one_and_fewer_do_not(tmp_path: Path) -> None:
    ensure(tmp_path, NAMES | {"vault.example.com"}, NOW)
    first = contents(tmp_path)
    ensure(tmp_path, NAMES, NOW)
    assert contents(tmp_path) == first
    ensure(tmp_path, NAMES | {"192.0.2.7"}, NOW)
    assert contents(tmp_path)[1] != first[1]


@pytest.mark.parametrize("name", [AUTHORITY, "ca.key", CERTIFICATE, KEY])
def test_what_is_lost_or_damaged_is_made_again(tmp_path: Path, name: str) -> None:
    ensure(tmp_path, NAMES, NOW)
    (tmp_path / name).write_text("damaged")
    ensure(tmp_path, NAMES, NOW)
    ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(tmp_path / CERTIFICATE, tmp_path / KEY)


def test_keys_are_private(tmp_path: Path) -> None:
    ensure(tmp_path / "api", NAMES, NOW)
    assert (tmp_path / "api").stat().st_mode & 0o077 == 0
    assert (tmp_path / "api" / KEY).stat().st_mode & 0o077 == 0


def test_a_server_on_all_addresses_has_no_name_of_that() -> None:
    assert "0.0.0.0" not in host_names("0.0.0.0")
    assert "192.0.2.7" in host_names("192.0.2.7")
