"""Errors as Kubernetes clients expect them: a `Status`, whose `reason` decides what the client does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

__all__ = [
    "INTERNAL_ERROR",
    "ApiError",
    "Cause",
    "already_exists",
    "bad_request",
    "conflict",
    "expired",
    "forbidden",
    "invalid",
    "method_not_allowed",
    "not_found",
    "status",
    "unauthorized",
    "unknown_path",
    "unsupported_media_type",
]

INTERNAL_ERROR: Final = "InternalError"
"""The reason of a Status about a defect."""


@dataclass(frozen=True, slots=True)
class Cause:
    """One mistake in a document: the field's path, the reason and a sentence."""

    field: str
    message: str
    reason: str = "FieldValueInvalid"


class ApiError(Exception):
    """An answer that is no success. `details` names the object; `headers` go with the answer."""

    def __init__(
        self,
        code: int,
        reason: str,
        message: str,
        details: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.reason = reason
        self.message = message
        self.details = details
        self.headers = headers or {}

    def document(self) -> dict[str, Any]:
        """The Status."""
        return status("Failure", self.message, self.reason, self.code, self.details)


def status(
    outcome: str,
    message: str = "",
    reason: str = "",
    code: int = 200,
    details: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """A Status document; empty fields are left out."""
    document: dict[str, Any] = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": outcome}
    document |= {"message": message} if message else {}
    document |= {"reason": reason} if reason else {}
    document |= {"details": dict(details)} if details else {}
    return {**document, "code": code}


def _details(group: str, resource: str, name: str = "") -> dict[str, Any]:
    found = {"name": name, "group": group, "kind": resource}
    return {key: value for key, value in found.items() if value}


def _qualified(group: str, resource: str) -> str:
    return f"{resource}.{group}" if group else resource


def not_found(group: str, resource: str, name: str) -> ApiError:
    """There is no such object."""
    message = f'{_qualified(group, resource)} "{name}" not found'
    return ApiError(404, "NotFound", message, _details(group, resource, name))


_UNKNOWN: Final = "the server could not find the requested resource"


def unknown_path() -> ApiError:
    """Nothing is served there."""
    return ApiError(404, "NotFound", _UNKNOWN, {})


def already_exists(group: str, resource: str, name: str) -> ApiError:
    """An object of that name is there."""
    message = f'{_qualified(group, resource)} "{name}" already exists'
    return ApiError(409, "AlreadyExists", message, _details(group, resource, name))


def conflict(group: str, resource: str, name: str, why: str, causes: Sequence[Cause] = ()) -> ApiError:
    """The object is not what the client takes it for."""
    message = f'Operation cannot be fulfilled on {_qualified(group, resource)} "{name}": {why}'
    return ApiError(409, "Conflict", message, _with_causes(_details(group, resource, name), causes))


def invalid(group: str, kind: str, name: str, causes: Sequence[Cause]) -> ApiError:
    """A document breaks rules; every one is named."""
    said = [f"{each.field}: {each.message}" if each.field else each.message for each in causes]
    listed = said[0] if len(said) == 1 else f"[{', '.join(said)}]"
    message = f'{_qualified(group, kind)} "{name}" is invalid: {listed}'
    return ApiError(422, "Invalid", message, _with_causes(_details(group, kind, name), causes))


def _with_causes(details: dict[str, Any], causes: Sequence[Cause]) -> dict[str, Any]:
    if causes:
        details["causes"] = [
            {"reason": each.reason, "message": each.message, "field": each.field} for each in causes
        ]
    return details


def bad_request(message: str) -> ApiError:
    """The request cannot be understood."""
    return ApiError(400, "BadRequest", message)


def unauthorized() -> ApiError:
    """The client has not said who it is."""
    return ApiError(401, "Unauthorized", "Unauthorized", headers={"WWW-Authenticate": "Bearer"})


def forbidden(group: str, resource: str, name: str, why: str) -> ApiError:
    """The client is known and may not do that."""
    of = f' "{name}"' if name else ""
    message = f"{_qualified(group, resource)}{of} is forbidden: {why}"
    return ApiError(403, "Forbidden", message, _details(group, resource, name))


def expired(message: str) -> ApiError:
    """What the client wants to go on from is no longer known: it has to list again."""
    return ApiError(410, "Expired", message)


def method_not_allowed() -> ApiError:
    """The resource is there and does not know the verb."""
    message = "the server does not allow this method on the requested resource"
    return ApiError(405, "MethodNotAllowed", message, {})


def unsupported_media_type(accepted: Sequence[str]) -> ApiError:
    """The body is in another format."""
    message = f"the body of the request was in an unknown format - accepted media types include: {', '.join(accepted)}"
    return ApiError(415, "UnsupportedMediaType", message)
