"""A certificate names a user and groups; one of this state directory is good for as long as its row is there."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from reconciler.certificates.serving import ensure, issue_client
from reconciler.store.tokens import Tokens
from reconciler.web.kube.clients.certificates import check_authorities, client_with
from reconciler.web.kube.clients.client import Client, RefusedError
from reconciler.web.kube.clients.grants import Grants, parse_grant
from tests.web.kube.issuer import Pair, authority, client

NOW = datetime.now(UTC)
AUTHORITY = authority()
GRANTS = Grants((parse_grant("edit=group:deployers"), parse_grant("admin=user:root")))


@pytest.fixture
def tokens(tmp_path: Path) -> Tokens:
    return Tokens(tmp_path, lambda: NOW)


def read(shown: Pair | bytes, tokens: Tokens, now: datetime = NOW) -> Client:
    return client_with(shown if isinstance(shown, bytes) else shown.der, tokens, GRANTS, now)


def test_the_common_name_is_the_user_and_organisations_are_groups(tokens: Tokens) -> None:
    shown = client(AUTHORITY, "anna", groups=("deployers", "staff"))
    found = read(shown, tokens)
    assert (found.user, found.groups) == ("anna", ("deployers", "staff", "system:authenticated"))
    assert (found.role, found.way) == ("edit", "certificate")
    assert found.credential == f"{shown.certificate.serial_number:x}"
    assert found.until == shown.certificate.not_valid_after_utc


@pytest.mark.parametrize(
    ("shown", "role"),
    [
        (client(AUTHORITY, "root"), "admin"),
        (client(AUTHORITY, "anna"), None),
        (client(AUTHORITY, "deployers"), None),
        (client(AUTHORITY, "anna", groups=("system:masters",)), None),
    ],
)
def test_the_role_is_what_was_granted(shown: Pair, role: str | None, tokens: Tokens) -> None:
    assert read(shown, tokens).role == role


@pytest.mark.parametrize(
    ("shown", "says"),
    [
        (client(AUTHORITY, "anna", life=timedelta(hours=-1)), "is valid from"),
        (client(AUTHORITY), "0 common names"),
        (client(AUTHORITY, "anna", "root"), "2 common names"),
        (client(AUTHORITY, "system:admin"), "reserved"),
        (client(AUTHORITY, "vault:admin"), "reserved"),
        (client(AUTHORITY, "root", groups=("vault:admin",)), "was revoked"),
        (client(AUTHORITY, "a\nb"), "printable"),
        (b"", "cannot be read"),
        (b"\x30\x03\x02\x01\x01", "cannot be read"),
        (AUTHORITY.der[:-5], "cannot be read"),
        (b"x" * 17000, "more than 16 KiB"),
    ],
)
def test_what_names_no_user_is_refused(shown: Pair | bytes, says: str, tokens: Tokens) -> None:
    with pytest.raises(RefusedError, match=says):
        read(shown, tokens)


def test_a_connection_does_not_outlive_its_certificate(tokens: Tokens) -> None:
    shown = client(AUTHORITY, "anna", life=timedelta(hours=1))
    assert read(shown, tokens)
    with pytest.raises(RefusedError, match="is valid from"):
        read(shown, tokens, NOW + timedelta(hours=2))


def test_one_of_this_state_directory_is_good_until_it_is_revoked(tmp_path: Path, tokens: Tokens) -> None:
    from cryptography import x509
    from cryptography.hazmat.primitives.serialization import Encoding

    ensure(tmp_path / "api", {"localhost"}, NOW)
    issued = issue_client(tmp_path / "api", "anna", "vault:edit", timedelta(days=1), NOW)
    assert issued is not None
    der = x509.load_pem_x509_certificate(issued.certificate).public_bytes(Encoding.DER)
    assert hashlib.sha256(der).hexdigest() == issued.fingerprint
    with pytest.raises(RefusedError, match="was revoked"):
        read(der, tokens)
    token = tokens.add_certificate("anna", "edit", NOW + timedelta(days=1), issued.fingerprint)
    found = read(der, tokens)
    assert (found.user, found.role, found.way, found.credential) == ("anna", "edit", "certificate", token.id)
    assert found.groups == ("vault:edit", "system:authenticated")
    tokens.revoke(token.id)
    with pytest.raises(RefusedError, match="was revoked"):
        read(der, tokens)


def test_without_an_authority_none_is_issued(tmp_path: Path) -> None:
    assert issue_client(tmp_path, "anna", "vault:edit", timedelta(days=1), NOW) is None


def test_a_file_of_authorities_has_nothing_else(tmp_path: Path) -> None:
    check_authorities(AUTHORITY.pem + authority("another").pem)
    with pytest.raises(ValueError, match="CN=anna is not one of an authority"):
        check_authorities(AUTHORITY.pem + client(AUTHORITY, "anna").pem)
    with pytest.raises(ValueError, match="PEM"):
        check_authorities(b"nothing")
