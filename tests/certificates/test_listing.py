"""The certificates of a gateway as rows."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from reconciler.certificates.errors import Why
from reconciler.certificates.listing import Row, listed
from reconciler.certificates.renewal import Failure
from reconciler.certificates.store import State, Store
from reconciler.certificates.wanted import Source, Want
from tests.certificates.authority import ACME, LIFE, START, bundle


def test_each_host_has_a_row(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.save(Source.ACME, "1", bundle("b.org"))
    store.save(Source.FILES, "2", bundle("c.org", life=timedelta(days=1)))
    store.save_state(State({"a.org": Failure(1, Why.NOT_CHECKED, "no such host", START, START)}))
    before = sorted(tmp_path.rglob("*"))
    wants = [Want(Source.ACME, ("a.org", "b.org"), "s.0"), Want(Source.FILES, ("c.org",), "s.1", "/c", "/k")]

    now = START + timedelta(days=2)
    missing, served, ended = listed(store, wants, ACME, now)
    assert missing.host == "a.org"
    assert missing.source is missing.days_left(now) is None
    assert missing.trouble.startswith("no such host; next try at")
    assert (served.source, served.issuer, served.is_valid) == (Source.ACME, "CN=intermediate", True)
    assert served.not_after == START + LIFE
    assert served.days_left(now) == 88.0
    assert served.renew_at is not None
    assert ended == Row(
        "c.org", "s.1", Source.FILES, Source.FILES, "CN=intermediate", START + timedelta(days=1), None
    )
    assert ended.days_left(now) == -1.0
    assert sorted(tmp_path.rglob("*")) == before
