"""Tags and digests by the OCI distribution API, with no more requests than needed.

Answers are kept with their ETag, so that an unchanged one costs the registry little. After a failure a registry is left
alone for a while, which doubles, or for as long as it asks.
"""

from __future__ import annotations

import hashlib
import json
import re
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final, TypeVar
from urllib.parse import urljoin, urlsplit

from reconciler.core.images.reference import DOCKER_HUB, Reference
from reconciler.http import Answer, Http
from reconciler.registry import cosign
from reconciler.registry.credentials import Credentials
from reconciler.registry.errors import NoAccessError, RegistryError, UnknownImageError
from reconciler.registry.http import is_local
from reconciler.registry.login import Logins

__all__ = ["RegistryClient"]

Value = TypeVar("Value")

HUB_HOST: Final = "registry-1.docker.io"
PAGE: Final = 1000
MOST_PAGES: Final = 100
MOST_KEPT: Final = 1000
LONGEST_CALL: Final = 120.0
"""Seconds after which a call makes no further request: others wait for it."""
FIRST_PAUSE: Final = 30.0
LONGEST_PAUSE: Final = 3600.0
"""Seconds for which a registry is left alone: doubled after each failure."""
LONGEST_WISH: Final = 24 * 3600.0
"""The longest such time that a registry can ask for."""

OK: Final = 200
NOT_MODIFIED: Final = 304
UNAUTHORIZED: Final = 401
FORBIDDEN: Final = 403
NOT_FOUND: Final = 404
NO_METHOD: Final = 405
TOO_MANY: Final = 429
MOVED: Final = (301, 302, 303, 307, 308)

MANIFESTS: Final = ", ".join(
    (
        "application/vnd.oci.image.index.v1+json",
        "application/vnd.docker.distribution.manifest.list.v2+json",
        "application/vnd.oci.image.manifest.v1+json",
        "application/vnd.docker.distribution.manifest.v2+json",
    )
)

_TAG: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")
_DIGEST: Final = re.compile(r"sha256:[0-9a-f]{64}")
_NEXT: Final = re.compile(r'<([^<>\s]{1,2048})>\s*;\s*rel="?next"?')


@dataclass(frozen=True, slots=True)
class _Kept:
    etag: str
    value: tuple[str, ...]


@dataclass(slots=True)
class _Pause:
    failures: int
    until: float
    error: RegistryError


