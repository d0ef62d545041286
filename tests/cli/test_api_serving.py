"""What joins the parts of the API remembers only what there is."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from reconciler.api.kinds import VAULT_SERVICE, Ref
from reconciler.cli.api_serving import _Uids
from reconciler.store.versions import Versions


def test_the_uid_of_an_object_that_is_gone_is_forgotten(tmp_path: Path) -> None:
    versions = Versions(tmp_path / "versions.sqlite3", lambda: datetime(2026, 5, 1, tzinfo=UTC))
    uids, key = _Uids(versions), (VAULT_SERVICE.name, "files")
    versions.record({key: {"metadata": {"uid": "1"}}})
    assert uids.of(Ref(VAULT_SERVICE, "files")) == "1"
    assert uids.all() == {key: "1"}
    versions.record({key: None})
    assert uids.all() == {}
    assert not uids._read
    versions.close()
