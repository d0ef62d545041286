"""The documents of OpenAPI are made once, and nothing is kept for paths that clients make up."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from reconciler.web.kube.openapi import documents
from tests.web.kube.in_process import NONE, InProcess


@pytest.fixture
def api(tmp_path: Path) -> Iterator[InProcess]:
    with InProcess(tmp_path) as made:
        yield made


def test_made_up_paths_fill_no_memory(api: InProcess) -> None:
    for number in range(50):
        answer = api.call("GET", f"/openapi/v3/apis/{'x' * 1000}{number}/v1", headers=api.login(NONE))
        assert answer.code == 404
    assert api.call("GET", "/openapi/v3/apis/vault.internal/v1alpha1", headers=api.login(NONE)).code == 200
    assert documents._part.cache_info().currsize <= len(documents.index()["paths"])


def test_each_part_is_there_and_made_once() -> None:
    for path in documents.index()["paths"]:
        assert documents.part(path) is documents.part(path)
        assert documents.part(path)
    assert documents.part("apis/apps/v1") is None
