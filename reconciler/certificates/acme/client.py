"""Speaks ACME (RFC 8555) by certbot's library, which signs requests, handles nonces and reads messages.

The library's own loops wait with sleeps and forget everything in a crash, so only its single requests are used.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from io import BytesIO
from typing import Any, Final, cast, get_args
from urllib.parse import urlsplit

import josepy.errors
import requests
from acme import challenges, client, errors, messages
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from josepy.b64 import b64decode, b64encode
from josepy.interfaces import JSONDeSerializable
from josepy.json_util import field as json_field
from josepy.jwa import ES256
from josepy.jwk import JWKEC

from reconciler.api.acme import Challenge
from reconciler.certificates.acme.base import Authorization, Offer, OrderState, Placed
from reconciler.certificates.acme.problems import away, refused, sentence
from reconciler.certificates.errors import AcmeError
from reconciler.certificates.renewal import Window
from reconciler.certificates.store import Account

__all__ = ["AcmeServer", "Binding"]

TIMEOUT: Final = 20
"""Seconds for a connection, and for each silence of the server."""
MAX_ANSWER: Final = 256 * 1024
"""Bytes of an answer: a manifest names the server, so it is not trusted with our memory."""
ASK_AGAIN: Final = 6 * 3600.0
"""Seconds between two questions about a renewal where the server does not say."""
NONCE_TRIES: Final = 2
"""Tries after which a refused nonce is an error; the library itself makes two of each."""
USER_AGENT: Final = "vault-reconciler"


@dataclass(frozen=True, slots=True)
class Binding:
    """The key that binds an account to one with the authority (external account binding)."""

    key_id: str
    hmac_key: str = field(repr=False)


class _NewOrder(messages.NewOrder):
    """With the certificate that the new one replaces (RFC 9773), so that no rate limit counts it."""

    replaces: str = json_field("replaces", omitempty=True)


class AcmeServer:
    """An `Authority` over HTTPS. `ca_file` has the authorities that the server's own certificate is trusted by."""

    def __init__(
        self, account: Account, *, ca_file: str | None = None, binding: Binding | None = None
    ) -> None:
        self._url = account.server
        self._host = urlsplit(account.server).netloc
        self._binding = binding
        private = load_pem_private_key(account.key.encode(), password=None)
        assert isinstance(private, EllipticCurvePrivateKey)
        self._key = JWKEC(key=private)
        self._net = client.ClientNetwork(
            self._key,
            alg=ES256,
            # The library hands it on to requests, which takes a path as well.
            verify_ssl=cast(bool, ca_file or True),
            user_agent=USER_AGENT,
            timeout=TIMEOUT,
        )
        self._net.session.hooks["response"] += [_bounded, self._note]
        self._delay: float | None = None
        self._directory: messages.Directory | None = None
        self._account_url = account.url
        if account.url:
            self._know(account.url)

    def close(self) -> None:
        """Close all connections."""
        self._net.session.close()

    def register(self, contact: Sequence[str]) -> str:
        """See Authority."""
        with self._speaking("make an account"):
            directory = self._asked_directory()
            binding = None
            if self._binding:
                try:
                    binding = messages.ExternalAccountBinding.from_data(
                        self._key.public_key(), self._binding.key_id, self._binding.hmac_key, directory
                    )
                except (ValueError, josepy.errors.Error):
                    raise AcmeError(
                        "the file of spec.acme.externalAccount.keyFile holds no key in base64url; copy it again"
                    ) from None
            self._net.account = None
            answer = self._post(
                directory["newAccount"],
                messages.NewRegistration(
                    contact=tuple(f"mailto:{address}" for address in contact),
                    terms_of_service_agreed=True,
                    **({"external_account_binding": binding} if binding else {}),
                ),
            )
            self._know(answer.headers["Location"])
            return self._account_url

    def place(self, names: Sequence[str], *, profile: str | None, replaces: str) -> Placed:
        """See Authority."""
        with self._speaking("accept an order"):
            directory = self._asked_directory()
            optional = {"profile": profile} if profile else {}
            if replaces and "renewalInfo" in directory.to_partial_json():
                optional["replaces"] = replaces
            order = _NewOrder(
                identifiers=[messages.Identifier(typ=messages.IDENTIFIER_FQDN, value=name) for name in names],
                **optional,
            )
            try:
                answer = self._post(directory["newOrder"], order)
            except (errors.ConflictError, messages.Error) as error:
                # That certificate was replaced already, perhaps by an order that a crash made us forget, or the server does
                # not find it, as pebble just after it has issued it.
                known = isinstance(error, messages.Error) and _code(error) != "serverInternal"
                if "replaces" not in optional or known:
                    raise
                answer = self._post(directory["newOrder"], order.update(replaces=None))
            body = messages.Order.from_json(answer.json())
            return Placed(answer.headers["Location"], body.finalize, tuple(body.authorizations))

    def authorization(self, url: str) -> Authorization:
        """See Authority."""
        with self._speaking("show an authorization"):
            body = messages.Authorization.from_json(self._post(url, None).json())
            name = f"*.{body.identifier.value}" if body.wildcard else body.identifier.value
            offered = [self._offer(each) for each in body.challenges or ()]
            problem = next((each.error for each in body.challenges or () if each.error is not None), None)
            return Authorization(
                name,
                body.status.name,
                tuple(offer for offer in offered if offer is not None),
                sentence(_code(problem), problem.detail or "") if problem else "",
            )

    def answer(self, url: str) -> None:
        """See Authority."""
        with self._speaking("check an answer"):
            try:
                # The body is the same empty object for each kind of challenge.
                self._post(url, challenges.HTTP01Response(key_authorization=""))
            except messages.Error as error:
                # Before a crash the server was told already; what it found is in the authorization.
                if _code(error) != "malformed":
                    raise

    def order(self, url: str) -> OrderState:
        """See Authority."""
        with self._speaking("show an order"):
            return self._state(self._post(url, None).json())

    def finalize(self, url: str, request: bytes) -> OrderState:
        """See Authority."""
        with self._speaking("issue a certificate"):
            csr = x509.load_pem_x509_csr(request)
            return self._state(self._post(url, messages.CertificateRequest(csr=csr)).json())

    def download(self, url: str) -> str:
        """See Authority."""
        with self._speaking("hand out a certificate"):
            return str(self._post(url, None).text)

    def renewal(self, renewal_id: str) -> tuple[Window | None, float]:
        """See Authority."""
        with self._speaking("tell when to renew"):
            base = self._asked_directory().to_partial_json().get("renewalInfo")
            if not base or not renewal_id:
                return None, ASK_AGAIN
            body = self._net.get(f"{str(base).rstrip('/')}/{renewal_id}").json()
            window = body["suggestedWindow"]
            start, end = (_moment(window[each]) for each in ("start", "end"))
            return Window(start, end), max(60.0, min(self._delay or ASK_AGAIN, 24 * 3600.0))

    def _offer(self, challenge: messages.ChallengeBody) -> Offer | None:
        told = challenge.to_json()
        kind, url, token = (told.get(each) for each in ("type", "url", "token"))
        if kind not in get_args(Challenge) or not isinstance(url, str) or not isinstance(token, str):
            return None
        # The library left tls-alpn-01, but key authorizations are the same for all.
        whole = f"{token}.{b64encode(self._key.thumbprint()).decode()}"
        value = challenges.DNS01(token=b64decode(token)).validation(self._key) if kind == "dns-01" else whole
        return Offer(cast(Challenge, kind), url, token, value)

    def _state(self, body: dict[str, Any]) -> OrderState:
        order = messages.Order.from_json(body)
        problem = sentence(_code(order.error), order.error.detail or "") if order.error else ""
        if order.error and order.error.subproblems:
            told = (each.detail or "" for each in order.error.subproblems)
            problem = sentence(_code(order.error), f"{order.error.detail or ''}: {'; '.join(told)}")
        return OrderState(
            cast(Any, order.status.name),
            tuple(order.authorizations or ()),
            order.certificate or "",
            problem,
            self._delay,
        )

    def _know(self, url: str) -> None:
        self._account_url = url
        self._net.account = messages.RegistrationResource(body=messages.Registration(), uri=url)

    def _asked_directory(self) -> messages.Directory:
        if self._directory is None:
            self._directory = client.ClientV2.get_directory(self._url, self._net)
        return self._directory

    def _post(self, url: str, body: JSONDeSerializable | None) -> requests.Response:
        nonces = self._asked_directory()["newNonce"]
        for _ in range(NONCE_TRIES):
            try:
                return self._net.post(url, body, new_nonce_url=nonces)
            except messages.Error as error:
                if _code(error) != "badNonce":
                    raise
        return self._net.post(url, body, new_nonce_url=nonces)

    def _note(self, response: requests.Response, *_: Any, **__: Any) -> None:
        self._delay = _seconds(response.headers.get("Retry-After"))

    @contextmanager
    def _speaking(self, doing: str) -> Iterator[None]:
        self._delay = None
        try:
            yield
        except messages.Error as error:
            raise refused(self._host, doing, _code(error), error.detail or "", self._delay) from None
        except requests.exceptions.SSLError as error:
            reason = f"its own certificate is not trusted ({_innermost(error)}); see spec.acme.caFile"
            raise away(self._host, doing, reason) from None
        except requests.exceptions.Timeout:
            raise away(self._host, doing, f"no answer in {TIMEOUT} s", self._delay) from None
        except requests.exceptions.RequestException as error:
            raise away(self._host, doing, _innermost(error), self._delay) from None
        except errors.ClientError as error:
            raise away(self._host, doing, _status(error), self._delay) from None
        except (errors.Error, josepy.errors.Error, ValueError, KeyError, TypeError, AttributeError) as error:
            reason = f"the answer is not that of an ACME server ({type(error).__name__})"
            raise away(self._host, doing, reason, self._delay) from None


