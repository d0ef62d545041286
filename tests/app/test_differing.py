"""Something differs when there is a difference, something to do, or something in the way."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import pytest

from reconciler.app.differing import difference_document, differs
from reconciler.core.assess.cause import Cause
from reconciler.core.assess.diff import Difference, Kind
from reconciler.core.desired.stack import Stack
from reconciler.core.plan.operations import Plan, PullImage
from reconciler.core.plan.preview import Preview


@dataclass(frozen=True)
class Named:
    name: str


STACK = cast(Stack, Named("files"))


@dataclass
class Seen:
    plan: Plan
    differences: tuple[Difference, ...] = ()
    stack: Stack = STACK


PULL = PullImage(image="whoami:2", cause=Cause.OUTDATED, detail="is not here")
UNHEALTHY = Difference(Kind.UNHEALTHY, "files-web-1", "exited with code 1")


@pytest.mark.parametrize(
    ("seen", "does"),
    [
        (Seen(Plan()), False),
        (Seen(Plan(waiting=("web-2 is not ready yet",))), False),
        (Seen(Plan(), (UNHEALTHY,)), True),
        (Seen(Plan((PULL,))), True),
        (Seen(Plan(blocked="port 8080 is taken")), True),
    ],
)
def test_differs(seen: Seen, does: bool) -> None:
    assert differs(cast(Preview, seen)) is does


def test_a_document_has_differences_and_operations() -> None:
    body = difference_document(cast(Preview, Seen(Plan((PULL,)), (UNHEALTHY,))))
    assert body["name"] == "files"
    assert body["differences"] == [
        {"kind": str(Kind.UNHEALTHY), "subject": "files-web-1", "text": UNHEALTHY.text}
    ]
    assert body["operations"] == [
        {"kind": "PullImage", "cause": Cause.OUTDATED.value, "text": "pull whoami:2", "detail": "is not here"}
    ]
