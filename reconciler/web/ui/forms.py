"""Reads forms and addresses: what a browser sends, within bounds."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final
from urllib.parse import parse_qsl

from starlette.requests import Request

__all__ = ["MAX_FORM", "FormError", "local_path", "read_form"]

MAX_FORM: Final = 64 * 1024
MAX_FIELDS: Final = 64
_TYPE: Final = "application/x-www-form-urlencoded"
_LOCAL: Final = re.compile(r"/(?:[A-Za-z0-9._~%?&=+:@,!-][A-Za-z0-9._~%?&=+:@,!/-]*)?")


class FormError(Exception):
    """What was sent is no form of the page."""


async def read_form(request: Request) -> Mapping[str, str]:
    """The fields of a form. Raises FormError; one that comes twice counts once, the first."""
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != _TYPE:
        raise FormError("the form is not one of this page")
    body = await request.body()
    if len(body) > MAX_FORM:
        raise FormError(f"the form has more than {MAX_FORM // 1024} KiB")
    try:
        pairs = parse_qsl(
            body.decode("ascii"),
            keep_blank_values=True,
            strict_parsing=bool(body),
            errors="strict",
            max_num_fields=MAX_FIELDS,
        )
    except (ValueError, UnicodeDecodeError):
        raise FormError("the form cannot be read") from None
    return dict(reversed(pairs))


def local_path(text: str) -> str:
    """An address of this page to go to; the first page for one that could lead anywhere else."""
    return text if _LOCAL.fullmatch(text) else "/"
