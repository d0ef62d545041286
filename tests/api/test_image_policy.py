"""`spec.imagePolicy`: the keys of signatures, and what goes with them."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from reconciler.api.image_policy import ImagePolicy

KEY = "-----BEGIN PUBLIC KEY-----\nMFkwEwYHKoZIzj0CAQY=\n-----END PUBLIC KEY-----\n"
POLICY: dict[str, Any] = {"workload": "web", "pattern": 'semver "^1"'}


def read(**more: Any) -> ImagePolicy:
    return ImagePolicy.model_validate(POLICY | more)


def test_keys_are_kept_as_they_are_written() -> None:
    assert read().signed_by == ()
    assert read(signedBy=[KEY, f"\n{KEY}"]).signed_by == (KEY, f"\n{KEY}")


@pytest.mark.parametrize(
    "key",
    [
        "",
        "cosign.pub",
        KEY.replace("PUBLIC", "PRIVATE"),
        KEY.replace("PUBLIC", "ENCRYPTED COSIGN PRIVATE"),
        KEY + KEY,
        KEY.replace("MFk", "M$k"),
        KEY.replace("MFk", "A" * 5000),
    ],
)
def test_what_is_no_public_key_is_refused(key: str) -> None:
    with pytest.raises(ValidationError):
        read(signedBy=[key])


def test_there_are_eight_keys_at_most() -> None:
    read(signedBy=[KEY] * 8)
    with pytest.raises(ValidationError):
        read(signedBy=[KEY] * 9)


def test_a_signature_needs_a_digest() -> None:
    read(signedBy=[KEY], digest="follow")
    read(digest="none")
    with pytest.raises(ValidationError, match="signedBy needs digest: pin or follow"):
        read(signedBy=[KEY], digest="none")
