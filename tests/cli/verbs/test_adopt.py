"""`adopt` and `release` say where an adoption is, and what is done next, without an engine."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import Result

from reconciler.core.adoption.record import Adoption, FormerContainer, Stage
from reconciler.store.adoptions import AdoptionStore

Vaultctl = Callable[..., Result]

RECORD = Adoption(
    "files",
    "shop",
    web="app",
    order=("db",),
    former=(FormerContainer("1", "shop-db-1", "db"), FormerContainer("2", "shop-app-1", "app")),
    manifest="/srv/shop/files.yaml",
    directory="/srv/plain",
)


@pytest.fixture(autouse=True)
def no_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", "tcp://127.0.0.1:1")


@pytest.fixture
def journal(state: Path) -> AdoptionStore:
    return AdoptionStore(state)


@pytest.mark.parametrize("target", ["shop", "files"])
def test_what_is_left_is_shown_and_not_done(vaultctl: Vaultctl, journal: AdoptionStore, target: str) -> None:
    journal.put(replace(RECORD, stage=Stage.SWITCHED))
    done = vaultctl("adopt", target)
    assert (done.exit_code, done.stdout) == (
        0,
        "project shop is being adopted as files; what is left:\n"
        "  1. wait until it is Ready\n"
        "  2. let the controller take over: db\n"
        "  3. wait until it is Ready\n"
        "  4. see that no former container runs: db, app\n",
    ), done.stderr
    assert done.stderr == f"nothing was changed; continue: vaultctl adopt {target} --yes\n"
    assert journal.get("files") == replace(RECORD, stage=Stage.SWITCHED)


@pytest.mark.parametrize(
    ("record", "why"),
    [
        (
            replace(RECORD, stage=Stage.STORED, waits=True),
            "app writes to a volume, so no new container starts beside the former ones",
        ),
        (replace(RECORD, stage=Stage.SWITCHED), "the former containers of app have ended already"),
    ],
)
def test_what_cannot_stay_beside_is_refused(
    vaultctl: Vaultctl, journal: AdoptionStore, record: Adoption, why: str
) -> None:
    journal.put(record)
    done = vaultctl("adopt", "shop", "--beside", "--yes")
    assert (done.exit_code, f"{why}; leave --beside out" in done.stderr) == (1, True), done.stderr
    assert journal.get("files") == record


def test_only_one_way_at_a_time(vaultctl: Vaultctl) -> None:
    done = vaultctl("adopt", "shop", "--beside", "--undo")
    assert (done.exit_code, "exclude each other" in done.stderr) == (2, True)


def test_what_is_adopted_says_how_it_ends(vaultctl: Vaultctl, journal: AdoptionStore) -> None:
    journal.put(replace(RECORD, stage=Stage.ADOPTED))
    said = "project shop is adopted as files"
    assert vaultctl("adopt", "shop", "--yes").stderr == (
        f"{said}; the former containers are kept: --finish removes them, --undo goes back\n"
    )
    journal.put(replace(RECORD, stage=Stage.FINISHED, former=()))
    assert vaultctl("adopt", "shop").stderr == f"{said}\n"


def test_the_way_back_is_shown_and_not_taken(vaultctl: Vaultctl, journal: AdoptionStore) -> None:
    journal.put(replace(RECORD, stage=Stage.ADOPTED))
    done = vaultctl("adopt", "shop", "--undo")
    assert done.stdout == (
        "back to project shop; nothing answers requests meanwhile:\n"
        "  1. remove what the controller runs\n"
        "  2. start the former containers: db, app\n"
    )
    assert journal.get("files") == replace(RECORD, stage=Stage.ADOPTED)


@pytest.mark.parametrize(
    ("record", "arguments", "message"),
    [
        (None, ("--undo",), "shop was not adopted on this machine"),
        (None, ("--finish",), "shop was not adopted on this machine"),
        (replace(RECORD, stage=Stage.RELEASED), ("--finish",), "shop was not adopted on this machine"),
        (replace(RECORD, stage=Stage.MOVING), ("--finish",), "the adoption of shop is not complete; continue"),
        (replace(RECORD, stage=Stage.FINISHED, former=()), ("--undo",), "there is no way back: the containers of project"),
        (replace(RECORD, stage=Stage.UNDOING), (), "going back to project shop; continue: vaultctl adopt shop --undo"),
        (replace(RECORD, stage=Stage.REMOVED), ("--yes",), "is being released to /srv/plain; continue: vaultctl release"),
        (replace(RECORD, stage=Stage.REMOVED), ("--undo",), "is being released to /srv/plain; continue: vaultctl release"),
    ],
)  # fmt: skip
def test_what_cannot_be_done_now_says_what_can(
    vaultctl: Vaultctl,
    journal: AdoptionStore,
    record: Adoption | None,
    arguments: tuple[str, ...],
    message: str,
) -> None:
    if record:
        journal.put(record)
    done = vaultctl("adopt", "shop", *arguments)
    assert done.exit_code == 1
    assert message in done.stderr
    assert journal.get("files") == record


def test_two_ways_at_once_are_none(vaultctl: Vaultctl) -> None:
    assert vaultctl("adopt", "shop", "--undo", "--finish").exit_code == 2


def test_a_release(vaultctl: Vaultctl, journal: AdoptionStore) -> None:
    assert "there is no service files" in vaultctl("release", "files").stderr
    assert "files was not released" in vaultctl("release", "files", "--forget").stderr
    journal.put(replace(RECORD, stage=Stage.RELEASING))
    assert "continue: vaultctl release files --yes" in vaultctl("release", "files").stderr
    journal.put(replace(RECORD, stage=Stage.RELEASED))
    assert vaultctl("release", "files").stderr == "files was released to project shop in /srv/plain\n"
    assert vaultctl("release", "files", "--forget").exit_code == 0
    assert journal.get("files") is None


def test_a_damaged_record_stops_it(vaultctl: Vaultctl, journal: AdoptionStore, state: Path) -> None:
    journal.put(RECORD)
    (state / "adoptions" / "files.json").write_text("{")
    for verb in (("adopt", "shop"), ("release", "files")):
        assert "files.json cannot be read" in vaultctl(*verb).stderr
