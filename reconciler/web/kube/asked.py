"""What a request asks for: the place in the API, the form of the answer, and the options of lists and watches."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

from reconciler.api.query.errors import QueryError
from reconciler.api.query.selectors import FieldSelector, LabelSelector
from reconciler.web.kube.errors import ApiError, Cause, bad_request, invalid
from reconciler.web.kube.served import FIELDS

__all__ = [
    "Form",
    "ListOptions",
    "Place",
    "form_of",
    "is_true",
    "list_options",
    "place_of",
    "position",
    "whole",
]

MAX_LIMIT: Final = 2**31
MAX_ACCEPT: Final = 32

Form = Literal["plain", "table", "partial", "aggregated"]
_GROUPS: Final = {
    ("Table", "meta.k8s.io", "v1"): "table",
    ("PartialObjectMetadata", "meta.k8s.io", "v1"): "partial",
    ("PartialObjectMetadataList", "meta.k8s.io", "v1"): "partial",
    ("APIGroupDiscoveryList", "apidiscovery.k8s.io", "v2"): "aggregated",
}
_JSON: Final = ("application/json", "application/*", "*/*")


@dataclass(frozen=True, slots=True)
class Place:
    """A resource, or one object of it, or a part of one."""

    group: str
    version: str
    resource: str
    namespace: str | None = None
    name: str | None = None
    subresource: str | None = None


def place_of(segments: tuple[str, ...]) -> Place | None:
    """The place of a path below /api or /apis; None for one that is no place of a resource."""
    match segments:
        case ("api", version, *rest):
            group = ""
        case ("apis", group, version, *rest):
            pass
        case _:
            return None
    namespace: str | None = None
    # /namespaces/NAME alone is an object.
    if len(rest) > 2 and rest[0] == "namespaces" and rest[2] not in ("status", "finalize"):
        namespace, rest = rest[1], rest[2:]
    if not rest or len(rest) > 3 or not all(rest):
        return None
    name, subresource = (*rest[1:], None, None)[:2]
    return Place(group, version, rest[0], namespace, name, subresource)


def form_of(accept: str) -> Form:
    """The first form in an Accept header that is served. Raises ApiError (406) when there is none."""
    for each in accept.split(",")[:MAX_ACCEPT]:
        media, *parameters = (part.strip() for part in each.split(";"))
        if media not in _JSON and media:
            continue
        given = dict(part.partition("=")[::2] for part in parameters)
        if "as" not in given:
            return "plain"
        found = _GROUPS.get((given["as"], given.get("g", ""), given.get("v", "")))
        if found:
            return found  # type: ignore[return-value]
    raise ApiError(
        406,
        "NotAcceptable",
        "only the following media types are accepted: application/json, application/json;stream=watch",
    )


@dataclass(frozen=True, slots=True)
class ListOptions:
    """The options of a list or a watch. `number` is the resourceVersion that was given; `after` is the last name of the
    page before.
    """

    labels: LabelSelector
    fields: FieldSelector
    limit: int = 0
    after: str = ""
    number: int | None = None
    match: str = ""
    watch: bool = False
    bookmarks: bool = False
    initial_events: bool | None = None
    timeout: float | None = None


def list_options(query: Mapping[str, str], fields: tuple[str, ...] = FIELDS) -> ListOptions:
    """Raises ApiError for values that are not valid."""
    try:
        labels = LabelSelector.parse(query.get("labelSelector", ""))
        selected = FieldSelector.parse(query.get("fieldSelector", ""), fields)
    except QueryError as error:
        raise bad_request(str(error)) from None
    after, number = "", _number(query.get("resourceVersion", ""))
    if token := query.get("continue"):
        if number:
            raise bad_request("resourceVersion may not be given together with continue")
        number, after = _position(token)
    initial = query.get("sendInitialEvents")
    options = ListOptions(
        labels,
        selected,
        whole("limit", query.get("limit", "0"), MAX_LIMIT),
        after,
        number,
        query.get("resourceVersionMatch", ""),
        is_true(query.get("watch", "")),
        is_true(query.get("allowWatchBookmarks", "")),
        None if initial is None else is_true(initial),
        whole("timeoutSeconds", query["timeoutSeconds"], MAX_LIMIT) if "timeoutSeconds" in query else None,
    )
    _check(options)
    return options


def position(number: int, after: str) -> str:
    """The token of the page after that name, in a list that began at that number."""
    return base64.urlsafe_b64encode(json.dumps({"v": number, "after": after}).encode()).decode()


def _position(token: str) -> tuple[int, str]:
    try:
        found = json.loads(base64.urlsafe_b64decode(token))
        number, after = found["v"], found["after"]
    except (ValueError, KeyError, TypeError, RecursionError):
        raise bad_request("continue key is not valid") from None
    if not isinstance(number, int) or not isinstance(after, str):
        raise bad_request("continue key is not valid")
    return number, after


def _check(options: ListOptions) -> None:
    if options.match not in ("", "Exact", "NotOlderThan"):
        raise _wrong("resourceVersionMatch", "supported values: Exact, NotOlderThan")
    if options.initial_events is not None:
        if not options.watch:
            raise _wrong("sendInitialEvents", "is forbidden for list")
        if options.match != "NotOlderThan":
            raise _wrong("resourceVersionMatch", "must be NotOlderThan when sendInitialEvents is given")
    elif options.match and options.watch:
        raise _wrong("resourceVersionMatch", "is forbidden for watch unless sendInitialEvents is given")
    elif options.match and options.number is None:
        raise _wrong("resourceVersionMatch", "is forbidden unless resourceVersion is given")


def _wrong(field: str, message: str) -> ApiError:
    return invalid("meta.k8s.io", "ListOptions", "", [Cause(field, message)])


def _number(text: str) -> int | None:
    if not text:
        return None
    # int() takes other digits and signs as well.
    if not (text.isascii() and text.isdigit() and len(text) < 20):
        raise bad_request(f"resourceVersion: Invalid value: {text[:40]!r}: must be a whole number")
    return int(text)


def whole(name: str, text: str, most: int) -> int:
    """The whole number of an option, at most `most`. Raises ApiError."""
    if not (text.isascii() and text.isdigit() and len(text) < 12):
        raise bad_request(f"{name}: Invalid value: {text[:40]!r}: must be a whole number")
    return min(int(text), most)


def is_true(text: str) -> bool:
    """Whether an option is set."""
    return text.lower() in ("1", "true", "t", "yes")
