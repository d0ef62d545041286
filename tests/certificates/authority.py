"""A certificate authority in memory, and keys and certificates for tests."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from hashlib import sha256

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from reconciler.api.acme import Acme, Challenge
from reconciler.certificates.acme.base import Authorization, Offer, OrderState, Placed
from reconciler.certificates.acme.problems import refused
from reconciler.certificates.certificate import Bundle, read_bundle
from reconciler.certificates.errors import AcmeAwayError
from reconciler.certificates.renewal import Window
from reconciler.certificates.store import Account

START = datetime(2026, 5, 1, 12, tzinfo=UTC)
LIFE = timedelta(days=90)
ACME = Acme.model_validate({"accept_terms": True, "server": "https://acme.test/dir"})


def key_pem(key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def ec_key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def named(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


@dataclass
class Signer:
    """A root and an intermediate authority."""

    key: ec.EllipticCurvePrivateKey = field(default_factory=ec_key)
    name: x509.Name = field(default_factory=lambda: named("intermediate"))

    def sign(
        self, public: ec.EllipticCurvePublicKey, names: Sequence[str], begin: datetime, end: datetime
    ) -> str:
        """The certificate and its chain in PEM."""
        leaf = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([]))
            .issuer_name(self.name)
            .public_key(public)
            .serial_number(x509.random_serial_number())
            .not_valid_before(begin)
            .not_valid_after(end)
            .add_extension(x509.SubjectAlternativeName([x509.DNSName(name) for name in names]), critical=True)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key()), critical=False
            )
            .sign(self.key, SHA256())
        )
        return (leaf.public_bytes(Encoding.PEM) + self.own()).decode()

    @cache  # noqa: B019
    def own(self) -> bytes:
        """The certificate of the intermediate authority, which signs itself here."""
        return (
            x509.CertificateBuilder()
            .subject_name(self.name)
            .issuer_name(self.name)
            .public_key(self.key.public_key())
            .serial_number(1)
            .not_valid_before(START - timedelta(days=1000))
            .not_valid_after(START + timedelta(days=9000))
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .sign(self.key, SHA256())
            .public_bytes(Encoding.PEM)
        )

    __hash__ = object.__hash__


SIGNER = Signer()


def made(
    *names: str,
    begin: datetime = START,
    life: timedelta = LIFE,
    key: ec.EllipticCurvePrivateKey | None = None,
) -> tuple[bytes, bytes]:
    """A chain and its key in PEM."""
    key = key or ec_key()
    return SIGNER.sign(key.public_key(), names, begin, begin + life).encode(), key_pem(key)


def bundle(*names: str, begin: datetime = START, life: timedelta = LIFE) -> Bundle:
    return read_bundle(*made(*names, begin=begin, life=life), "test.pem")


@dataclass
class FakeAuthority:
    """An ACME server that checks names by `looks_for`: it gets an offer and a name, and gives the reason why not, or ''."""

    looks_for: Callable[[str, Offer], str] = lambda name, offer: ""
    clock: Callable[[], datetime] = lambda: START
    life: timedelta = LIFE
    challenges: tuple[Challenge, ...] = ("http-01", "dns-01", "tls-alpn-01")
    away: bool = False
    limited: float | None = None
    forgetful: bool = False
    window: Window | None = None
    crash_after: int | None = None
    accounts: list[str] = field(default_factory=list)
    placed: list[tuple[str, ...]] = field(default_factory=list)
    replaced: list[str] = field(default_factory=list)
    calls: int = 0
    _orders: dict[str, tuple[str, ...]] = field(default_factory=dict)
    _checked: dict[str, str] = field(default_factory=dict)
    _issued: dict[str, str] = field(default_factory=dict)

    def connect(self, account: Account, acme: Acme) -> FakeAuthority:
        return self

    def register(self, contact: Sequence[str]) -> str:
        self._call()
        self.accounts.append("account")
        return f"https://acme.test/account/{len(self.accounts)}"

    def place(self, names: Sequence[str], *, profile: str | None, replaces: str) -> Placed:
        self._call()
        if self.limited is not None:
            raise refused("acme.test", "accept an order", "rateLimited", "too many orders", self.limited)
        if replaces and self.forgetful:
            raise refused("acme.test", "accept an order", "malformed", "no such certificate")
        self.placed.append(tuple(names))
        self.replaced.append(replaces)
        url = f"order/{len(self.placed)}"
        self._orders[url] = tuple(names)
        return Placed(url, f"{url}/finalize", tuple(f"{url}/{name}" for name in names))

    def authorization(self, url: str) -> Authorization:
        self._call()
        name = url.rpartition("/")[2]
        fault = self._checked.get(url)
        if fault is not None:
            return Authorization(name, "invalid" if fault else "valid", (), fault)
        token = sha256(url.encode()).hexdigest()
        offers = tuple(Offer(kind, f"{url}#{kind}", token, f"{token}.thumb") for kind in self.challenges)
        return Authorization(name, "pending", offers)

    def answer(self, url: str) -> None:
        self._call()
        place, _, kind = url.partition("#")
        authorization = self.authorization(place)
        offer = next((each for each in authorization.offers if each.challenge == kind), None)
        if offer is not None:
            self._checked[place] = self.looks_for(authorization.name, offer)

    def order(self, url: str) -> OrderState:
        self._call()
        names = self._orders[url]
        urls = tuple(f"{url}/{name}" for name in names)
        faults = [self._checked.get(each) for each in urls]
        if url in self._issued:
            return OrderState("valid", urls, f"{url}/certificate")
        if any(faults):
            return OrderState("invalid", urls, problem="a name could not be checked")
        return OrderState("pending" if None in faults else "ready", urls)

    def finalize(self, url: str, request: bytes) -> OrderState:
        self._call()
        order = url.removesuffix("/finalize")
        csr = x509.load_pem_x509_csr(request)
        names = csr.extensions.get_extension_for_class(x509.SubjectAlternativeName).value.get_values_for_type(
            x509.DNSName
        )
        assert tuple(names) == self._orders[order]
        public = csr.public_key()
        assert isinstance(public, ec.EllipticCurvePublicKey)
        self._issued[order] = SIGNER.sign(public, names, self.clock(), self.clock() + self.life)
        return self.order(order)

    def download(self, url: str) -> str:
        self._call()
        return self._issued[url.removesuffix("/certificate")]

    def renewal(self, renewal_id: str) -> tuple[Window | None, float]:
        self._call()
        return self.window, 24 * 3600.0

    def _call(self) -> None:
        self.calls += 1
        if self.crash_after is not None and self.calls > self.crash_after:
            self.crash_after = None
            raise Killed
        if self.away:
            raise AcmeAwayError("acme.test does not answer")


class Killed(BaseException):
    """The controller was killed in the middle of a step."""
