"""Certificates of a running HAProxy come, change and go: the next handshake has them, no other one fails."""

from __future__ import annotations

import hashlib
import os
import socket
import ssl
import stat
import subprocess
import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from reconciler.certificates.certificate import Bundle
from reconciler.certificates.self_signed import self_signed
from reconciler.core.desired.stack import Site
from reconciler.proxy.errors import ProxyError
from reconciler.proxy.haproxy.gateway.certificates import change_certificates, identity, read_certificates
from reconciler.proxy.haproxy.gateway.tls_files import (
    Certificates,
    Served,
    are_written,
    served,
    write_certificates,
)
from reconciler.proxy.haproxy.socket import CURRENT, Payload, ask
from tests.certificates.authority import bundle as signed
from tests.proxy.haproxy.gateway.conftest import HTTPS, GatewayWorld

if TYPE_CHECKING:
    from collections.abc import Mapping

NOW = datetime.now(UTC)


def made(*names: str) -> Bundle:
    return self_signed(names, NOW)


DEFAULT = made("gateway.invalid")


def certificates(pems: Mapping[str, str]) -> Certificates:
    return Certificates(DEFAULT.pem, served(pems))


def apply(world: GatewayWorld, pems: Mapping[str, str]) -> bool:
    """As a pass does: the files first, then what runs."""
    write_certificates(world.site, certificates(pems))
    return change_certificates(world.master(), certificates(pems))


