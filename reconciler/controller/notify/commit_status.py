"""Reports the status of the newest commit to the Git server: pending, success or failure on GitHub or Gitea.

It reads the store from its own thread, and no pass waits for it. So an unreachable server or a wrong token can neither fail
nor delay a pass.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, Literal, Protocol

from reconciler.api.kinds import Ref
from reconciler.api.reasons import Reason
from reconciler.controller.notify.notify import Send, post_to
from reconciler.controller.report.verdict import Summary, Verdict, summarize
from reconciler.sources.base import Loaded
from reconciler.store.base import Objects, StoredObject, refs

MAX_DESCRIPTION: Final = 140
"""Characters; GitHub refuses more."""

State = Literal["pending", "success", "failure"]
SendTo = Callable[[str], Send]
"""What posts a status of the commit with this hash."""


class CommitSource(Protocol):
    """A source that follows a branch."""

    @property
    def place(self) -> str:
        """The origin of the objects that come from it."""

    @property
    def held(self) -> Loaded | None:
        """The last result of the source; None before the first."""


@dataclass(frozen=True, slots=True)
class Standing:
    """The state of a commit (a hash) on this machine; `description` is one line for people."""

    commit: str
    state: State
    description: str


class CommitStatus:
    """Posts the status of the commit of `branch` whenever it changes; `name` is its context. Runs in one thread."""

    def __init__(self, branch: CommitSource, objects: Objects, send: SendTo, name: str) -> None:
        self._branch = branch
        self._objects = objects
        self._send = send
        self._name = name
        self._seen: Standing | None = None
        self._told = ("", "")

    def look(self) -> None:
        """Post a new status. Raises SendError when it is not accepted; it is sent again. VaultError: objects are
        unreadable.
        """
        loaded = self._branch.held
        seen = standing(loaded, self._branch.place, self._objects) if loaded else None
        # Between the load of a commit and the update of its objects, these still have the status of the one before.
        steady, self._seen = seen == self._seen, seen
        if seen is None or not steady or self._told == (seen.commit, seen.state):
            return
        # A replica that is replaced later does not change the status of a commit that succeeded.
        if seen.state == "pending" and self._told[0] == seen.commit:
            return
        self._send(seen.commit)(self._payload(seen))
        self._told = (seen.commit, seen.state)

    def _payload(self, seen: Standing) -> bytes:
        fields = {"state": seen.state, "description": seen.description, "context": self._name}
        return json.dumps(fields).encode()


def standing(loaded: Loaded, place: str, objects: Objects) -> Standing | None:
    """The status of a commit that was loaded; None while an older one is used in place of the newest."""
    if not loaded.commit or loaded.setback:
        return None
    commit = loaded.commit.rpartition(":")[2]
    for problem in loaded.problems:
        return Standing(commit, "failure", _line(str(replace(problem, path=Path(problem.path.name)))))
    summaries = dict(_summaries(loaded, place, objects))
    for verdict, state in _WORST_FIRST:
        for name, summary in summaries.items():
            if summary.verdict is verdict:
                return Standing(commit, state, _line(f"{name}: {summary.reason}: {summary.message}"))
    return Standing(commit, "success", _line(f"as it wants them: {', '.join(summaries) or 'no services'}"))


_WORST_FIRST: Final[tuple[tuple[Verdict, State], ...]] = (
    (Verdict.FAILED, "failure"),
    (Verdict.MOVING, "pending"),
)


def _summaries(loaded: Loaded, place: str, objects: Objects) -> Iterator[tuple[str, Summary]]:
    """The resources of the commit, and those that it removed and that still exist."""
    stored: Mapping[Ref, StoredObject[Any]] = {
        ref: each
        for ref in refs(objects)
        if (each := objects.of(ref.kind).get(ref.name))
        and (each.origin.kind, each.origin.place) == ("git", place)
    }
    for ref in sorted({*stored, *(manifest.resource.ref for manifest in loaded.manifests)}, key=str):
        if ref in stored:
            yield ref.label, summarize(stored[ref], objects.of(ref.kind).status(ref.name))
        else:
            yield ref.label, Summary(Verdict.MOVING, Reason.PENDING, "is not stored yet")


def _line(text: str) -> str:
    line = text.partition("\n")[0]
    return line if len(line) <= MAX_DESCRIPTION else f"{line[: MAX_DESCRIPTION - 1]}…"


def statuses_at(url: str, token: str) -> SendTo:
    """What posts below `url`, such as https://api.github.com/repos/OWNER/REPOSITORY/statuses. Raises ValueError when
    that is not one of HTTP or HTTPS.
    """
    base = url.rstrip("/")
    # GitHub, Gitea and Forgejo all take this spelling.
    headers = {"Authorization": f"token {token}", "Accept": "application/json"}
    post_to(base)
    return lambda commit: post_to(f"{base}/{commit}", headers)
