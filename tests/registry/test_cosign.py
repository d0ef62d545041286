"""Signatures of images: made here as cosign makes them, and asked for at a registry that may lie about them."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Protocol

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa, x25519
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from reconciler.api import PermanentError
from reconciler.registry import RegistryError
from reconciler.registry.cosign import ANNOTATION, KIND, LAYER, MOST, holds, layers_of
from reconciler.registry.credentials import Login
from tests.registry.server import Asked, Said, serving
from tests.registry.test_client import BASIC, SECRET, Scene, scene

DIGEST = "sha256:" + "a" * 64
PLACE = "/v2/team/app/manifests/sha256-" + "a" * 64 + ".sig"


class HasPublicKey(Protocol):
    """A private key."""

    def public_key(self) -> Any:
        """The key that checks what this one has signed."""


def pem(key: HasPublicKey) -> str:
    encoded = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return str(encoded.decode())


OURS = ec.generate_private_key(ec.SECP256R1())
THEIRS = ec.generate_private_key(ec.SECP256R1())
RSA = rsa.generate_private_key(65537, 2048)
EDWARDS = ed25519.Ed25519PrivateKey.generate()


def text_about(digest: str = DIGEST, kind: str = KIND) -> bytes:
    critical = {
        "identity": {"docker-reference": "r.test/x"},
        "image": {"docker-manifest-digest": digest},
        "type": kind,
    }
    return json.dumps({"critical": critical, "optional": None}).encode()


def signed(text: bytes, key: ec.EllipticCurvePrivateKey = OURS) -> bytes:
    return key.sign(text, ec.ECDSA(SHA256()))


def layer(text: bytes, signature: bytes, **other: Any) -> dict[str, Any]:
    digest = f"sha256:{hashlib.sha256(text).hexdigest()}"
    annotations = {ANNOTATION: base64.b64encode(signature).decode()}
    return {"mediaType": LAYER, "digest": digest, "size": len(text), "annotations": annotations, **other}


def manifest(*layers: object) -> bytes:
    return json.dumps({"schemaVersion": 2, "layers": layers}).encode()


# One signature


@pytest.mark.parametrize(
    ("key", "signature"),
    [
        (OURS, signed(text_about())),
        (RSA, RSA.sign(text_about(), padding.PKCS1v15(), SHA256())),
        (EDWARDS, EDWARDS.sign(text_about())),
    ],
    ids=["ecdsa", "rsa", "ed25519"],
)
def test_a_signature_of_each_kind_holds_and_only_for_its_key_text_and_digest(
    key: HasPublicKey, signature: bytes
) -> None:
    text = text_about()
    assert holds(text, signature, [pem(key)], DIGEST)
    assert holds(text, signature, [pem(THEIRS), pem(key)], DIGEST)
    assert not holds(text, signature, [pem(THEIRS)], DIGEST)
    assert not holds(text, signature, [], DIGEST)
    assert not holds(text, signature, [pem(key)], "sha256:" + "b" * 64)
    assert not holds(text + b" ", signature, [pem(key)], DIGEST)


@pytest.mark.parametrize(
    "text",
    [b"", b"[]", b"{", b"\xff", b'{"critical": 5}', b'{"critical": {"image": []}}', text_about(kind="other")],
)
def test_a_text_of_another_kind_is_no_signature_of_an_image(text: bytes) -> None:
    assert not holds(text, signed(text), [pem(OURS)], DIGEST)


@pytest.mark.parametrize(
    ("key", "why"),
    [
        ("-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n", r"\[1\] is no public key in PEM"),
        (pem(x25519.X25519PrivateKey.generate()), r"\[1\] is a key of a kind that cosign does not sign with"),
    ],
)
def test_what_is_no_key_is_named(key: str, why: str) -> None:
    with pytest.raises(PermanentError, match=rf"^spec\.imagePolicy\.signedBy{why}"):
        holds(text_about(), b"", [pem(OURS), key], DIGEST)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b'{"layers": 5}',
        manifest(5),
        manifest({"mediaType": LAYER, "digest": "x"}),
        manifest(layer(b"", b"", annotations={ANNOTATION: "no base64!"})),
        manifest(layer(b"", b"", annotations=None)),
        manifest(layer(b"", b"", digest="../../other/blobs/x")),
        manifest(layer(b"", b"", mediaType="application/json")),
        b"[" * 100_000,
    ],
)
def test_a_manifest_without_signatures_has_none(body: bytes) -> None:
    assert layers_of(body) == ()


def test_what_is_no_signature_hides_none_that_follows() -> None:
    text = text_about()
    others = (layer(b"", b"", annotations=None), layer(b"", b"", annotations={}), 5)
    (found,) = layers_of(manifest(*others, layer(text, signed(text))))
    assert found.digest == f"sha256:{hashlib.sha256(text).hexdigest()}"


def test_a_manifest_without_an_end_costs_a_bounded_number_of_requests() -> None:
    assert len(layers_of(manifest(*[layer(b"", b"")] * 1000))) == MOST


# In a registry


def answering(body: bytes, blob: Callable[[Asked], Said]) -> Callable[[Asked], Said]:
    return lambda asked: Said(body=body) if asked.path == PLACE else blob(asked)


def asked_of(on: Scene) -> bool:
    return on.client.is_signed(replace(on.image, digest=DIGEST), [pem(OURS)])


def test_a_signature_is_found_beside_the_image() -> None:
    text = text_about()
    layers = (layer(b"other", signed(b"other", THEIRS)), layer(text, signed(text)))
    blobs = {each["digest"]: content for each, content in zip(layers, (b"other", text), strict=True)}
    say = answering(manifest(*layers), lambda asked: Said(body=blobs[asked.path.rpartition("/")[2]]))
    with scene(say) as on:
        assert asked_of(on)
        assert on.server.lines == [
            f"GET {PLACE}",
            *(f"GET /v2/team/app/blobs/{each['digest']}" for each in layers),
        ]


def test_an_image_without_signatures_is_not_signed_and_the_registry_goes_on_being_asked() -> None:
    with scene(lambda asked: Said(404)) as on:
        assert not asked_of(on)
        assert not asked_of(on)
        assert len(on.server.asked) == 2


def test_a_text_with_another_digest_is_an_error() -> None:
    text = text_about()
    say = answering(manifest(layer(text, signed(text))), lambda asked: Said(body=text + b" "))
    with scene(say) as on, pytest.raises(RegistryError, match="did not give the signature that it names"):
        asked_of(on)


def test_a_place_without_tls_is_not_asked() -> None:
    text = text_about()
    with serving(lambda asked: Said(body=text)) as elsewhere:
        say = answering(
            manifest(layer(text, signed(text))),
            lambda asked: Said(307, {"Location": f"http://{elsewhere.host}/x"}),
        )
        with scene(say) as on, pytest.raises(RegistryError, match="at a place without TLS"):
            asked_of(on)
        assert elsewhere.asked == []


def test_a_text_may_be_at_another_place_where_no_credentials_go() -> None:
    text = text_about()

    def blob(asked: Asked) -> Said:
        return Said(body=text) if asked.path == "/x" else Said(307, {"Location": "/x"})

    known = answering(manifest(layer(text, signed(text))), blob)

    def say(asked: Asked) -> Said:
        if asked.path != "/x" and asked.headers.get("authorization") != BASIC:
            return Said(401, {"WWW-Authenticate": 'Basic realm="x"'})
        return known(asked)

    with scene(say) as on:
        on.known.logins["x"] = Login("anna", SECRET)
        assert asked_of(on)
        assert on.server.asked[-1].path == "/x"
        assert "authorization" not in on.server.asked[-1].headers


def test_other_answers_are_no_redirects() -> None:
    with (
        scene(lambda asked: Said(307, {"Location": "/x"})) as on,
        pytest.raises(RegistryError, match="answers 307"),
    ):
        asked_of(on)
