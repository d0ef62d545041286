"""Two services whose containers would have the same name."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.core.admission import AdmissionError
from reconciler.core.admission.gate import check_names
from reconciler.core.admission.names import owners

WORD = st.text(alphabet="ab-", min_size=1, max_size=8)
NAME = WORD.filter(lambda name: name[0] != "-" and name[-1] != "-")


@given(NAME, WORD, NAME, WORD)
def test_every_service_with_a_container_of_that_name_is_found(
    service: str, workload: str, other: str, theirs: str
) -> None:
    longer = len(other) > len(service)
    if longer and f"{service}-{workload}" == f"{other}-{theirs}":
        assert other in owners(service, workload)


def test_the_one_that_was_first_keeps_the_name() -> None:
    first = {"wiki-db", "other"}
    check_names("wiki", ["web", "db", "database-1"], first.__contains__)
    with pytest.raises(AdmissionError) as refused:
        check_names("wiki", ["web", "db-main"], first.__contains__)
    assert "services.db-main: its containers would have the names of service 'wiki-db'" in str(refused.value)
    assert "give it another name" in str(refused.value)


def test_a_service_takes_nothing_from_itself_or_from_a_shorter_one() -> None:
    assert list(owners("a-b", "web")) == []
    assert list(owners("a", "b-c-d")) == ["a-b", "a-b-c"]
