"""A push cannot go back to an older signed commit, fill the disk, keep git busy, or inject text through names."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from reconciler.sources.git import clone
from reconciler.sources.git.source import GitSource
from reconciler.sources.git.trust import Trust
from tests.sources.git.test_source import again, make, names, signing
from tests.sources.git_repository import Repository, Signing, manifest, sh

__all__ = ["make", "signing"]

Make = Callable[..., GitSource]


@pytest.fixture
def history(repository: Repository, signing: Signing) -> tuple[str, str]:
    """Two signed commits; the second one reverts a mistake."""
    return (
        repository.commit({"apps/wiki.yaml": manifest("wiki", ", replicas: 9")}, *signing.options("ada")),
        repository.commit({"apps/wiki.yaml": manifest("wiki", ", replicas: 2")}, *signing.options("ada")),
    )


def setback(source: GitSource) -> tuple[str, str]:
    loaded = source.held
    assert loaded is not None
    assert loaded.setback is not None
    return loaded.setback.reason, loaded.setback.message


@pytest.mark.parametrize("target", ["ancestor", "sibling"])
def test_a_signed_commit_that_does_not_follow_is_refused_until_one_does(
    target: str, make: Make, repository: Repository, signing: Signing, history: tuple[str, str]
) -> None:
    trust = Trust(signing.allow("ada"))
    source = make(repository.bare, trust=trust)
    assert source.load().commit == f"main@sha1:{history[1]}"
    repository.git("reset", "--quiet", "--hard", history[0])
    back = history[0]
    if target == "sibling":
        back = repository.commit({"apps/more.yaml": manifest("more")}, *signing.options("ada"))
    else:
        repository.push()
    # Also after a restart.
    for each in (source, make(repository.bare, trust=trust)):
        loaded = again(each)
        assert loaded.commit == f"main@sha1:{history[1]}"
        reason, message = setback(each)
        assert reason == "RewoundBranch"
        assert f"{back[:12]} does not follow {history[1][:12]}" in message
        assert "--allow-rewind" in message
    repository.git("reset", "--quiet", "--hard", history[1])
    forward = repository.commit({"apps/more.yaml": manifest("more")}, *signing.options("ada"))
    loaded = again(source)
    assert (loaded.commit, loaded.setback) == (f"main@sha1:{forward}", None)


def test_going_back_can_be_asked_for(
    make: Make, repository: Repository, signing: Signing, history: tuple[str, str]
) -> None:
    trust = Trust(signing.allow("ada"))
    make(repository.bare, trust=trust).load()
    repository.git("reset", "--quiet", "--hard", history[0])
    repository.push()
    loaded = make(repository.bare, trust=trust, allow_rewind=True).load()
    assert (loaded.commit, loaded.setback) == (f"main@sha1:{history[0]}", None)


def test_many_commits_at_once_follow(make: Make, repository: Repository, signing: Signing) -> None:
    """More commits than the first depth fetches; intermediate ones need no signature."""
    source = make(repository.bare, trust=Trust(signing.allow("ada")))
    repository.commit({"apps/wiki.yaml": manifest("wiki")}, *signing.options("ada"))
    source.load()
    for number in range(clone.DEPTHS[0] + 5):
        repository.git("commit", "--quiet", "--allow-empty", "-m", str(number))
    last = repository.commit({"apps/wiki.yaml": manifest("wiki", ", replicas: 3")}, *signing.options("ada"))
    loaded = again(source)
    assert (loaded.commit, loaded.setback) == (f"main@sha1:{last}", None)


def test_without_signatures_a_force_push_is_followed(
    make: Make, repository: Repository, history: tuple[str, str]
) -> None:
    source = make(repository.bare)
    source.load()
    repository.git("reset", "--quiet", "--hard", history[0])
    repository.push()
    assert again(source).commit == f"main@sha1:{history[0]}"


def test_more_files_than_the_limit_are_not_taken(
    make: Make, repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clone, "MOST_FILES", 20)
    source = make(repository.bare)
    before = source.load()
    repository.commit({f"docs/{number}.txt": "x" for number in range(30)})
    assert again(source).commit == before.commit
    assert setback(source)[0] == "RepositoryTooLarge"
    assert "more than 20 files" in setback(source)[1]


def test_a_tree_that_multiplies_itself_is_not_written_out(make: Make, repository: Repository) -> None:
    """Ten levels of ten names for the same tree: a few hundred bytes that expand to 10 billion files."""
    source = make(repository.bare)
    before = source.load()
    entry = "100644 blob " + repository.git("rev-parse", "HEAD:apps/files.yaml")
    for level in range(11):
        lines = "\n".join(f"{entry}\t{level}-{number}" for number in range(10))
        (repository.work / "lines").write_text(lines + "\n")
        tree = sh("bash", "-c", "git mktree < lines", cwd=repository.work)
        entry = f"040000 tree {tree}"
    commit = repository.git("commit-tree", tree, "-p", "HEAD", "-m", "Much from little")
    repository.git("push", "--quiet", "origin", f"{commit}:refs/heads/main")
    assert again(source).commit == before.commit
    assert setback(source)[0] == "RepositoryTooLarge"


@pytest.mark.parametrize("content", ["zeros", "noise"])
def test_larger_files_than_the_limit_are_not_taken(
    content: str, make: Make, repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither files that are small in the pack nor a large pack."""
    monkeypatch.setattr(clone, "LARGEST_PACK", 1024 * 1024)
    source = make(repository.bare)
    before = source.load()
    source_of = "/dev/zero" if content == "zeros" else "/dev/urandom"
    with Path(source_of).open("rb") as file:
        (repository.work / "large").write_bytes(file.read(3 * 1024 * 1024))
    repository.commit({})
    assert again(source).commit == before.commit
    assert setback(source)[0] == "RepositoryTooLarge"
    assert "1 MiB" in setback(source)[1]


def test_a_submodule_is_an_empty_place(make: Make, repository: Repository, tmp_path: Path) -> None:
    """The address in .gitmodules is not contacted."""
    mark = tmp_path / "mark"
    url = f"ext::sh -c touch% {mark}"
    (repository.work / ".gitmodules").write_text(
        f'[submodule "apps/sub"]\n\tpath = apps/sub\n\turl = {url}\n'
    )
    head = repository.git("rev-parse", "HEAD")
    repository.git("update-index", "--add", "--cacheinfo", f"160000,{head},apps/sub")
    repository.git("add", ".gitmodules")
    repository.git("commit", "--quiet", "-m", "A submodule")
    repository.push()
    source = make(repository.bare)
    loaded = source.load()
    assert (names(loaded), loaded.problems) == (["files"], ())
    assert not mark.exists()
    assert not any((tmp_path / "state").rglob("apps/sub/*"))


def test_names_of_a_commit_move_no_cursor(make: Make, repository: Repository, signing: Signing) -> None:
    source = make(repository.bare, trust=Trust(signing.allow("ada")))
    repository.commit(
        {}, "--author=\x1b[2J\x1b]0;owned\x07Eve <eve\x1b[1A@example.com>", *signing.options("eve")
    )
    source.load()
    reason, message = setback(source)
    assert reason == "UntrustedCommit"
    assert "Eve" in message
    assert message.isprintable()
