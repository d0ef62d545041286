"""Answers of create, update, patch and delete: reads the request, calls the use case, and turns errors into a Status."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, cast

from reconciler.api.edit import path_of_field
from reconciler.api.errors import ManifestError, TemporaryError, VaultError
from reconciler.api.kinds import API_VERSION, NAMESPACE, Ref
from reconciler.api.managed import MAX_NAME, FieldConflictError
from reconciler.api.yaml_loader import YamlReader
from reconciler.api.yaml_nodes import MapNode, to_plain
from reconciler.app.cluster.patches import PatchError, json_patch, merge_patch
from reconciler.app.cluster.writing import (
    ConflictError,
    Done,
    ElsewhereError,
    ExistsError,
    GoneError,
    Writer,
)
from reconciler.app.cluster.written import REQUEST, FieldValidation, InvalidError, Mistake, StrictError
from reconciler.web.kube import errors
from reconciler.web.kube.asked import Place
from reconciler.web.kube.errors import ApiError, Cause, bad_request
from reconciler.web.kube.scale import as_scale, with_replicas
from reconciler.web.kube.served import Served

__all__ = [
    "Act",
    "Answer",
    "Asked",
    "Undo",
    "as_status",
    "deletion_options",
    "document_of",
    "gone",
    "is_dry_run_of_deletion",
    "roll_back",
    "write",
]

JSON_PATCH: Final = "application/json-patch+json"
MERGE_PATCH: Final = "application/merge-patch+json"
APPLY_PATCH: Final = "application/apply-patch+yaml"
JSON: Final = "application/json"
YAML: Final = "application/yaml"
DOCUMENTS: Final = (JSON, YAML)
POLICIES: Final = ("Background", "Foreground")
_PATCHES: Final = (JSON_PATCH, MERGE_PATCH, APPLY_PATCH)
_TRIES: Final = 5
MAX_DEPTH: Final = 50
STATUS_IS_OURS: Final = "the status is written by the controller alone: nothing was changed"

Document = Mapping[str, Any]
Undo = Callable[[Ref, int | None], Mapping[str, Any]]
"""The fields to set for a former revision of an object. Raises VaultError."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A write that was asked for. `media_type` is that of the body, without parameters."""

    verb: str
    served: Served
    place: Place
    # It may hold a password.
    body: bytes = field(repr=False)
    media_type: str
    query: Mapping[str, str]
    agent: str = ""

    @property
    def name(self) -> str:
        """The name of the object, empty for a new one."""
        return self.place.name or ""

    @property
    def manager(self) -> str:
        """Who owns the fields that are written: the one that is named, or the client's program."""
        named = self.query.get("fieldManager", "")
        if len(named) > MAX_NAME or not named.isprintable():
            why = f"must be at most {MAX_NAME} printable characters"
            raise errors.invalid("meta.k8s.io", "Options", "", [Cause("fieldManager", why)])
        program = self.agent.partition("/")[0]
        return named or (program if program.isprintable() else "")[:MAX_NAME] or "unknown"

    @property
    def dry_run(self) -> bool:
        """Whether nothing is to be written."""
        value = self.query.get("dryRun", "")
        if value not in ("", "All"):
            raise errors.invalid("meta.k8s.io", "Options", "", [Cause("dryRun", "supported values: All")])
        return value == "All"

    @property
    def validation(self) -> FieldValidation:
        """What is done about unknown fields."""
        value = self.query.get("fieldValidation") or "Warn"
        if value not in ("Strict", "Warn", "Ignore"):
            supported = [Cause("fieldValidation", "supported values: Ignore, Strict, Warn")]
            raise errors.invalid("meta.k8s.io", "Options", "", supported)
        return cast("FieldValidation", value)


@dataclass(frozen=True, slots=True)
class Answer:
    """What is answered: a code, a document and warnings."""

    code: int
    document: Document
    warnings: tuple[str, ...] = ()


Act = Callable[[Asked], Answer]
"""What is done for a write of a resource that is no object of a kind. Raises ApiError and VaultError."""