def shown(world: GatewayWorld, host: str) -> str:
    """The SHA-256 fingerprint of the certificate that a client of this host meets."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    with (
        socket.create_connection((world.address, HTTPS), timeout=20) as connection,
        context.wrap_socket(connection, server_hostname=host) as secured,
    ):
        der = secured.getpeercert(binary_form=True)
        assert der
        return hashlib.sha256(der).hexdigest()


def fingerprint(bundle: Bundle) -> str:
    return bundle.certificate.fingerprints[0]


# --- files ---


def site_of(directory: Path) -> Site:
    return Site(directory, os.geteuid(), os.getegid())


def test_files_with_keys_are_private_and_follow_what_is_wanted(tmp_path: Path) -> None:
    site, one, two = site_of(tmp_path), made("a.test", "b.test"), made("c.test")
    write_certificates(site, certificates({"a.test": one.pem, "b.test": one.pem, "c.test": two.pem}))
    tls = site.config / "tls"
    files = {path.name: stat.S_IMODE(path.stat().st_mode) for path in tls.iterdir()}
    assert files.pop("certificates.list") == files.pop("challenges.list") == 0o640
    assert len(files) == 3
    assert set(files.values()) == {0o600}
    lines = (tls / "certificates.list").read_text().splitlines()
    assert [line.partition(" ")[2] for line in lines] == ["a.test b.test", "c.test"]

    assert are_written(site, certificates({"a.test": one.pem, "b.test": one.pem, "c.test": two.pem}))
    assert not are_written(site, certificates({"c.test": two.pem}))
    (tls / "default.pem").chmod(0o644)
    assert not are_written(site, certificates({"a.test": one.pem, "b.test": one.pem, "c.test": two.pem}))
    write_certificates(site, certificates({"c.test": two.pem}))
    assert len(list(tls.glob("*.pem"))) == 2
    assert stat.S_IMODE((tls / "default.pem").stat().st_mode) == 0o600


def test_nothing_is_written_yet(tmp_path: Path) -> None:
    assert not are_written(site_of(tmp_path), certificates({}))


def test_a_host_that_would_be_more_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="server name"):
        write_certificates(site_of(tmp_path), certificates({"a.test [verify none]": DEFAULT.pem}))
    with pytest.raises(ValueError, match="server name"):
        write_certificates(site_of(tmp_path), certificates({"a.test\n/etc/x": DEFAULT.pem}))


def test_hosts_of_one_certificate_share_a_file_as_far_as_a_line_goes() -> None:
    hosts = [f"{number:03}.{'x' * 60}.test" for number in range(300)]
    parts = served(dict.fromkeys(hosts, DEFAULT.pem))
    assert 2 < len(parts) < 5
    assert sorted(host for part in parts for host in part.hosts) == hosts
    assert len({part.name for part in parts}) == len(parts)
    assert "PRIVATE" not in repr(parts)


# --- a running HAProxy ---


@pytest.mark.docker
def test_they_come_change_and_go(front: GatewayWorld) -> None:
    one, two = made("a.test", "*.a.test"), made("b.test")
    assert apply(front, {"a.test": one.pem, "*.a.test": one.pem})
    assert shown(front, "a.test") == shown(front, "x.a.test") == fingerprint(one)
    assert shown(front, "b.test") == shown(front, "x.y.a.test") == fingerprint(DEFAULT)

    assert apply(front, {"a.test": one.pem, "*.a.test": one.pem, "b.test": two.pem})
    assert not apply(front, {"a.test": one.pem, "*.a.test": one.pem, "b.test": two.pem})
    assert shown(front, "b.test") == fingerprint(two)

    renewed = made("b.test")
    assert apply(front, {"a.test": one.pem, "b.test": renewed.pem})
    assert shown(front, "b.test") == fingerprint(renewed)
    assert shown(front, "a.test") == fingerprint(one)
    assert shown(front, "x.a.test") == fingerprint(DEFAULT)

    assert apply(front, {})
    assert shown(front, "a.test") == shown(front, "b.test") == fingerprint(DEFAULT)
    loaded = read_certificates(front.master())
    assert [path.rpartition("/")[2] for path in loaded.identities] == ["default.pem"]
    assert loaded.hosts == {}
    assert loaded.has(certificates({}))
    assert not loaded.has(certificates({"a.test": one.pem}))


@pytest.mark.docker
def test_a_challenge_waits_for_the_reload_that_brings_its_list(front: GatewayWorld) -> None:
    """This gateway was started for http-01."""
    one, challenge = made("a.test"), made("b.test")
    wanted = Certificates(DEFAULT.pem, served({"a.test": one.pem}, {"b.test": challenge.pem}))
    write_certificates(front.site, wanted)
    assert change_certificates(front.master(), wanted)
    assert not change_certificates(front.master(), wanted)
    assert shown(front, "b.test") == fingerprint(DEFAULT)
    apply(front, {})


@pytest.mark.docker
def test_a_chain_that_changes_behind_the_same_certificate_is_loaded(front: GatewayWorld) -> None:
    whole = signed("a.test", begin=NOW - timedelta(days=1))
    leaf = whole.pem.partition("-----END CERTIFICATE-----\n")[0] + "-----END CERTIFICATE-----\n" + whole.key
    apply(front, {"a.test": leaf})
    assert apply(front, {"a.test": whole.pem})
    said = subprocess.run(
        ["openssl", "s_client", "-connect", f"{front.address}:{HTTPS}", "-servername", "a.test", "-showcerts"],
        input="", capture_output=True, text=True, timeout=30,
    )  # fmt: skip
    assert said.stdout.count("BEGIN CERTIFICATE") == 2
    apply(front, {})


@pytest.mark.docker
def test_what_haproxy_refuses_takes_nothing_away(front: GatewayWorld) -> None:
    one, other = made("a.test"), made("a.test")
    apply(front, {"a.test": one.pem})
    broken = other.chain + one.key
    with pytest.raises(ProxyError) as caught:
        change_certificates(front.master(), certificates({"a.test": broken}))
    assert "private key" in str(caught.value)
    assert one.key.splitlines()[1] not in str(caught.value)
    with pytest.raises(ProxyError):
        change_certificates(front.master(), certificates({"a.test": one.pem.replace("MII", "AAA", 1)}))
    assert shown(front, "a.test") == fingerprint(one)

    assert apply(front, {"a.test": other.pem})
    assert shown(front, "a.test") == fingerprint(other)
    apply(front, {})


@pytest.mark.docker
def test_changes_that_a_killed_controller_began_do_not_matter(front: GatewayWorld) -> None:
    one, two = made("a.test"), made("b.test")
    apply(front, {"a.test": one.pem})
    (begun,) = served({"a.test": one.pem})
    (empty,) = served({"b.test": two.pem})
    lines = tuple(made("a.test").pem.splitlines())
    ask(front.master(), [Payload(f"{CURRENT} set ssl cert {begun.path}", lines)])
    ask(front.master(), [f"{CURRENT} new ssl cert {empty.path}"])

    assert apply(front, {"a.test": one.pem, "b.test": two.pem})
    assert shown(front, "a.test") == fingerprint(one)
    assert shown(front, "b.test") == fingerprint(two)
    apply(front, {})


@pytest.mark.docker
def test_no_handshake_fails_or_meets_another_certificate_while_they_change(front: GatewayWorld) -> None:
    """`a.test` is renewed and moves between files; `b.test` comes and goes."""
    one, both = made("a.test"), made("a.test", "b.test")
    apply(front, {"a.test": one.pem})
    met: list[str] = []
    ended = threading.Event()

    def ask_all_the_time() -> None:
        while not ended.is_set():
            try:
                met.append(shown(front, "a.test"))
            except OSError as error:
                met.append(repr(error))

    clients = [threading.Thread(target=ask_all_the_time) for _ in range(3)]
    for client in clients:
        client.start()
    right = {fingerprint(one), fingerprint(both)}
    try:
        for _ in range(8):
            apply(front, {"a.test": both.pem, "b.test": both.pem})
            renewed = made("a.test", "b.test")
            right.add(fingerprint(renewed))
            apply(front, {"a.test": renewed.pem, "b.test": renewed.pem})
            apply(front, {"a.test": one.pem})
        enough = len(met) + 20
        deadline = time.monotonic() + 60
        while len(met) < enough and time.monotonic() < deadline:
            time.sleep(0.02)
    finally:
        ended.set()
        for client in clients:
            client.join(30)
    assert len(met) > 50
    assert set(met) <= right
    apply(front, {})


def test_an_identity_is_that_of_the_certificate_and_its_chain() -> None:
    whole = signed("a.test")
    assert identity(whole.pem).endswith(" 1")
    assert identity(DEFAULT.pem).endswith(" 0")
    assert identity(whole.pem) == identity(whole.chain)
    assert isinstance(served({"a.test": whole.pem})[0], Served)
