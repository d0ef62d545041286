"""Reads the two questions that kubectl asks in Protobuf only: `kubectl auth whoami` and `can-i`. Answers are JSON.

Kubernetes puts a message into an envelope: the bytes `k8s\\0`, then a message with the kind (field 1) and the content
(field 2).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

__all__ = ["MEDIA_TYPE", "ProtobufError", "read_review"]

MEDIA_TYPE: Final = "application/vnd.kubernetes.protobuf"
_MAGIC: Final = b"k8s\x00"
_VARINT, _BYTES = 0, 2
_MAX_SHIFT: Final = 63
_RESOURCE: Final = {
    1: "namespace",
    2: "verb",
    3: "group",
    4: "version",
    5: "resource",
    6: "subresource",
    7: "name",
}
_PATH: Final = {1: "path", 2: "verb"}

Fields = Mapping[int, bytes]


class ProtobufError(ValueError):
    """The bytes are no such message."""


def read_review(kind: str, body: bytes) -> dict[str, Any]:
    """A SelfSubjectReview, SelfSubjectAccessReview or SelfSubjectRulesReview as its JSON form. Raises ProtobufError."""
    if not body.startswith(_MAGIC):
        raise ProtobufError("not a message of Kubernetes")
    content = _fields(_fields(body[len(_MAGIC) :]).get(2, b""))
    document: dict[str, Any] = {"spec": {}}
    if kind != "SelfSubjectAccessReview":
        return document
    spec = _fields(content.get(2, b""))
    for number, name, fields in ((1, "resourceAttributes", _RESOURCE), (2, "nonResourceAttributes", _PATH)):
        if number in spec:
            found = _fields(spec[number])
            document["spec"][name] = {
                fields[each]: value.decode(errors="replace")
                for each, value in found.items()
                if each in fields
            }
    return document


def _fields(message: bytes) -> Fields:
    """The length-delimited fields of a message; the last one of a number counts."""
    found: dict[int, bytes] = {}
    at = 0
    while at < len(message):
        tag, at = _varint(message, at)
        kind = tag & 7
        if kind not in (_VARINT, _BYTES):
            raise ProtobufError("a type of field that these messages do not have")
        value, at = _varint(message, at)
        if kind == _BYTES:
            if at + value > len(message):
                raise ProtobufError("a field is longer than its message")
            found[tag >> 3] = message[at : at + value]
            at += value
    return found


def _varint(message: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while at < len(message) and shift <= _MAX_SHIFT:
        byte = message[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if not byte & 0x80:
            return value, at
    raise ProtobufError("a number has no end")