class RegistryClient:
    """A `Registries` over HTTPS; `clock` gives seconds that only grow, `now` is the wall clock. Threads may share it."""

    def __init__(
        self,
        http: Http,
        credentials: Credentials,
        clock: Callable[[], float],
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._http = http
        self._logins = Logins(http, credentials, clock)
        self._clock = clock
        self._now = now
        self._lock = threading.Lock()
        self._ends = 0.0
        self._kept: dict[str, _Kept] = {}
        self._pauses: dict[str, _Pause] = {}

    def tags(self, image: Reference) -> tuple[str, ...]:
        """See Registries."""
        with self._lock:
            return self._guarded(image, lambda: self._tags(image))

    def digest(self, image: Reference) -> str:
        """See Registries."""
        with self._lock:
            return self._guarded(image, lambda: self._digest(image))

    def is_signed(self, image: Reference, keys: Sequence[str]) -> bool:
        """See Registries."""
        with self._lock:
            return self._guarded(image, lambda: self._is_signed(image, keys))

    def _guarded(self, image: Reference, ask: Callable[[], Value]) -> Value:
        """What `ask` returns, unless the registry is to be left alone."""
        key, now = image.registry, self._clock()
        pause = self._pauses.get(key)
        if pause is not None and now < pause.until:
            raise type(pause.error)(pause.error.message, pause.until - now)
        self._ends = now + LONGEST_CALL
        try:
            value = ask()
        except UnknownImageError:
            # It answers; another image may well be there.
            self._pauses.pop(key, None)
            raise
        except RegistryError as error:
            failures = (pause.failures if pause else 0) + 1
            seconds = min(LONGEST_PAUSE, FIRST_PAUSE * 2.0 ** min(failures - 1, 16))
            seconds = max(seconds, min(error.delay or 0.0, LONGEST_WISH))
            # Another repository may be open to all.
            if not isinstance(error, NoAccessError):
                self._pauses[key] = _Pause(failures, now + seconds, error)
            raise type(error)(error.message, seconds) from None
        self._pauses.pop(key, None)
        return value

    def _tags(self, image: Reference) -> tuple[str, ...]:
        first = f"{_base(image)}/tags/list?n={PAGE}"
        kept = self._kept.get(first)
        url: str | None = first
        found: list[str] = []
        for page in range(MOST_PAGES):
            assert url is not None
            answer = self._ask("GET", url, image, {}, kept if page == 0 else None)
            if answer.status == NOT_MODIFIED and kept is not None and page == 0:
                return kept.value
            found += _listed(image, answer)
            url = _next_page(image, first, url, answer)
            if url is None:
                value = tuple(dict.fromkeys(found))
                # The ETag is that of a page: of several, each could change alone.
                self._keep(first, answer if page == 0 else None, value)
                return value
        raise RegistryError(f"{image.place} has more than {MOST_PAGES * PAGE} tags, or its list has no end")

    def _digest(self, image: Reference) -> str:
        url = f"{_base(image)}/manifests/{image.asked}"
        kept = self._kept.get(url)
        headers = {"Accept": MANIFESTS}
        answer = self._ask("HEAD", url, image, headers, kept)
        if answer.status == NOT_MODIFIED and kept is not None:
            return kept.value[0]
        digest = answer.headers.get("docker-content-digest", "")
        if answer.status == NO_METHOD or not _DIGEST.fullmatch(digest):
            answer = self._ask("GET", url, image, headers, None)
            if not answer.body:
                raise RegistryError(f"{image.registry} gave an empty manifest for {image}")
            digest = f"sha256:{hashlib.sha256(answer.body).hexdigest()}"
        self._keep(url, answer, (digest,))
        return digest

    def _is_signed(self, image: Reference, keys: Sequence[str]) -> bool:
        beside = image.at(cosign.tag_of(image.digest))
        url = f"{_base(image)}/manifests/{beside.asked}"
        try:
            manifest = self._ask("GET", url, beside, {"Accept": cosign.MANIFEST}, None).body
        except UnknownImageError:
            return False
        return any(
            cosign.holds(self._blob(image, layer.digest), layer.signature, keys, image.digest)
            for layer in cosign.layers_of(manifest)
        )

    def _blob(self, image: Reference, digest: str) -> bytes:
        """The content of this digest. A registry may have it elsewhere, where no credentials of ours go."""
        url = f"{_base(image)}/blobs/{digest}"
        answer = self._ask("GET", url, image, {}, None)
        if answer.status in MOVED:
            place = urljoin(url, answer.headers.get("location", ""))
            here, there = urlsplit(url), urlsplit(place)
            if there.scheme != "https" and (there.scheme, there.netloc) != (here.scheme, here.netloc):
                raise RegistryError(f"{image.registry} has a signature of {image} at a place without TLS")
            answer = self._http.ask("GET", place, {})
        if answer.status != OK or f"sha256:{hashlib.sha256(answer.body).hexdigest()}" != digest:
            raise RegistryError(f"{image.registry} did not give the signature that it names for {image}")
        return answer.body

    def _keep(self, url: str, answer: Answer | None, value: tuple[str, ...]) -> None:
        etag = answer.headers.get("etag", "") if answer else ""
        self._kept.pop(url, None)
        if etag and etag.isprintable() and etag.isascii():
            while len(self._kept) >= MOST_KEPT:
                self._kept.pop(next(iter(self._kept)))
            self._kept[url] = _Kept(etag, value)

    def _ask(
        self, method: str, url: str, image: Reference, headers: Mapping[str, str], kept: _Kept | None
    ) -> Answer:
        """An answer that can be used. Raises RegistryError."""
        if self._clock() >= self._ends:
            raise RegistryError(f"{image.registry} has not answered all that was asked in {LONGEST_CALL:g} s")
        headers = {**headers, **({"If-None-Match": kept.etag} if kept else {})}
        known = self._logins.known(image.registry, image.repository)
        answer = self._http.ask(method, url, {**headers, **({"Authorization": known} if known else {})})
        if answer.status == UNAUTHORIZED:
            header = self._logins.answer(image.registry, image.repository, answer)
            answer = self._http.ask(method, url, {**headers, "Authorization": header})
        if answer.status in (UNAUTHORIZED, FORBIDDEN):
            self._logins.forget(image.registry, image.repository)
            raise self._logins.refused(image.registry)
        if answer.status == NOT_FOUND:
            raise UnknownImageError(
                f"{image.registry} has no {image}"
                if "/manifests/" in url
                else f"{image.registry} has no {image.repository}"
            )
        if answer.status == TOO_MANY:
            raise RegistryError(f"{image.registry} wants fewer requests", self._wish(answer))
        if answer.status in (OK, NOT_MODIFIED) or (answer.status == NO_METHOD and method == "HEAD"):
            return answer
        if answer.status in MOVED and "/blobs/" in url:
            return answer
        raise RegistryError(f"{image.registry} answers {answer.status}", self._wish(answer))

    def _wish(self, answer: Answer) -> float | None:
        """The seconds of a Retry-After header, which may be a date."""
        text = answer.headers.get("retry-after", "").strip()
        if re.fullmatch(r"[0-9]{1,9}", text):
            return float(text)
        try:
            moment = parsedate_to_datetime(text)
        except (ValueError, TypeError, OverflowError):
            return None
        moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        return max(0.0, (moment - self._now()).total_seconds())


def _base(image: Reference) -> str:
    host = HUB_HOST if image.registry == DOCKER_HUB else image.registry
    scheme = "http" if is_local(image.registry) else "https"
    return f"{scheme}://{host}/v2/{image.repository}"


def _listed(image: Reference, answer: Answer) -> list[str]:
    try:
        document = json.loads(answer.body)
        listed = document["tags"] or []
        # A text of the registry goes into messages and manifests only if it can be a tag.
        return [tag for tag in listed if isinstance(tag, str) and _TAG.fullmatch(tag)]
    except (ValueError, KeyError, TypeError, RecursionError):
        raise RegistryError(f"{image.registry} gave no list of tags for {image.repository}") from None


def _next_page(image: Reference, first: str, url: str, answer: Answer) -> str | None:
    found = _NEXT.search(answer.headers.get("link", ""))
    if found is None:
        return None
    try:
        following = str(urljoin(url, found[1]))
    except ValueError:
        raise RegistryError(f"{image.registry} names no address for the rest of its list of tags") from None
    here, there = urlsplit(first), urlsplit(following)
    if (here.scheme, here.netloc, here.path) != (there.scheme, there.netloc, there.path):
        raise RegistryError(f"{image.registry} continues its list of tags in another place")
    return following
