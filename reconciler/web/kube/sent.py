"""The `spec` of a document that asks for something and is stored nowhere, read by a model."""

from __future__ import annotations

from typing import Any, TypeVar

from pydantic import ValidationError

from reconciler.api.model import ApiModel
from reconciler.web.kube.errors import Cause, invalid
from reconciler.web.kube.writes import Asked, document_of

__all__ = ["Sent", "sent"]


class Sent(ApiModel):
    """A spec, here without any field."""


Model = TypeVar("Model", bound=Sent)


def sent(asked: Asked, model: type[Model]) -> Model:
    """What a client has sent. Raises ApiError, whose text has no value that was sent: one may be a password."""
    spec: Any = document_of(asked).get("spec", {})
    try:
        return model.model_validate(spec)
    except ValidationError as error:
        causes = [
            Cause(".".join(map(str, ("spec", *each["loc"]))), each["msg"])
            for each in error.errors(include_input=False, include_url=False, include_context=False)
        ]
        raise invalid(asked.served.group, asked.served.kind, asked.name, causes) from None
