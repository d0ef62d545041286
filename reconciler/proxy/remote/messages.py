"""What calls and their answers are sent in, and how the two sides agree on a version of the protocol."""

from __future__ import annotations

from functools import cache
from typing import Annotated, Any, Final, Generic, Literal, TypeVar, cast

from pydantic import Field, StringConstraints, TypeAdapter

from reconciler.proxy.remote.calls import AnyCall, Call
from reconciler.proxy.remote.values import Digest, SiteKey, Value

__all__ = ["VERSIONS", "Failure", "Hello", "Reply", "Request", "reply_to"]

VERSIONS: Final = (1,)
"""Of the protocol that this release speaks, the best one last."""

Answer = TypeVar("Answer")


class Request(Value):
    """One call. `id` is used once; `until` is when it is no longer to be begun, by the agent's clock (monotonic seconds).
    `files` is the digest of all files that the site is to have (see files.py), empty where that does not matter.
    """

    id: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{32}$")]
    until: Annotated[float, Field(allow_inf_nan=False)]
    site: SiteKey | None = None
    slot: Annotated[int, Field(ge=0, le=9999)] = 0
    files: Digest | Literal[""] = ""
    call: Annotated[Call, Field(discriminator="do")]


class Failure(Value):
    """Why there is no answer: the HAProxy is `away`, the call `failed`, the request is not `understood` or too `late`, or
    the agent has other `files`.
    """

    kind: Literal["away", "failed", "understood", "late", "files"]
    message: Annotated[str, StringConstraints(max_length=4096)]


class Reply(Value, Generic[Answer]):
    """The answer to the request with this `id`, or why there is none; `now` is the agent's clock."""

    id: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{0,32}$")]
    now: Annotated[float, Field(allow_inf_nan=False)]
    value: Answer | None = None
    failure: Failure | None = None


@cache
def reply_to(call: type[AnyCall]) -> TypeAdapter[Reply[Any]]:
    """Reads the reply to a call of this type."""
    return TypeAdapter(cast(type[Reply[Any]], Reply.__class_getitem__(call.answer)))


class Hello(Value):
    """What an agent says first: the versions of this protocol that it speaks, its node and its clock."""

    versions: Annotated[tuple[int, ...], Field(min_length=1, max_length=32)]
    node: Annotated[str, StringConstraints(pattern=r"^[a-z0-9-]{1,63}$")]
    now: Annotated[float, Field(allow_inf_nan=False)]
