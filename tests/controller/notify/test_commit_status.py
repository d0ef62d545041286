"""What becomes of a commit is posted to a real HTTP server, once for each turn that it takes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from reconciler.api import (
    Condition,
    ConditionStatus,
    ConditionType,
    Manifest,
    Metadata,
    Ports,
    Problem,
    Spec,
    Status,
    VaultService,
)
from reconciler.api.reasons import Reason
from reconciler.controller.notify.commit_status import CommitStatus, standing, statuses_at
from reconciler.controller.notify.notify import SendError
from reconciler.sources.base import Loaded, Setback
from reconciler.store.base import Origin
from reconciler.store.objects import ObjectStore
from tests.controller.chat import Chat, listening, tells_after_an_absence
from tests.stored import service_of

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
PLACE = "https://git.example.com/infra.git#main"
NAME = "machine-1"
FIRST, SECOND = "a" * 40, "b" * 40


@pytest.fixture
def chat() -> Iterator[Chat]:
    with listening() as made:
        yield made


@dataclass
class Branch:
    """A branch whose commits are stored when the test says so."""

    objects: ObjectStore
    place: str = PLACE
    held: Loaded | None = None
    generation: dict[str, int] = field(default_factory=dict)

    def load(self, commit: str, *names: str, problem: str = "", replicas: int = 2) -> Loaded:
        """The branch is at a commit that holds these services."""
        manifests = tuple(Manifest(service(name, replicas), Path(f"{name}.yaml"), 1) for name in names)
        problems = (Problem(Path("/state/git/apps/files.yaml"), 7, 3, "spec", problem),) if problem else ()
        self.held = Loaded(manifests, problems, not problems, f"main@sha1:{commit}")
        return self.held

    def store(self) -> None:
        """As a sync does, right after a load."""
        assert self.held is not None
        for manifest in self.held.manifests:
            origin = Origin("git", self.place, manifest.path, 1, self.held.commit)
            stored = self.objects.apply(service_of(manifest), origin)
            self.generation[stored.name] = stored.generation

    def turn(self, name: str, **conditions: tuple[ConditionStatus, str]) -> None:
        """A pass over its newest spec ended with these conditions."""
        generation = self.generation[name]
        made = tuple(condition(kind, *said, generation) for kind, said in conditions.items())  # type: ignore[arg-type]
        self.objects.put_status(name, Status(observed_generation=generation, conditions=made))


def service(name: str, replicas: int) -> VaultService:
    spec = Spec(plugin="whoami", ports=Ports(http=8000 + sum(name.encode())), replicas=replicas)
    return VaultService(metadata=Metadata(name=name), spec=spec)


def condition(kind: ConditionType, status: ConditionStatus, reason: str, generation: int) -> Condition:
    return Condition(
        type=kind,
        status=status,
        reason=reason,
        message=f"{reason} is said at length\nand in several lines",
        last_transition_time=NOW,
        observed_generation=generation,
    )


@pytest.fixture
def branch(tmp_path: Path) -> Branch:
    return Branch(ObjectStore(tmp_path))


@pytest.fixture
def teller(branch: Branch, chat: Chat) -> CommitStatus:
    return CommitStatus(branch, branch.objects, statuses_at(f"{chat.url}/", "token-of-the-test"), NAME)


def look_twice(teller: CommitStatus) -> None:
    teller.look()
    teller.look()


def test_a_commit_goes_from_pending_to_success(branch: Branch, chat: Chat, teller: CommitStatus) -> None:
    look_twice(teller)
    assert chat.messages == [], "nothing is known yet"
    branch.load(FIRST, "files", "wiki")
    branch.store()
    look_twice(teller)
    branch.turn("files", Ready=("True", "AllServing"))
    look_twice(teller)
    branch.turn("wiki", Ready=("True", "AllServing"))
    look_twice(teller)
    look_twice(teller)
    assert [(each["state"], each["context"]) for each in chat.messages] == [
        ("pending", NAME),
        ("success", NAME),
    ]
    assert chat.messages[0]["description"].startswith("files: Pending: ")
    assert chat.messages[1]["description"] == "as it wants them: files, wiki"
    assert chat.calls == [(f"/hooks/T0/secret/{FIRST}", "token token-of-the-test")] * 2


def test_what_was_given_up_is_a_failure_with_its_reason(
    branch: Branch, chat: Chat, teller: CommitStatus
) -> None:
    branch.load(FIRST, "files", "wiki")
    branch.store()
    branch.turn("files", Ready=("False", "RolledBack"), Stalled=("True", "RolledBack"))
    look_twice(teller)
    (message,) = chat.messages
    assert message["state"] == "failure"
    assert message["description"] == "files: RolledBack: RolledBack is said at length"


def test_a_mistake_in_a_manifest_is_a_failure_that_names_the_line(
    branch: Branch, chat: Chat, teller: CommitStatus
) -> None:
    branch.load(FIRST, problem="x" * 500)
    look_twice(teller)
    (message,) = chat.messages
    assert message["state"] == "failure"
    assert message["description"].startswith("files.yaml:7:3: spec: xxx")
    assert len(message["description"]) == 140


def test_a_commit_is_not_praised_for_what_the_one_before_has_reached(
    branch: Branch, chat: Chat, teller: CommitStatus
) -> None:
    branch.load(FIRST, "files")
    branch.store()
    branch.turn("files", Ready=("True", "AllServing"))
    look_twice(teller)
    branch.load(SECOND, "files", replicas=3)
    teller.look()
    branch.store()
    look_twice(teller)
    assert [(call[0][-1], each["state"]) for call, each in zip(chat.calls, chat.messages, strict=True)] == [
        ("a", "success"),
        ("b", "pending"),
    ]


def test_a_service_that_heals_takes_nothing_back(branch: Branch, chat: Chat, teller: CommitStatus) -> None:
    branch.load(FIRST, "files")
    branch.store()
    for ready in ("True", "False", "True"):
        branch.turn("files", Ready=(ready, "Said"))
        look_twice(teller)
    assert [each["state"] for each in chat.messages] == ["success"]


def test_while_an_older_commit_goes_on_nothing_is_said(
    branch: Branch, teller: CommitStatus, chat: Chat
) -> None:
    loaded = branch.load(FIRST, "files")
    branch.held = replace(loaded, setback=Setback(Reason.FETCH_FAILED, "it is away"))
    branch.store()
    look_twice(teller)
    assert chat.messages == []
    branch.held = loaded
    branch.store()
    look_twice(teller)
    assert chat.messages


def test_a_service_that_is_not_stored_is_awaited(branch: Branch) -> None:
    loaded = branch.load(FIRST, "files")
    seen = standing(loaded, PLACE, branch.objects)
    assert seen is not None
    assert (seen.state, seen.description) == ("pending", "files: Pending: is not stored yet")


def test_a_service_that_the_commit_wants_no_more_is_awaited_too(branch: Branch) -> None:
    branch.load(FIRST, "files", "wiki")
    branch.store()
    branch.turn("wiki", Ready=("True", "AllServing"))
    branch.objects.request_deletion("files", False, NOW)
    seen = standing(branch.load(SECOND, "wiki"), PLACE, branch.objects)
    assert seen is not None
    assert (seen.state, seen.description) == ("pending", "files: Deleting: is being deleted")


@pytest.mark.parametrize("status", [401, 404, 302, 500])
def test_what_was_not_taken_comes_again(
    branch: Branch, chat: Chat, teller: CommitStatus, status: int
) -> None:
    branch.load(FIRST, problem="a slip")
    chat.status = status
    teller.look()
    for _ in range(2):
        with pytest.raises(SendError, match=f"status {status}"):
            teller.look()
    chat.status = 200
    teller.look()
    assert len(chat.messages) == 1


def test_a_server_that_is_away_ends_no_thread_and_its_token_is_in_no_line(
    branch: Branch, chat: Chat, teller: CommitStatus, caplog: pytest.LogCaptureFixture
) -> None:
    branch.load(FIRST, problem="a slip")
    tells_after_an_absence(teller, chat, caplog)
    assert "token-of-the-test" not in caplog.text


def test_only_http_is_spoken() -> None:
    with pytest.raises(ValueError, match="http"):
        statuses_at("file:///etc", "token-of-the-test")