def write(writer: Writer, asked: Asked) -> Answer:
    """Do it. Raises ApiError."""
    place = asked.place
    if place.namespace != NAMESPACE:
        raise errors.not_found("", "namespaces", place.namespace or "")
    try:
        if place.subresource == "scale":
            return _scale(writer, asked)
        if place.subresource == "status":
            return _status(writer, asked)
        match asked.verb:
            case "create":
                return _create(writer, asked)
            case "update":
                return _answer(_replaced(writer, asked, _update(asked)))
            case "patch" if asked.media_type == APPLY_PATCH:
                return _apply(writer, asked)
            case "patch":
                return _answer(_patched(writer, asked, _patch(asked)))
            case _:
                return _delete(writer, asked)
    except VaultError as error:
        raise as_status(error, asked) from None


def roll_back(writer: Writer, asked: Asked, undo: Undo) -> Answer:
    """Write the values of a former revision: that of `spec.revision` in the body, or of the last complete one before the
    present one. Raises ApiError.
    """
    if asked.place.namespace != NAMESPACE:
        raise errors.not_found("", "namespaces", asked.place.namespace or "")
    spec = document_of(asked).get("spec", {})
    number = spec.get("revision") if isinstance(spec, Mapping) else 0
    if number is not None and (type(number) is not int or number < 1):
        wrong = [Cause("spec.revision", "must be the number of a revision")]
        raise errors.invalid(asked.served.group, "Rollback", asked.name, wrong)
    try:
        if writer.newest(_ref(asked)) is None:
            raise errors.not_found(asked.served.group, asked.served.plural, asked.name)
        fields = _undone(asked, undo, number)
        done = _replaced(writer, asked, lambda document: _with_fields(document, fields))
    except VaultError as error:
        raise as_status(error, asked) from None
    return _answer(done, 201)


def _undone(asked: Asked, undo: Undo, number: int | None) -> Mapping[str, Any]:
    try:
        return undo(_ref(asked), number)
    except TemporaryError:
        raise
    except VaultError as error:
        causes = [Cause("spec.revision", str(error))]
        raise errors.invalid(asked.served.group, asked.served.kind, asked.name, causes) from None


def _with_fields(document: Document, fields: Mapping[str, Any]) -> Document:
    """The document with other values at these dotted names; None removes one."""
    change: dict[str, Any] = {}
    for name, value in fields.items():
        inner = change
        *steps, last = path_of_field(name)
        for step in steps:
            inner = inner.setdefault(step, {})
        inner[last] = value
    changed: Document = merge_patch(document, change)
    return changed


def _kind(served: Served) -> Any:
    assert served.of is not None
    return served.of


def _ref(asked: Asked) -> Ref:
    return Ref(_kind(asked.served), asked.name)


def _answer(done: Done, code: int = 200) -> Answer:
    if done.document is None:
        return Answer(code, errors.status("Success"), done.warnings)
    return Answer(code, done.document, done.warnings)


def _update(asked: Asked) -> Callable[[Document], Document]:
    sent = document_of(asked)

    def change(_: Document) -> Document:
        metadata = sent.get("metadata")
        if not isinstance(metadata, Mapping) or not metadata.get("resourceVersion"):
            raise InvalidError([Mistake("metadata.resourceVersion", "must be specified for an update")])
        return sent

    return change


def _create(writer: Writer, asked: Asked) -> Answer:
    done = writer.create(
        _kind(asked.served), document_of(asked), asked.validation, by=asked.manager, dry_run=asked.dry_run
    )
    return _answer(done, 201)


def _replaced(writer: Writer, asked: Asked, change: Callable[[Document], Document]) -> Done:
    return writer.replace(_ref(asked), change, asked.validation, dry_run=asked.dry_run, by=asked.manager)


def _apply(writer: Writer, asked: Asked) -> Answer:
    """Server-side apply. Tried again, because it fits each version."""
    if not asked.query.get("fieldManager"):
        required = [Cause("fieldManager", "is required for apply patch", "FieldValueRequired")]
        raise errors.invalid("meta.k8s.io", "PatchOptions", "", required)
    config = _applied(asked)
    force = asked.query.get("force", "").lower() in ("1", "t", "true")
    metadata = config.get("metadata")
    for attempt in range(_TRIES):
        try:
            done, is_new = writer.apply(
                _ref(asked), config, asked.validation, by=asked.manager, force=force, dry_run=asked.dry_run
            )
            return _answer(done, 201 if is_new else 200)
        except (ConflictError, ExistsError):
            is_bound = isinstance(metadata, Mapping) and bool(metadata.get("resourceVersion"))
            if is_bound or attempt == _TRIES - 1:
                raise
    raise AssertionError


