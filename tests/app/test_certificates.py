"""Certificates are listed with what is in their way, and new ones are asked for."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from reconciler.api import VaultService
from reconciler.api.errors import VaultError
from reconciler.api.kinds import VAULT_GATEWAY
from reconciler.api.vaultgateway import VaultGateway
from reconciler.app.certificates import (
    Certificate,
    certificate_document,
    certificates,
    is_renewed,
    named,
    request_renewal,
    store_of,
)
from reconciler.app.finding import NotFoundError
from reconciler.certificates.errors import Why
from reconciler.certificates.renewal import Failure
from reconciler.certificates.store import State
from reconciler.certificates.wanted import Source
from reconciler.controller.reconcile.routing import settle_objects
from reconciler.store.base import Origin
from reconciler.store.objects import ObjectStore
from tests.certificates.authority import LIFE, START, bundle

NOW = START + timedelta(days=1)


@pytest.fixture
def stored(objects: ObjectStore, origin: Origin) -> ObjectStore:
    """A gateway with an account, and services of which one has a certificate."""
    acme = {"acceptTerms": True, "contact": ["admin@example.org"]}
    document: dict[str, Any] = {"metadata": {"name": "main"}, "spec": {"acme": acme}}
    objects.of(VAULT_GATEWAY).apply(
        VaultGateway.model_validate(document, by_alias=True, by_name=False), origin
    )
    for name, host in (("files", "files.example.org"), ("wiki", "wiki.example.org"), ("local", "local.test")):
        spec = {"plugin": "whoami", "route": {"hostnames": [host]}}
        objects.apply(VaultService.model_validate({"metadata": {"name": name}, "spec": spec}), origin)
    store_of(objects, "main").save(Source.ACME, "files", bundle("files.example.org"))
    return objects


def found(stored: ObjectStore, now: datetime = NOW) -> dict[str, Certificate]:
    rows = certificates(stored, settle_objects(stored), now, pytest.fail)
    return {each.row.host: each for each in rows}


def test_each_host_has_a_line(stored: ObjectStore) -> None:
    lines = found(stored)
    assert {host: each.state for host, each in lines.items()} == {
        "files.example.org": "Valid",
        "local.test": "Missing",
        "wiki.example.org": "Missing",
    }
    assert lines["files.example.org"].row.not_after == START + LIFE
    assert found(stored, START + LIFE)["files.example.org"].state == "Ended"


def test_what_is_in_the_way_is_told(stored: ObjectStore) -> None:
    failure = Failure(2, Why.REFUSED, "the server refuses", NOW, NOW + timedelta(minutes=5))
    store_of(stored, "main").save_state(State(failures={"files.example.org": failure}))
    line = found(stored)["files.example.org"]
    assert line.state == "RenewalFails"
    assert certificate_document(line)["message"].startswith("the server refuses; next try at ")


def test_no_key_is_in_a_document(stored: ObjectStore) -> None:
    told = "".join(str(certificate_document(each)) + repr(each) for each in found(stored).values())
    assert "PRIVATE" not in told


def test_a_new_one_is_asked_for_with_a_pass(stored: ObjectStore) -> None:
    lines = found(stored)
    before = stored.of(VAULT_GATEWAY).get("main")
    request_renewal(stored, [lines["files.example.org"]], NOW)
    after = stored.of(VAULT_GATEWAY).get("main")
    assert store_of(stored, "main").take_requests() == ("files.example.org",)
    assert before is not None
    assert after == replace(before, requested_at=NOW.isoformat())


def test_what_no_server_issues_is_refused_before_anything_is_asked_for(stored: ObjectStore) -> None:
    lines = found(stored)
    with pytest.raises(VaultError, match="is self-signed"):
        request_renewal(stored, list(lines.values()), NOW)
    assert store_of(stored, "main").take_requests() == ()
    with pytest.raises(NotFoundError, match="did you mean"):
        named(list(lines.values()), ["file.example.org"])
    assert named(list(lines.values()), ["local.test"]) == [lines["local.test"]]


def test_another_certificate_or_another_failure_ends_a_wait(stored: ObjectStore) -> None:
    before = found(stored)["files.example.org"]
    assert not is_renewed(before, before)
    assert is_renewed(
        before, replace(before, row=replace(before.row, not_after=datetime.max.replace(tzinfo=UTC)))
    )
    with pytest.raises(VaultError, match=r"files.example.org: refused"):
        is_renewed(before, replace(before, row=replace(before.row, trouble="refused")))


def test_certificates_that_cannot_be_read_are_a_warning(stored: ObjectStore) -> None:
    path: Path = stored.of(VAULT_GATEWAY).directory("main") / "certificates" / "state.json"
    path.unlink(missing_ok=True)
    path.symlink_to(path)
    told: list[str] = []
    assert certificates(stored, settle_objects(stored), NOW, told.append) == []
    assert len(told) == 1
    assert "gateway main are not shown" in told[0]
