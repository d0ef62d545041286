"""Signatures of images as `cosign sign --key` makes them: which there are in a registry's answer, and whether one holds.

A signature is an image of its own, beside the signed one, at the tag `sha256-DIGEST.sig`. Each of its layers is a text that
names the digest of the signed image; an annotation of the layer has the signature of that text.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final

from reconciler.api.errors import PermanentError

__all__ = ["MANIFEST", "SignedLayer", "holds", "layers_of", "tag_of"]

MANIFEST: Final = "application/vnd.oci.image.manifest.v1+json"
LAYER: Final = "application/vnd.dev.cosign.simplesigning.v1+json"
ANNOTATION: Final = "dev.cosignproject.cosign/signature"
KIND: Final = "cosign container image signature"
MOST: Final = 32
"""Signatures of one image that are looked at."""

_DIGEST: Final = re.compile(r"sha256:[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class SignedLayer:
    """The `digest` of the text that is signed, and its `signature`."""

    digest: str
    signature: bytes


def tag_of(digest: str) -> str:
    """The tag at which the signatures of an image are."""
    return f"{digest.replace(':', '-', 1)}.sig"


def layers_of(manifest: bytes) -> tuple[SignedLayer, ...]:
    """The signatures that a manifest names; what is none is left out."""
    try:
        layers = json.loads(manifest)["layers"]
    except (ValueError, LookupError, TypeError, RecursionError):
        return ()
    found = map(_signed, layers if isinstance(layers, list) else ())
    return tuple(islice((layer for layer in found if layer is not None), MOST))


def _signed(layer: Any) -> SignedLayer | None:
    try:
        digest = layer["digest"]
        if layer["mediaType"] != LAYER or not isinstance(digest, str) or not _DIGEST.fullmatch(digest):
            return None
        return SignedLayer(digest, base64.b64decode(layer["annotations"][ANNOTATION], validate=True))
    except (ValueError, LookupError, TypeError, binascii.Error):
        return None


def holds(text: bytes, signature: bytes, keys: Sequence[str], digest: str) -> bool:
    """Whether a text is about the image of this digest, and was signed by one of these public keys (PEM). Raises
    PermanentError for what is no such key.
    """
    try:
        critical = json.loads(text)["critical"]
        is_about_it = critical["type"] == KIND and critical["image"]["docker-manifest-digest"] == digest
    except (ValueError, LookupError, TypeError, RecursionError):
        return False
    return any(_verifies(text, signature, key, number) for number, key in enumerate(keys)) and is_about_it


def _verifies(text: bytes, signature: bytes, key: str, number: int) -> bool:
    # Late: only policies with keys need it.
    from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    try:
        public = load_pem_public_key(key.encode())
    except (ValueError, UnsupportedAlgorithm):
        raise PermanentError(
            f"spec.imagePolicy.signedBy[{number}] is no public key in PEM; `cosign public-key --key cosign.key` prints it"
        ) from None
    try:
        match public:
            case ec.EllipticCurvePublicKey():
                public.verify(signature, text, ec.ECDSA(SHA256()))
            case rsa.RSAPublicKey():
                public.verify(signature, text, padding.PKCS1v15(), SHA256())
            case ed25519.Ed25519PublicKey():
                public.verify(signature, text)
            case _:
                raise PermanentError(
                    f"spec.imagePolicy.signedBy[{number}] is a key of a kind that cosign does not sign with"
                )
    except InvalidSignature:
        return False
    return True