def _bounded(response: requests.Response, *_: Any, **__: Any) -> None:
    """Read an answer, unless it is longer than any that an ACME server gives."""
    body = response.raw.read(MAX_ANSWER + 1, decode_content=True)
    if len(body) > MAX_ANSWER:
        response.raw.close()
        raise requests.exceptions.RequestException(f"the answer is longer than {MAX_ANSWER // 1024} KiB")
    response.raw.release_conn()
    response.raw = BytesIO(body)


def _code(problem: Any) -> str:
    """The type of a problem without its prefix; a server may tell types that the library does not know."""
    return str(problem.typ or "").rpartition(":")[2] or "unknown"


def _status(error: errors.ClientError) -> str:
    told = error.args[0] if error.args else None
    told = told[0] if isinstance(told, tuple) else told
    if isinstance(told, requests.Response):
        return f"it answers {told.status_code} {told.reason or ''}".rstrip()
    return "the answer is not that of an ACME server"


def _innermost(error: BaseException) -> str:
    """The reason at the bottom of nested errors of the network, without the addresses of objects."""
    text = str(error)
    while (inner := error.__cause__ or error.__context__) is not None:
        error = inner
        if isinstance(error, OSError) and error.strerror:
            text = error.strerror
    return text.rpartition(">: ")[2]


def _seconds(text: str | None) -> float | None:
    """The seconds of a Retry-After header, which may be a date."""
    if not text:
        return None
    try:
        if text.strip().isdecimal():
            return float(int(text.strip()[:9]))
        return max(0.0, (parsedate_to_datetime(text) - datetime.now(UTC)).total_seconds())
    except (ValueError, TypeError):
        return None


def _moment(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
