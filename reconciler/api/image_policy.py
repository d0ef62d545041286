"""Which image of a registry a workload is to run: `spec.imagePolicy`.

The controller writes its choice into `spec.images` of the manifest, where a person would write it. So a manifest always
says what runs, and a policy makes no revision by itself.
"""

from __future__ import annotations

import re
from functools import cached_property
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, Field, Strict, WithJsonSchema, field_validator, model_validator
from pydantic_core import PydanticCustomError

from reconciler.api.formats import TextFormat, WorkloadName
from reconciler.api.image_version import Range, RangeError, read_range
from reconciler.api.model import ApiModel
from reconciler.api.quantities import Duration

__all__ = ["ImagePolicy"]

MIN_INTERVAL: Final = 10.0
MAX_INTERVAL: Final = 86400.0
LONGEST: Final = 200

LONGEST_KEY: Final = 4096
"""Characters; an RSA key of 8192 bits has 1,500."""

_PUBLIC_KEY: Final = re.compile(r"-----BEGIN PUBLIC KEY-----\s+[A-Za-z0-9+/=\s]+-----END PUBLIC KEY-----")
_PATTERN: Final = re.compile(r'semver\s+(?:"(?P<quoted>[^"]*)"|(?P<plain>[^"]+))')


def _read(text: str) -> Range:
    found = _PATTERN.fullmatch(text)
    if found is None or len(text) > LONGEST:
        raise PydanticCustomError(
            "image_pattern", 'must be semver and a range of versions, such as: semver ">=1.4 <2"'
        )
    try:
        return read_range(found["quoted"] if found["quoted"] is not None else found["plain"])
    except RangeError as error:
        # It quotes a word of a range, which is no secret.
        raise PydanticCustomError("image_pattern", "{reason}", {"reason": str(error)}) from None


def _checked(text: str) -> str:
    _read(text)
    return text


Pattern = Annotated[
    str,
    AfterValidator(_checked),
    WithJsonSchema({"type": "string", "pattern": "^semver ", "maxLength": LONGEST}),
]


def _is_public(text: str) -> str:
    if not _PUBLIC_KEY.fullmatch(text.strip()):
        raise PydanticCustomError(
            "public_key",
            "must be a public key in PEM: the content of cosign.pub, or what `cosign public-key --key cosign.key` prints",
        )
    return text


PublicKey = Annotated[
    str,
    Field(max_length=LONGEST_KEY),
    AfterValidator(_is_public),
    WithJsonSchema(
        {"type": "string", "pattern": "^\\s*-----BEGIN PUBLIC KEY-----", "maxLength": LONGEST_KEY}
    ),
]


class ImagePolicy(ApiModel):
    """Which tags of its registry a workload follows."""

    workload: WorkloadName = Field(
        description="The workload whose image is updated in spec.images; its registry and repository stay."
    )
    pattern: Pattern = Field(
        description=(
            'The versions that may run: semver and a range, such as semver ">=1.4 <2", semver "^1.4" or semver "1.4.x". '
            "The highest one is taken; pre-releases only if the range names one."
        )
    )
    variant: Annotated[
        str, TextFormat(r"(?:-[A-Za-z0-9_.-]{1,60})?", 61, "the end of a tag, such as -alpine")
    ] = Field(default="", description="What tags have after the version, such as -alpine. Unset: nothing.")
    min_age: Duration = Field(
        default=0.0,
        description="How long the controller has to have seen a tag before it is taken. Unset: it is taken at once.",
    )
    digest: Literal["pin", "follow", "none"] = Field(
        default="pin",
        description=(
            "pin: write the digest beside the tag, and only tell when the content of a tag has moved. follow: also write "
            "the new digest then. none: write the tag alone."
        ),
    )
    signed_by: Annotated[tuple[PublicKey, ...], Strict(False)] = Field(
        default=(),
        max_length=8,
        description=(
            "Public keys in PEM, as cosign writes them into cosign.pub. With them an image is taken only if cosign has "
            "signed its digest with one of the keys. Unset: signatures are not looked at."
        ),
    )
    interval: Duration = Field(default=300.0, description="How often the registry is asked, from 10s to 1d.")

    @field_validator("interval")
    @classmethod
    def _sensible(cls, seconds: float) -> float:
        if not MIN_INTERVAL <= seconds <= MAX_INTERVAL:
            raise ValueError("must be between 10s and 1d")
        return seconds

    @model_validator(mode="after")
    def _signs_what_runs(self) -> ImagePolicy:
        if self.signed_by and self.digest == "none":
            raise PydanticCustomError(
                "image_signature",
                "signedBy needs digest: pin or follow, because a signature is one of a digest",
            )
        return self

    @cached_property
    def range(self) -> Range:
        """The versions that may run."""
        return _read(self.pattern)
