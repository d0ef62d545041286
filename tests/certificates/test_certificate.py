"""Certificates read from PEM: what they say, and a clear error for each file that cannot be used."""

from __future__ import annotations

from datetime import timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, PrivateFormat
from hypothesis import given
from hypothesis import strategies as st

from reconciler.certificates.certificate import check_time, covers, read_bundle, uncovered
from reconciler.certificates.errors import CertificateError, Why
from reconciler.certificates.self_signed import self_signed
from tests.certificates.authority import LIFE, SIGNER, START, ec_key, key_pem, made

CHAIN, KEY = made("app.example.org", "*.example.org")
OTHER = key_pem(ec_key())
SHORT = key_pem(rsa.generate_private_key(65537, 1024))
_secret = ec_key()
ENCRYPTED = _secret.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"hunter2"))


def test_a_certificate_says_its_names_time_and_issuer() -> None:
    read = read_bundle(CHAIN, KEY, "chain.pem")
    certificate = read.certificate

    assert certificate.names == {"app.example.org", "*.example.org"}
    assert (certificate.not_before, certificate.not_after) == (START, START + LIFE)
    assert certificate.issuer == "CN=intermediate"
    assert len(certificate.fingerprints) == 2
    assert not certificate.self_signed
    assert certificate.renewal_id.count(".") == 1
    assert read_bundle(read.pem.encode(), read.pem.encode(), "both.pem") == read


def test_what_stands_beside_certificates_is_left_out() -> None:
    noisy = b"Bag Attributes\n\n  localKeyID: 01\n\n" + CHAIN.replace(
        b"\n-----BEGIN", b"\n\n# next\n\n-----BEGIN"
    )
    assert read_bundle(noisy, KEY, "x").pem == read_bundle(CHAIN, KEY, "x").pem
    assert "\n\n" not in read_bundle(noisy, b"\n\n" + KEY, "x").pem


def test_no_representation_shows_a_key() -> None:
    read = read_bundle(CHAIN, KEY, "x")
    secret = KEY.decode().splitlines()[1]
    assert secret in read.pem
    assert secret not in repr(read)


@pytest.mark.parametrize(
    ("chain", "key", "why", "message"),
    [
        (b"", KEY, Why.UNREADABLE, "chain.pem: is not a certificate in PEM"),
        (b"root:x:0:0:secret", KEY, Why.UNREADABLE, "chain.pem: is not a certificate in PEM"),
        (CHAIN, b"", Why.UNREADABLE, "key.pem: is not a private key in PEM"),
        (CHAIN, CHAIN, Why.UNREADABLE, "key.pem: is not a private key in PEM"),
        (CHAIN, ENCRYPTED, Why.UNREADABLE, "key.pem: the private key is encrypted; write it without a passphrase"),
        (CHAIN, OTHER, Why.KEY_DIFFERS, "key.pem: the key does not fit the certificate in chain.pem; name the key"),
        (CHAIN, SHORT, Why.WEAK_KEY, "key.pem: an RSA key of 1024 bits is too weak"),
        (
            SIGNER.own() + CHAIN.split(SIGNER.own())[0],
            KEY,
            Why.UNREADABLE,
            "chain.pem: the chain is in the wrong order; write the certificate of the key first",
        ),
        (
            CHAIN.split(SIGNER.own())[0] * 2 + SIGNER.own(),
            KEY,
            Why.UNREADABLE,
            "chain.pem: the chain is in the wrong order; after the certificate",
        ),
        (CHAIN + SIGNER.own() * 30, KEY, Why.TOO_LARGE, "and HAProxy takes 12288; remove root certificates"),
    ],
)  # fmt: skip
def test_a_file_that_cannot_be_used_says_what_to_do(chain: bytes, key: bytes, why: Why, message: str) -> None:
    with pytest.raises(CertificateError) as caught:
        read_bundle(chain, key, "chain.pem", "key.pem")

    assert caught.value.why is why
    assert message in caught.value.message
    assert "secret" not in caught.value.message


def test_a_certificate_that_has_ended_or_is_not_valid_yet_is_told() -> None:
    certificate = read_bundle(CHAIN, KEY, "x").certificate
    check_time(certificate, START, "chain.pem")
    with pytest.raises(
        CertificateError, match=r"chain.pem: the certificate ended on 2026-07-30 12:00 UTC; put"
    ):
        check_time(certificate, START + LIFE, "chain.pem")
    with pytest.raises(CertificateError, match="is not valid before 2026-05-01 12:00 UTC; check the clock"):
        check_time(certificate, START - timedelta(seconds=1), "chain.pem")


@pytest.mark.parametrize(
    ("host", "is_covered"),
    [
        ("app.example.org", True),
        ("other.example.org", True),
        ("*.example.org", True),
        ("example.org", False),
        ("a.b.example.org", False),
        ("*.b.example.org", False),
        ("org", False),
    ],
)
def test_a_star_stands_for_one_label(host: str, is_covered: bool) -> None:
    assert covers(["app.example.org", "*.example.org"], host) is is_covered
    certificate = read_bundle(CHAIN, KEY, "x").certificate
    assert uncovered(certificate, [host]) == (() if is_covered else (host,))


def test_a_self_signed_certificate_is_its_own_issuer() -> None:
    made_here = self_signed(["app.test", "*.app.test"], START)
    assert made_here.certificate.self_signed
    assert made_here.certificate.names == {"app.test", "*.app.test"}
    assert made_here.certificate.not_before < START < made_here.certificate.not_after
    assert made_here.certificate.renewal_id == ""


@given(
    st.one_of(
        st.binary(max_size=400),
        st.tuples(st.integers(0, len(CHAIN) - 1), st.binary(max_size=8)).map(
            lambda cut: CHAIN[: cut[0]] + cut[1] + CHAIN[cut[0] + len(cut[1]) :]
        ),
        st.tuples(st.integers(0, len(CHAIN)), st.integers(0, len(CHAIN))).map(
            lambda cut: CHAIN[cut[0] : cut[1]]
        ),
    ),
    st.one_of(
        st.just(KEY),
        st.binary(max_size=200),
        st.integers(0, len(KEY)).map(lambda cut: KEY[:cut]),
    ),
)
def test_any_content_is_a_bundle_or_an_error_that_quotes_nothing(chain: bytes, key: bytes) -> None:
    read, message = None, ""
    try:
        read = read_bundle(chain, key, "chain.pem", "key.pem")
    except CertificateError as error:
        message = error.message
    if read is None:
        assert message.startswith(("chain.pem: ", "key.pem: "))
        assert message.isprintable()
    else:
        assert read.certificate.names
        assert all(line and line.isascii() and line.isprintable() for line in read.pem.splitlines())
