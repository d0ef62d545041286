"""Reads the document that an API client sends: a resource, and the metadata that only such clients set.

Mistakes are found by the reader of manifests, so that they have the same sentences; each has the path of its field.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, Literal

from pydantic import ValidationError

from reconciler.api.errors import ManifestError, VaultError
from reconciler.api.kinds import API_VERSION, NAMESPACE, SERVED_VERSION, Kind
from reconciler.api.manifest import parse
from reconciler.api.resource import Resource
from reconciler.api.server_set import LAST_APPLIED, SERVER_SET
from reconciler.app.cluster.documents import ORIGIN, TEARDOWN
from reconciler.store.base import ApiMetadata

__all__ = [
    "FieldValidation",
    "InvalidError",
    "Mistake",
    "StrictError",
    "Written",
    "mistakes_of",
    "read",
    "with_deletion",
]

FieldValidation = Literal["Strict", "Warn", "Ignore"]

REQUEST: Final = Path("request")
_UNKNOWN: Final = "extra_forbidden"
_MOST_ROUNDS: Final = 100
MAX_ANNOTATIONS: Final = 256 * 1024
"""Characters of all keys and values, as in Kubernetes."""
MAX_DOCUMENT: Final = 1024 * 1024
"""Characters of an object in JSON: its last versions are kept in memory, for watches."""
MAX_ITEMS: Final = 100
"""Finalizers, and owners."""


@dataclass(frozen=True, slots=True)
class Mistake:
    """One mistake: the path of the field, and a sentence."""

    field: str
    message: str


class InvalidError(VaultError):
    """The document breaks rules of its kind; `mistakes` are all of them."""

    def __init__(self, mistakes: Sequence[Mistake]) -> None:
        super().__init__("; ".join(f"{each.field}: {each.message}" for each in mistakes))
        self.mistakes = mistakes


class StrictError(VaultError):
    """The document has fields that are not known, and the client wants none."""


@dataclass(frozen=True, slots=True)
class Written:
    """A document that was read. `document` is what of it is written: fields that its kind has and that clients may set.
    `uid` and `number` are those that the client expects; `warnings` are for it.
    """

    resource: Resource
    api: ApiMetadata
    document: Mapping[str, Any]
    uid: str | None = None
    number: str | None = None
    warnings: tuple[str, ...] = ()


def read(document: Mapping[str, Any], kind: Kind, validation: FieldValidation) -> Written:
    """Raises InvalidError, StrictError."""
    _check_identity(document, kind)
    metadata = document["metadata"]
    of_clients = _api_metadata(metadata)
    known, unknown = _without_unknown({**document, "metadata": _of_user(metadata)}, kind)
    if len(json.dumps(known)) > MAX_DOCUMENT:
        raise InvalidError([Mistake("spec", f"takes the object beyond {MAX_DOCUMENT // 1024} KiB of JSON")])
    if unknown and validation == "Strict":
        # Kubernetes stops here; one answer with all mistakes saves a second try.
        try:
            _resource(known)
        except InvalidError as error:
            raise InvalidError(
                [*(Mistake(each, "is not a known field") for each in unknown), *error.mistakes]
            ) from None
        listed = ", ".join(f'unknown field "{field}"' for field in unknown)
        raise StrictError(
            f'{kind.name} in version "{SERVED_VERSION}" cannot be handled as a {kind.name}: strict decoding error: {listed}'
        )
    warnings = tuple(f'unknown field "{field}"' for field in unknown) if validation == "Warn" else ()
    resource = _resource(known)
    own = {"finalizers": list(of_clients.finalizers), "ownerReferences": list(of_clients.owner_references)}
    return Written(
        resource,
        of_clients,
        {**known, "metadata": {**known["metadata"], **own}},
        _text(metadata, "uid"),
        _text(metadata, "resourceVersion"),
        warnings,
    )


def mistakes_of(error: ManifestError) -> Iterator[Mistake]:
    """The problems of a manifest as those of a request."""
    for problem in error.problems:
        advice = f"; {problem.suggestion}" if problem.suggestion else ""
        yield Mistake(problem.field, f"{problem.message}{advice}")


def _check_identity(document: Mapping[str, Any], kind: Kind) -> None:
    found = []
    for field, wanted in (("apiVersion", API_VERSION), ("kind", kind.name)):
        if document.get(field) != wanted:
            found.append(Mistake(field, f"must be {wanted}"))
    metadata = document.get("metadata")
    if not isinstance(metadata, Mapping):
        found.append(Mistake("metadata", "is required"))
    elif metadata.get("namespace") not in (None, "", NAMESPACE):
        found.append(Mistake("metadata.namespace", f"must be {NAMESPACE}: there are no other namespaces"))
    if found:
        raise InvalidError(found)


def _of_user(metadata: Mapping[str, Any]) -> dict[str, Any]:
    found = {key: value for key, value in metadata.items() if key not in SERVER_SET}
    annotations = found.get("annotations")
    if isinstance(annotations, Mapping):
        found["annotations"] = {key: value for key, value in annotations.items() if key != ORIGIN}
    return found


def _api_metadata(metadata: Mapping[str, Any]) -> ApiMetadata:
    found = []
    annotations = metadata.get("annotations")
    if isinstance(annotations, Mapping) and _size(annotations) > MAX_ANNOTATIONS:
        found.append(Mistake("metadata.annotations", f"must have at most {MAX_ANNOTATIONS} characters"))
    finalizers = metadata.get("finalizers") or []
    if not _are_few(finalizers) or not all(
        isinstance(each, str) and "/" in each and len(each) < 254 and each.isprintable()
        for each in finalizers
    ):
        found.append(
            Mistake(
                "metadata.finalizers",
                f"must be a list of at most {MAX_ITEMS} qualified names, such as example.com/backup",
            )
        )
    owners = metadata.get("ownerReferences") or []
    required = ("apiVersion", "kind", "name", "uid")
    if not _are_few(owners) or not all(
        isinstance(each, Mapping) and all(isinstance(each.get(key), str) for key in required)
        for each in owners
    ):
        found.append(
            Mistake(
                "metadata.ownerReferences",
                f"must be a list of at most {MAX_ITEMS} mappings with {', '.join(required)}",
            )
        )
    if found:
        raise InvalidError(found)
    return ApiMetadata(
        tuple(dict.fromkeys(each for each in finalizers if each != TEARDOWN)), tuple(map(dict, owners))
    )


def _size(texts: Mapping[Any, Any]) -> int:
    return sum(len(str(key)) + len(str(value)) for key, value in texts.items())


def _are_few(items: Any) -> bool:
    return isinstance(items, list) and len(items) <= MAX_ITEMS


def _without_unknown(document: Mapping[str, Any], kind: Kind) -> tuple[Mapping[str, Any], Sequence[str]]:
    """The document without the fields that its kind does not have, and their paths."""
    document = {key: value for key, value in document.items() if key != "status"}
    unknown: list[str] = []
    # A field inside an unknown one is not looked at, so one round is enough unless a limit of findings is met.
    for _ in range(_MOST_ROUNDS):
        try:
            kind.load_model().model_validate(document, by_alias=True, by_name=False)
        except ValidationError as error:
            details = error.errors(include_url=False, include_input=False, include_context=False)
            found = [each["loc"] for each in details if each["type"] == _UNKNOWN]
        else:
            found = []
        if not found:
            break
        document = json.loads(json.dumps(document))
        for location in found:
            _drop(document, location)
            unknown.append(_path(location))
    return document, unknown


def _drop(document: Any, location: Sequence[str | int]) -> None:
    for step in location[:-1]:
        # Members of unions have steps of their own in a location, which the document does not have.
        is_key = isinstance(document, dict) and step in document
        is_index = isinstance(document, list) and isinstance(step, int) and step < len(document)
        document = document[step] if is_key or is_index else document
    if isinstance(document, dict):
        document.pop(location[-1], None)


def _path(location: Iterable[str | int]) -> str:
    text = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in location)
    return text.removeprefix(".")


def _resource(document: Mapping[str, Any]) -> Resource:
    try:
        # JSON is YAML; the reader's limits hold for both.
        (manifest,) = parse(json.dumps(document, ensure_ascii=False), REQUEST)
    except ManifestError as error:
        raise InvalidError(list(mistakes_of(error))) from None
    resource = manifest.resource
    annotations = document["metadata"].get("annotations") or {}
    if LAST_APPLIED in annotations:
        # Manifests leave it out; kubectl needs it again at its next apply.
        kept = {**resource.metadata.annotations, LAST_APPLIED: str(annotations[LAST_APPLIED])}
        metadata = resource.metadata.model_copy(update={"annotations": kept})
        resource = resource.model_copy(update={"metadata": metadata})
    return resource


def _text(metadata: Mapping[str, Any], key: str) -> str | None:
    value = metadata.get(key)
    return str(value) if value else None


def with_deletion(api: ApiMetadata, before: ApiMetadata | None) -> ApiMetadata:
    """The metadata with the deletion that was requested before: clients cannot take one back."""
    return replace(api, deletion=before.deletion if before else None)
