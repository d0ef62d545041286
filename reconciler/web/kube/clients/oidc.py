"""Tokens of an OIDC issuer: checks signature, issuer, audience and times, and reads the user and the groups."""

from __future__ import annotations

import asyncio
import hmac
import json
import math
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from joserfc import jws
from joserfc.errors import ExpiredTokenError, JoseError
from joserfc.jwt import JWTClaimsRegistry

from reconciler.web.kube.clients.client import AUTHENTICATED, Client, RefusedError
from reconciler.web.kube.clients.grants import Grants, checked_groups, checked_user
from reconciler.web.kube.clients.issuer_keys import TOTAL_SECONDS, IssuerKeys, Key
from reconciler.web.kube.clients.oidc_settings import EMAIL, OidcSettings

__all__ = ["SKEW", "Oidc"]

SKEW: Final = timedelta(seconds=30)
"""How far the clocks of the issuer and of this machine may be apart."""
LONGEST: Final = timedelta(days=3650)
"""A token is not believed to be valid for longer."""
MAX_BYTES: Final = 12 * 1024
MAX_TRIED: Final = 5
"""Keys that are tried for a token that does not name one."""


class _Registry(jws.JWSRegistry):
    """Issuers put certificates of their keys into headers; fields that are not known are ignored, critical ones are not."""

    max_header_length = 6 * 1024
    max_payload_length = MAX_BYTES


class Oidc:
    """The tokens of one issuer."""

    def __init__(self, settings: OidcSettings, keys: IssuerKeys, grants: Grants) -> None:
        self._settings = settings
        self._keys = keys
        self._grants = grants
        self._registry = _Registry(algorithms=settings.algorithms, strict_check_header=False)

    @property
    def settings(self) -> OidcSettings:
        """Whose tokens these are."""
        return self._settings

    async def client(self, text: str, now: datetime, nonce: str | None = None) -> Client:
        """The client with this token. Raises RefusedError; waits for the issuer only if it may have a new key.

        With a `nonce` it has to be the answer to the login that this was made for.
        """
        signed = self._parsed(text)
        if not (candidates := self._candidates(signed)):
            # The thread that fetches goes on for others.
            async with asyncio.timeout(2 * TOTAL_SECONDS):
                await asyncio.shield(asyncio.wrap_future(self._keys.refresh()))
            if not (candidates := self._candidates(signed)):
                raise RefusedError("the issuer has no key of that ID, or does not answer")
        if not any(self._is_signed(signed, key) for key in candidates):
            raise RefusedError("the signature is not one of the issuer")
        claims = self._claims(signed.payload or b"", now)
        if nonce is not None and not hmac.compare_digest(str(claims.get("nonce")).encode(), nonce.encode()):
            raise RefusedError("it is the answer to another login")
        if nonce is not None and claims.get("azp", self._settings.client_id) != self._settings.client_id:
            raise RefusedError("it was made for another client")
        return self._client(claims, now)

    def _parsed(self, text: str) -> jws.CompactSignature:
        if len(text) > MAX_BYTES:
            raise RefusedError(f"it has more than {MAX_BYTES // 1024} KiB")
        try:
            signed = jws.extract_compact(text.encode(), registry=self._registry)
            algorithm = signed.headers().get("alg")
        except (JoseError, ValueError, TypeError, AttributeError, RecursionError):
            raise RefusedError("it is not a signed JSON Web Token") from None
        # Before any key is looked for: with "none" or a shared secret there is nothing to prove.
        if algorithm not in self._settings.algorithms:
            raise RefusedError(f"its algorithm is none of {', '.join(self._settings.algorithms)}")
        return signed

    def _candidates(self, signed: jws.CompactSignature) -> list[Key]:
        wanted = signed.headers().get("kid")
        known = self._keys.known()
        return [key for key in known if wanted is None or key.kid == wanted][:MAX_TRIED]

    def _is_signed(self, signed: jws.CompactSignature, key: Key) -> bool:
        try:
            return jws.validate_compact(signed, key, registry=self._registry)
        except (JoseError, ValueError, TypeError, KeyError, AttributeError):
            return False

    def _claims(self, payload: bytes, now: datetime) -> Mapping[str, Any]:
        settings = self._settings
        try:
            claims = json.loads(payload, parse_constant=_no_number)
        except (ValueError, RecursionError):
            claims = None
        if not isinstance(claims, dict):
            raise RefusedError("its claims are not an object in JSON")
        rules = JWTClaimsRegistry(
            now=math.floor(now.timestamp()),
            leeway=int(SKEW.total_seconds()),
            iss={"essential": True, "value": settings.issuer},
            aud={"essential": True, "value": settings.client_id},
            exp={"essential": True},
        )
        try:
            rules.validate(claims)
        except ExpiredTokenError:
            raise RefusedError("it has expired") from None
        except (JoseError, ValueError, TypeError, OverflowError) as error:
            raise RefusedError(f"a claim is not as it has to be: {str(error)[:200]}") from None
        for name, value in settings.required_claims.items():
            if claims.get(name) != value:
                raise RefusedError(f"the claim {name} is not what --oidc-required-claim says")
        return claims

    def _client(self, claims: Mapping[str, Any], now: datetime) -> Client:
        settings = self._settings
        name = claims.get(settings.username_claim)
        if not isinstance(name, str) or not name:
            raise RefusedError(f"the claim {settings.username_claim} is not the name of a user")
        # An address that was not verified may be that of another person.
        if settings.username_claim == EMAIL and claims.get("email_verified", True) is not True:
            raise RefusedError("the issuer has not verified the email address")
        user = checked_user(settings.prefix_of_names + name)
        groups = checked_groups(_prefixed(claims, settings))
        role = self._grants.role_of(user, groups)
        until = _moment(claims["exp"], now) + SKEW
        return Client(user, (*groups, AUTHENTICATED), role, "oidc", settings.issuer, until)


def _prefixed(claims: Mapping[str, Any], settings: OidcSettings) -> Iterable[object]:
    found = claims.get(settings.groups_claim) if settings.groups_claim else None
    if found is None:
        return ()
    groups = found if isinstance(found, list) else [found]
    return (settings.groups_prefix + each if isinstance(each, str) else each for each in groups)


def _moment(seconds: float, now: datetime) -> datetime:
    try:
        return min(datetime.fromtimestamp(seconds, UTC), now + LONGEST)
    except (OverflowError, ValueError, OSError):
        return now + LONGEST


def _no_number(text: str) -> float:
    raise ValueError(f"{text} is no number of JSON")