def _applied(asked: Asked) -> Document:
    """The body of an apply, which may be YAML; JSON is YAML."""
    document = _yaml(asked)
    metadata = document.get("metadata")
    if isinstance(metadata, Mapping) and metadata.get("name", asked.name) != asked.name:
        raise InvalidError([Mistake("metadata.name", f"must be {asked.name}, as in the path of the request")])
    if isinstance(metadata, dict):
        metadata["name"] = asked.name
    return document


def _yaml(asked: Asked) -> Document:
    try:
        reader = YamlReader(asked.body.decode(), REQUEST)
        roots = list(reader.documents())
    except UnicodeDecodeError:
        raise bad_request("the body of the request is not UTF-8 text") from None
    except ManifestError as error:
        said = "; ".join(each.message for each in error.problems)
        raise bad_request(f"the body of the request cannot be read: {said}") from None
    if reader.problems or len(roots) != 1 or not isinstance(roots[0], MapNode):
        said = "; ".join(f"{each.line}:{each.column}: {each.message}" for each in reader.problems)
        raise bad_request(f"the body of the request is not one document in YAML or JSON: {said}".rstrip(": "))
    document: Document = to_plain(roots[0])
    return document


def _patched(writer: Writer, asked: Asked, change: Callable[[Document], Document]) -> Done:
    """A merge patch may name the version that it is for. Others are tried again on the newest one, where a JSON patch whose
    `test` fails is Invalid: clients tell that from a Conflict.
    """
    for _ in range(_TRIES - 1):
        try:
            return _replaced(writer, asked, change)
        except ConflictError:
            if asked.media_type == MERGE_PATCH and _names_version(_loaded(asked)):
                raise
    return _replaced(writer, asked, change)


def _names_version(patch: Any) -> bool:
    metadata = patch.get("metadata")
    return isinstance(metadata, Mapping) and bool(metadata.get("resourceVersion"))


def _patch(asked: Asked) -> Callable[[Document], Document]:
    if asked.media_type not in (JSON_PATCH, MERGE_PATCH):
        raise errors.unsupported_media_type(_PATCHES)
    patch = _loaded(asked)
    if asked.media_type == MERGE_PATCH:
        if not isinstance(patch, dict):
            raise bad_request("the patch is not an object in JSON")
        return lambda document: merge_patch(document, patch)
    return lambda document: _object(json_patch(document, patch))


def _object(document: Any) -> Document:
    if not isinstance(document, dict):
        raise PatchError("the patched document is no object")
    if _is_deeper(document, MAX_DEPTH):
        raise PatchError(f"the patched document is nested deeper than {MAX_DEPTH} levels")
    return document


def _scale(writer: Writer, asked: Asked) -> Answer:
    """`kubectl scale`: the number of replicas alone, in a document of its own."""
    if asked.verb == "update":
        sent = document_of(asked)
        done = _replaced(writer, asked, lambda document: with_replicas(document, sent))
    else:
        patch = _patch(asked)
        done = _patched(writer, asked, lambda document: with_replicas(document, patch(as_scale(document))))
    assert done.document is not None
    return Answer(200, as_scale(done.document), done.warnings)


def _status(writer: Writer, asked: Asked) -> Answer:
    """Operators write what they have done into the status; here it is the controller's, which would take it out again."""
    document = writer.newest(_ref(asked))
    if document is None:
        raise errors.not_found(asked.served.group, asked.served.plural, asked.name)
    return Answer(200, document, (STATUS_IS_OURS,))


