"""An OIDC issuer of our own: HTTPS, discovery, keys that change, and tokens with real signatures."""

from __future__ import annotations

import ipaddress
import json
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID
from joserfc import jwt
from joserfc.jwk import ECKey, Key, RSAKey

from tests.certificates.authority import ec_key, key_pem

CLIENT_ID = "vault"
DISCOVERY = "/.well-known/openid-configuration"
Answer = tuple[int, Mapping[str, str], bytes]


def rsa(kid: str) -> RSAKey:
    return RSAKey.generate_key(2048, {"kid": kid, "use": "sig", "alg": "RS256"})


def ec(kid: str) -> ECKey:
    return ECKey.generate_key("P-256", {"kid": kid, "use": "sig", "alg": "ES256"})


@dataclass
class Issuer:
    """What the server answers with; `answers` are by path and count more than its own. Those of `asked_with` get the query
    of a GET, or the form of a POST and its Authorization.
    """

    url: str
    ca_file: Path
    keys: list[Key]
    answers: dict[str, Callable[[], Answer]] = field(default_factory=dict)
    asked_with: dict[str, Callable[..., Answer]] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    away: bool = False

    def answer(self, target: str, form: str | None = None, login: str = "") -> Answer:
        path, _, query = target.partition("?")
        self.asked.append(path)
        if path in self.asked_with:
            fields = dict(parse_qsl(query if form is None else form))
            return self.asked_with[path](fields) if form is None else self.asked_with[path](fields, login)
        if self.away:
            return 503, {}, b"away"
        if path in self.answers:
            return self.answers[path]()
        documents: dict[str, Any] = {
            DISCOVERY: {"issuer": self.url, "jwks_uri": f"{self.url}/keys"},
            "/keys": {"keys": [key.as_dict(private=False) for key in self.keys]},
        }
        if path not in documents:
            return 404, {}, b""
        return 200, {"Content-Type": "application/json"}, json.dumps(documents[path]).encode()

    def token(self, key: Key | None = None, header: Mapping[str, Any] | None = None, **claims: Any) -> str:
        """A token that is right in all that `header` and `claims` do not change; None takes a claim away."""
        key = key or self.keys[0]
        now = int(time.time())
        right = {"iss": self.url, "aud": CLIENT_ID, "sub": "anna", "iat": now, "exp": now + 600}
        wanted = {name: value for name, value in {**right, **claims}.items() if value is not None}
        head = {"alg": key.alg or "RS256", "kid": key.kid, **(header or {})}
        head = {name: value for name, value in head.items() if value is not None}
        return jwt.encode(head, wanted, key, algorithms=[head["alg"]])


@contextmanager
def issuing(home: Path, *keys: Key) -> Iterator[Issuer]:
    """An issuer, until the block ends."""
    certificate, key = _server_certificate(home)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.0"

        def do_GET(self) -> None:
            self.say(issuer.answer(self.path))

        def do_POST(self) -> None:
            form = self.rfile.read(int(self.headers["Content-Length"])).decode()
            self.say(issuer.answer(self.path, form, self.headers.get("Authorization", "")))

        def say(self, answer: Answer) -> None:
            code, headers, body = answer
            self.send_response(code)
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    class Quiet(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *_: Any) -> None:
            """A client that does not trust the certificate ends the connection."""

        def finish_request(self, request: Any, address: Any) -> None:
            request.settimeout(10)
            with context.wrap_socket(request, server_side=True) as connection:
                super().finish_request(connection, address)

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    server = Quiet(("127.0.0.1", 0), Handler)
    issuer = Issuer(f"https://127.0.0.1:{server.server_port}", certificate, list(keys) or [rsa("one")])
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield issuer
    finally:
        server.shutdown()
        server.server_close()
        thread.join(10)


def _server_certificate(home: Path) -> tuple[Path, Path]:
    key = ec_key()
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "issuer of the tests")])
    loopback = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    made = _builder(name, name, key, timedelta(days=1)).add_extension(loopback, critical=False)
    made = made.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    paths = home / "issuer.crt", home / "issuer.key"
    paths[0].write_bytes(made.sign(key, SHA256()).public_bytes(Encoding.PEM))
    paths[1].write_bytes(key_pem(key))
    return paths


def _builder(
    subject: x509.Name, issuer: x509.Name, key: EllipticCurvePrivateKey, life: timedelta
) -> x509.CertificateBuilder:
    begin = datetime.now(UTC) - timedelta(days=2)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begin)
        .not_valid_after(begin + timedelta(days=2) + life)
    )


@dataclass(frozen=True)
class Pair:
    """A certificate and its key."""

    certificate: x509.Certificate
    key: EllipticCurvePrivateKey

    @property
    def pem(self) -> bytes:
        return self.certificate.public_bytes(Encoding.PEM)

    @property
    def der(self) -> bytes:
        return self.certificate.public_bytes(Encoding.DER)

    @property
    def key_pem(self) -> bytes:
        return key_pem(self.key)


def authority(name: str = "authority of the tests") -> Pair:
    key = ec_key()
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    made = _builder(subject, subject, key, timedelta(days=10))
    made = made.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    return Pair(made.sign(key, SHA256()), key)


def client(by: Pair, *names: str, groups: tuple[str, ...] = (), life: timedelta = timedelta(days=1)) -> Pair:
    """A client certificate with these common names and organisations."""
    key = ec_key()
    attributes = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, each) for each in groups]
    attributes += [x509.NameAttribute(NameOID.COMMON_NAME, each) for each in names]
    made = _builder(x509.Name(attributes), by.certificate.subject, key, life)
    usage = x509.ExtendedKeyUsage([x509.oid.ExtendedKeyUsageOID.CLIENT_AUTH])
    return Pair(made.add_extension(usage, critical=False).sign(by.key, SHA256()), key)
