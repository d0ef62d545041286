"""A thread for each gateway: one that fails is told, and disturbs no other."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from reconciler.api.acme import Acme
from reconciler.certificates.acme.client import AcmeServer
from reconciler.certificates.errors import AcmeError
from reconciler.certificates.keepers import Keepers, connected
from reconciler.certificates.self_signed import new_key
from reconciler.certificates.store import Account
from reconciler.certificates.wanted import Source, Want
from tests.certificates.authority import ACME


def test_each_gateway_has_one_keeper_and_an_error_is_told(tmp_path: Path) -> None:
    told: list[tuple[str, Exception]] = []
    failed, changed = threading.Event(), threading.Event()

    def tell(name: str, error: Exception) -> None:
        told.append((name, error))
        failed.set()

    keepers = Keepers(lambda name: tmp_path / name, None, {}, lambda name: changed.set(), tell)
    try:
        one = keepers.of("one")
        assert keepers.of("one") is one
        assert keepers.of("two") is not one
        # A file where a directory has to be.
        (tmp_path / "bad").mkdir()
        (tmp_path / "bad" / "certificates").write_text("")
        keepers.of("bad")
        assert failed.wait(20)
        assert {name for name, _ in told} == {"bad"}

        # A DNS program without a directory of programs: the pass is asked to look, and finds the reason.
        dns = Acme.model_validate(
            {
                **ACME.model_dump(),
                "server": "https://localhost:1/dir",
                "challenge": "dns-01",
                "dns": {"program": "x"},
            }
        )
        want = Want(Source.ACME, ("a.org",), "s.0")
        one.serve([want], dns)
        assert changed.wait(20)
        assert one.serve([want], dns).troubles
        keepers.drop("two")
        assert keepers.of("two") is not one
    finally:
        keepers.stop()
    assert not [each for each in threading.enumerate() if each.name.startswith("certificates-")]


def test_the_key_of_an_external_account_is_read_from_its_file(tmp_path: Path) -> None:
    bound = {"externalAccount": {"keyId": "kid-1", "keyFile": str(tmp_path / "eab.key")}}
    acme = Acme.model_validate({**ACME.model_dump(), **bound})
    account = Account(acme.server, new_key())
    with pytest.raises(AcmeError, match=r"eab.key: does not exist; check the path"):
        connected(account, acme)
    (tmp_path / "eab.key").write_text("c2VjcmV0\n")
    server = connected(account, acme)
    assert isinstance(server, AcmeServer)
    server.close()
