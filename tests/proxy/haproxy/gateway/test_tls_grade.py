"""What a scanner of TLS looks for: versions, ciphers, forward secrecy, renegotiation, compression, tickets, HSTS."""

from __future__ import annotations

import re
import ssl
import subprocess
from http.client import HTTPSConnection
from typing import Final

import pytest

from tests.proxy.haproxy.gateway.conftest import HTTPS, GatewayWorld

pytestmark = pytest.mark.docker

WEAK: Final = ("NULL", "aNULL", "EXPORT", "RC4", "3DES", "DES", "IDEA", "SEED", "MD5", "PSK", "SRP")
"""Families of ciphers; those that openssl itself has no more are refused by the client already."""


def s_client(front: GatewayWorld, *options: str, said: str = "Q\n") -> str:
    """All that openssl says of a connection; `said` is typed into it."""
    done = subprocess.run(
        ["openssl", "s_client", "-connect", f"{front.address}:{HTTPS}", "-servername", "a.test", *options],
        input=said, capture_output=True, text=True, timeout=30,
    )  # fmt: skip
    return done.stdout + done.stderr


def cipher_of(told: str) -> str:
    """The cipher of an established connection; empty without one."""
    found = re.search(r"New, TLSv[\d.]+, Cipher is ([A-Z0-9_-]+)", told)
    return found[1] if found else ""


@pytest.mark.parametrize(
    ("option", "accepted"), [("-tls1", False), ("-tls1_1", False), ("-tls1_2", True), ("-tls1_3", True)]
)
def test_versions_from_1_2_on_are_spoken(front: GatewayWorld, option: str, accepted: bool) -> None:
    # Security level 0: the client must not be the one who refuses.
    told = s_client(front, option, *([] if accepted else ["-cipher", "ALL:@SECLEVEL=0"]))

    assert bool(cipher_of(told)) is accepted


@pytest.mark.parametrize("family", WEAK)
def test_weak_ciphers_are_refused(front: GatewayWorld, family: str) -> None:
    assert cipher_of(s_client(front, "-tls1_2", "-cipher", f"{family}:@SECLEVEL=0")) == ""


def test_each_cipher_has_forward_secrecy_and_encrypts_with_authentication(front: GatewayWorld) -> None:
    listed = subprocess.run(
        ["openssl", "ciphers", "-tls1_2", "-s", "ALL:@SECLEVEL=0"], capture_output=True, text=True, timeout=30
    ).stdout
    taken = {
        name for name in listed.strip().split(":") if cipher_of(s_client(front, "-tls1_2", "-cipher", name))
    }

    assert taken
    assert all(re.match(r"(ECDHE|DHE)-", name) for name in taken), taken
    assert all(re.search(r"GCM|CHACHA20|CCM", name) for name in taken), taken


def test_a_client_cannot_renegotiate(front: GatewayWorld) -> None:
    told = s_client(front, "-tls1_2", said="R\nQ\n")

    assert "Secure Renegotiation IS supported" in told
    assert "RENEGOTIATING" in told
    assert "no renegotiation" in told


def test_nothing_is_compressed_and_no_ticket_is_given(front: GatewayWorld) -> None:
    told = s_client(front, "-tls1_2")

    assert "Compression: NONE" in told
    assert "TLS session ticket:" not in told


def test_the_certificate_has_a_key_that_is_strong_enough(front: GatewayWorld) -> None:
    told = s_client(front)

    assert "Server public key is 256 bit" in told
    assert re.search(r"(Server Temp Key|Peer Temp Key|Negotiated TLS1.3 group): \S+", told)


def test_browsers_are_told_to_stay_with_https(front: GatewayWorld) -> None:
    front.serve({"hostnames": ["a.test"], "tls": {"certificate": "acme", "hsts": {}}}, hold=0.0)
    connection = HTTPSConnection(front.address, HTTPS, timeout=20, context=ssl._create_unverified_context())
    connection.request("GET", "/", headers={"Host": "a.test"})
    told = connection.getresponse().headers["Strict-Transport-Security"]
    connection.close()

    found = re.match(r"max-age=(\d+)", told or "")
    assert found
    assert int(found[1]) >= 180 * 86400
