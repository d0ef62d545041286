"""The words of `label` and `annotate`."""

from __future__ import annotations

from collections.abc import Callable

import click
import pytest
from click.testing import Result

from reconciler.api import Metadata, VaultService
from reconciler.cli.marks import split
from reconciler.store.base import Origin
from reconciler.store.objects import ObjectStore

MakeService = Callable[..., VaultService]
Vaultctl = Callable[..., Result]


def test_names_then_marks() -> None:
    words = ["vs", "files", "team=web", "a.b/c=x=y", "empty=", "tier-"]
    assert split(words) == (["vs", "files"], {"team": "web", "a.b/c": "x=y", "empty": "", "tier": None})
    assert split(["files"]) == (["files"], {})


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["team=web", "files"], "'files' is no KEY=VALUE and no KEY-; names come first"),
        (["files", "=web"], "'=web' has no key"),
        (["files", "-"], "'-' has no key"),
        (["files", "team=a", "team-"], "team is given twice"),
    ],
)
def test_words_that_cannot_be_read(words: list[str], says: str) -> None:
    with pytest.raises(click.UsageError) as error:
        split(words)
    assert says in str(error.value)


@pytest.fixture
def stored(objects: ObjectStore, make_service: MakeService, origin: Origin) -> ObjectStore:
    for name, labels in (("files", {"team": "web"}), ("wiki", {})):
        metadata = Metadata(name=name, labels=labels, annotations={"note": "hi\x1b[31m"})
        objects.apply(make_service(name).model_copy(update={"metadata": metadata}), origin)
    return objects


def test_those_that_there_are(vaultctl: Vaultctl, stored: ObjectStore) -> None:
    assert vaultctl("label", "files", "--list").stdout == "team=web\n"
    assert (
        vaultctl("label", "--all", "--list").stdout == "vaultservice/files:\nteam=web\nvaultservice/wiki:\n"
    )
    assert vaultctl("annotate", "files", "--list").stdout == "note=hi�[31m\n"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["files"], "say what to change: KEY=VALUE, or KEY- to remove one"),
        (["x=y"], "name the services, or choose them"),
        (["files", "x=y", "--list"], "--list changes nothing"),
        (["fils", "x=y"], "there is no VaultService 'fils'; did you mean 'files'?"),
        (["wiki", "files", "team=db"], "files has another team already; replace it with --overwrite"),
    ],
)
def test_mistakes(vaultctl: Vaultctl, stored: ObjectStore, arguments: list[str], says: str) -> None:
    before = [stored.get(name) for name in stored.names()]
    done = vaultctl("label", *arguments)
    assert done.exit_code in (1, 2)
    assert says in done.stderr
    assert [stored.get(name) for name in stored.names()] == before


def test_a_dry_run_shows_the_lines(vaultctl: Vaultctl, stored: ObjectStore) -> None:
    done = vaultctl("label", "-l", "team", "team=db", "1=true", "--overwrite", "--dry-run")
    assert "+    team: db" in done.stdout
    assert "+    '1': 'true'" in done.stdout or '+    "1": "true"' in done.stdout
    assert "wiki" not in done.stdout
