"""HTTP/3 through a gateway: the same routes and rules as for HTTP/2, and certificates that change."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterator
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any, Final

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509 import load_pem_x509_certificate

from reconciler.certificates.self_signed import self_signed
from reconciler.proxy.haproxy.gateway.certificates import change_certificates
from reconciler.proxy.haproxy.gateway.tls_files import Certificates, served, write_certificates
from tests.proxy.conftest import Replica, docker
from tests.proxy.haproxy.gateway.conftest import HTTP, HTTPS, GatewayWorld, site_in
from tests.proxy.haproxy.gateway.http3 import SPEAKING, Curl, curl_container

pytestmark = pytest.mark.docker

PLAIN: Final[dict[str, Any]] = {"hostnames": ["a.test"], "tls": {"redirect": False}}


@pytest.fixture(scope="module")
def front(namespace: tuple[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayWorld]:
    made = GatewayWorld(site_in(tmp_path_factory.mktemp("front")), *namespace, spec=SPEAKING)
    try:
        made.write(SPEAKING)
        made.start()
        yield made
    finally:
        made.stop()


@pytest.fixture(scope="module")
def client() -> Iterator[str]:
    with curl_container() as name:
        yield name


@pytest.fixture
def curl(front: GatewayWorld, client: str, replicas: dict[str, Replica]) -> Curl:
    front.serve(PLAIN, replicas=list(replicas.values()))
    return Curl(client, front)


def test_a_request_arrives_as_any_other(curl: Curl) -> None:
    address = docker("inspect", "--format={{.NetworkSettings.IPAddress}}", curl.container)
    told = curl.only().lower()

    assert told.endswith("\n3 200")
    assert f'"x-forwarded-for": "{address}"' in told
    assert '"x-forwarded-proto": "https"' in told
    assert '"host": "a.test:8443"' in told


def test_bodies_pass_in_both_directions(curl: Curl) -> None:
    body = b"0123456789abcdef" * 60_000
    told = curl(f"https://a.test:{HTTPS}/echo", "--http3-only", "--data-binary", "@-", body=body)

    assert told.stdout == f"{body.decode()}\n3 200"


def test_clients_of_https_learn_of_it_and_use_it_then(curl: Curl) -> None:
    known = "/tmp/alternatives"
    url = f"https://a.test:{HTTPS}/"
    first, second = (curl(url, "--alt-svc", known, "--include").stdout for _ in range(2))

    assert f'alt-svc: h3=":{HTTPS}"; ma=3600' in first
    assert (first[-5:], second[-5:]) == ("2 200", "3 200")
    assert "alt-svc" not in curl(f"http://a.test:{HTTP}/", "--include").stdout.lower()


def test_the_rules_of_a_route_hold(curl: Curl) -> None:
    front = curl.front
    for more, status in (
        ({"allowFrom": ["203.0.113.0/24"]}, 403),
        ({"maintenance": True}, 503),
        ({"redirect": {"hostname": "b.test"}}, 308),
        ({"maxBodySize": "1"}, 413),
    ):
        front.serve(PLAIN | more)
        assert curl.only("/", "--data", "xx").endswith(f"\n3 {status}"), more
    front.serve(PLAIN | {"rateLimit": {"requests": 2, "window": "1h"}, "maintenance": True})
    assert [curl.only()[-5:] for _ in range(3)] == ["3 503", "3 503", "3 429"]


def test_a_new_certificate_is_that_of_the_next_connection(curl: Curl) -> None:
    front, pins = curl.front, list[str]()
    for _ in range(2):
        made = self_signed(["a.test"], datetime.now(UTC))
        wanted = Certificates(
            (front.site.config / "tls" / "default.pem").read_text(), served({"a.test": made.pem}, {})
        )
        write_certificates(front.site, wanted)
        change_certificates(front.master(), wanted)
        key = load_pem_x509_certificate(made.chain.encode()).public_key()
        digest = sha256(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).digest()
        pins.append(f"sha256//{b64encode(digest).decode()}")
        assert curl.only("/", "--pinnedpubkey", pins[-1]).endswith("\n3 200")
    assert "public key does not match" in curl.only("/", "--pinnedpubkey", pins[0])
