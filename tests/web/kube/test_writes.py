"""A patch meets a change that comes between its read and its write: whether it is tried again, and what it is told."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, cast

import pytest

from reconciler.api.kinds import NAMESPACE
from reconciler.app.cluster.writing import ConflictError, Done, Writer
from reconciler.web.kube.asked import Place
from reconciler.web.kube.errors import ApiError
from reconciler.web.kube.served import WATCHED
from reconciler.web.kube.writes import JSON_PATCH, MERGE_PATCH, Asked, write

SERVICE = next(each for each in WATCHED if each.kind == "VaultService")


@dataclass
class Busy:
    """A writer at which another one is faster the first time: then the object has the version 2 and a note."""

    tries: int = 0
    written: list[Mapping[str, Any]] = field(default_factory=list)

    def replace(self, ref: object, change: Callable[[Any], Any], *_: object, **__: object) -> Done:
        self.tries += 1
        metadata = {
            "name": "files",
            "resourceVersion": str(self.tries),
            "annotations": {"note": str(self.tries)},
        }
        sent = change({"metadata": metadata})
        if self.tries == 1 or sent["metadata"]["resourceVersion"] != "2":
            raise ConflictError("the object has been modified")
        self.written.append(sent)
        return Done(sent, ())


def patched(writer: Busy, media_type: str, patch: Any) -> None:
    place = Place("vault.internal", "v1alpha1", SERVICE.plural, NAMESPACE, "files", None)
    asked = Asked("patch", SERVICE, place, json.dumps(patch).encode(), media_type, {})
    write(cast("Writer", writer), asked)


@pytest.mark.parametrize(
    ("media_type", "patch"),
    [
        (MERGE_PATCH, {"metadata": {"annotations": {"a": "b"}}}),
        # The word alone names no version.
        (MERGE_PATCH, {"metadata": {"annotations": {"a": "b", "seen": "resourceVersion"}}}),
        (JSON_PATCH, [{"op": "add", "path": "/metadata/annotations/a", "value": "b"}]),
    ],
)
def test_a_patch_that_fits_each_version_is_made_on_the_newest(media_type: str, patch: Any) -> None:
    writer = Busy()
    patched(writer, media_type, patch)
    (sent,) = writer.written
    assert (sent["metadata"]["annotations"]["a"], sent["metadata"]["annotations"]["note"]) == ("b", "2")


@pytest.mark.parametrize(
    ("media_type", "patch", "code", "reason", "tries"),
    [
        (MERGE_PATCH, {"metadata": {"resourceVersion": "1", "annotations": {"a": "b"}}}, 409, "Conflict", 1),
        # kopf adds and removes finalizers so, and begins anew when it is Invalid.
        (
            JSON_PATCH,
            [
                {"op": "test", "path": "/metadata/resourceVersion", "value": "1"},
                {"op": "add", "path": "/metadata/finalizers", "value": ["example.com/backup"]},
            ],
            422,
            "Invalid",
            2,
        ),
        (
            JSON_PATCH,
            [{"op": "replace", "path": "/metadata/resourceVersion", "value": "1"}],
            409,
            "Conflict",
            5,
        ),
    ],
)
def test_a_patch_for_another_version_is_refused(
    media_type: str, patch: Any, code: int, reason: str, tries: int
) -> None:
    writer = Busy()
    with pytest.raises(ApiError) as caught:
        patched(writer, media_type, patch)
    assert (caught.value.code, caught.value.reason, writer.tries) == (code, reason, tries)
    assert writer.written == []