def _delete(writer: Writer, asked: Asked) -> Answer:
    options = deletion_options(asked)
    policy = options.get("propagationPolicy") or asked.query.get("propagationPolicy") or POLICIES[0]
    if policy not in POLICIES or options.get("orphanDependents"):
        why = f"supported values: {', '.join(POLICIES)}: what runs goes with its object"
        raise errors.invalid("meta.k8s.io", "DeleteOptions", "", [Cause("propagationPolicy", why)])
    wanted = options.get("preconditions")
    preconditions = wanted if isinstance(wanted, dict) else {}
    done = writer.delete(
        _ref(asked),
        uid=preconditions.get("uid"),
        number=preconditions.get("resourceVersion"),
        dry_run=is_dry_run_of_deletion(asked, options),
    )
    return gone(asked) if done.document is None else Answer(200, done.document)


def gone(asked: Asked) -> Answer:
    """The answer about an object that is deleted."""
    details = {"name": asked.name, "group": asked.served.group, "kind": asked.served.plural}
    return Answer(200, errors.status("Success", details=details))


def deletion_options(asked: Asked) -> Mapping[str, Any]:
    """The DeleteOptions in the body, which may be empty. Raises ApiError."""
    options = _loaded(asked) if asked.body.strip() else {}
    if not isinstance(options, dict):
        raise bad_request("the options of a deletion are not an object in JSON")
    return options


def is_dry_run_of_deletion(asked: Asked, options: Mapping[str, Any]) -> bool:
    """Whether nothing is to be deleted."""
    return asked.dry_run or options.get("dryRun") == ["All"]


def _sent_name(asked: Asked) -> str:
    """The name in the body of a request that creates an object."""
    metadata = document_of(asked).get("metadata")
    name = metadata.get("name") if isinstance(metadata, Mapping) else None
    return name if isinstance(name, str) else ""


def document_of(asked: Asked) -> Document:
    """The body as a document, in JSON unless the client says YAML. Raises ApiError."""
    if asked.media_type not in ("", *DOCUMENTS):
        raise errors.unsupported_media_type(DOCUMENTS)
    document = _yaml(asked) if asked.media_type == YAML else _loaded(asked)
    if not isinstance(document, dict):
        raise bad_request("the body of the request is not an object")
    return document


def _loaded(asked: Asked) -> Any:
    try:
        found = json.loads(asked.body)
        # Half of a surrogate pair is JSON, and no text.
        json.dumps(found, ensure_ascii=False).encode()
    except (ValueError, RecursionError):
        raise bad_request("the body of the request is not JSON") from None
    if _is_deeper(found, MAX_DEPTH):
        raise bad_request(f"the body of the request is nested deeper than {MAX_DEPTH} levels")
    return found


def _is_deeper(value: Any, most: int) -> bool:
    level = [value]
    for _ in range(most):
        inner = [
            each.values() if isinstance(each, dict) else each
            for each in level
            if isinstance(each, dict | list)
        ]
        level = [item for items in inner for item in items]
    return bool(level)


def as_status(error: VaultError, asked: Asked) -> ApiError:
    """The answer that says what is wrong."""
    served, name = asked.served, asked.name or _sent_name(asked)
    match error:
        case InvalidError():
            causes = [Cause(each.field, each.message) for each in error.mistakes]
            return errors.invalid(served.group, served.kind, name, causes)
        case FieldConflictError():
            causes = [
                Cause(field, f'conflict with "{manager}" using {API_VERSION}', "FieldManagerConflict")
                for manager, field in error.conflicts
            ]
            details = {
                "causes": [
                    {"reason": each.reason, "message": each.message, "field": each.field} for each in causes
                ]
            }
            return ApiError(409, "Conflict", str(error), details)
        case PatchError():
            # kubectl prints the causes of what is Invalid, and not its message.
            return errors.invalid(served.group, served.kind, name, [Cause("patch", str(error))])
        case StrictError():
            return bad_request(str(error))
        case ConflictError():
            return errors.conflict(served.group, served.plural, name, str(error))
        case ExistsError():
            return errors.already_exists(served.group, served.plural, name)
        case GoneError():
            return errors.not_found(served.group, served.plural, name)
        case ElsewhereError():
            return errors.forbidden(served.group, served.plural, name, str(error))
        case TemporaryError():
            return ApiError(
                503, "ServiceUnavailable", str(error), {"retryAfterSeconds": 1}, {"Retry-After": "1"}
            )
    return errors.forbidden(served.group, served.plural, name, str(error))
