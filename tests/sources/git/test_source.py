"""A real repository is pushed to, broken and removed; the source keeps using the last good commit."""

from __future__ import annotations

import base64
import queue
import random
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from reconciler.api.kinds import VAULT_SERVICE, Ref
from reconciler.sources.base import Fetch, Loaded, Source
from reconciler.sources.git.address import parse_address
from reconciler.sources.git.command import CONFIG, Credentials, Git
from reconciler.sources.git.source import GitSource
from reconciler.sources.git.trust import Trust
from tests.sources.git_repository import Repository, Signing, manifest, sh
from tests.sources.git_servers import SSH, serving
from tests.stored import service_of

DEADLINE = 60.0
NEVER = 3600.0

Make = Callable[..., GitSource]
Follow = Callable[[GitSource], "Followed"]


@pytest.fixture
def make(tmp_path: Path, environ: dict[str, str]) -> Make:
    """Creates sources of a URL; all sources of a test share one state directory."""

    def source(
        url: Path | str,
        *,
        branch: str = "main",
        path: str = "apps",
        credentials: Credentials | None = None,
        interval: float = NEVER,
        **options: Any,
    ) -> GitSource:
        address = parse_address(str(url), branch, path)
        git = Git(
            environ,
            config=(*CONFIG, *address.config()),
            credentials=credentials,
            secrets=address.secrets,
        )
        chance = random.Random(1)
        return GitSource(address, tmp_path / "state", git, interval=interval, chance=chance, **options)

    return source


class Followed:
    """A source that is loaded after each yield of its watch, as the controller does."""

    def __init__(self, source: GitSource) -> None:
        self.source = source
        self.loads: queue.SimpleQueue[Loaded] = queue.SimpleQueue()
        self.stop = threading.Event()
        self.loads.put(source.load())
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self) -> None:
        for _ in self.source.watch(self.stop):
            self.loads.put(self.source.load())

    def next(self, timeout: float = DEADLINE) -> Loaded:
        return self.loads.get(timeout=timeout)

    def until(self, commit: str) -> Loaded:
        deadline = time.monotonic() + DEADLINE
        while True:
            loaded = self.next(max(0.0, deadline - time.monotonic()))
            if loaded.commit == f"main@sha1:{commit}":
                return loaded

    def is_quiet(self, seconds: float = 1.5) -> bool:
        try:
            self.loads.get(timeout=seconds)
        except queue.Empty:
            return True
        return False


@pytest.fixture
def follow() -> Iterator[Follow]:
    started: list[Followed] = []

    def start(source: GitSource) -> Followed:
        started.append(Followed(source))
        return started[-1]

    yield start
    for each in started:
        each.stop.set()
        each.source.poke()
        each.thread.join(DEADLINE)
        assert not each.thread.is_alive()


def names(loaded: Loaded) -> list[str]:
    return [each.resource.name for each in loaded.manifests]


def replicas(loaded: Loaded) -> int | None:
    return service_of(loaded.manifests[0]).spec.replicas


def again(source: GitSource) -> Loaded:
    """Let a source fetch its repository once more."""
    source.look()
    return source.load()


def test_it_is_a_source(make: Make, repository: Repository) -> None:
    source: Source = make(repository.bare)
    assert (source.kind, source.place) == ("git", f"{repository.bare}#main:apps")


def test_all_of_a_commit_is_loaded_with_its_name(make: Make, repository: Repository) -> None:
    commit = repository.commit({"apps/wiki.yaml": manifest("wiki"), "other/x.yaml": manifest("x")})
    loaded = make(f"file://{repository.bare}").load()
    assert (names(loaded), loaded.problems, loaded.complete) == (["files", "wiki"], (), True)
    assert loaded.commit == f"main@sha1:{commit}"
    assert loaded.touched is None
    assert loaded.setback is None


def test_credentials_in_a_url_work_and_are_nowhere(
    make: Make, repository: Repository, tmp_path: Path
) -> None:
    secret = "hunter2"
    basic = base64.b64encode(f"ada:{secret}".encode()).decode()
    with serving(tmp_path, basic) as url:
        seen: list[Fetch] = []
        whole = f"{url}/infra.git".replace("http://", f"http://ada:{secret}@")
        source = make(whole, observe=seen.append)
        loaded = source.load()
    assert names(loaded) == ["files"]
    again(source)
    assert seen[-1].setback is not None
    everything = [source.place, repr(source.address), repr(seen), repr(loaded)]
    everything += [
        path.read_bytes().decode(errors="replace")
        for path in (tmp_path / "state").rglob("*")
        if path.is_file()
    ]
    assert not [text for text in everything if secret in text]


def test_credentials_come_from_a_file(make: Make, repository: Repository, tmp_path: Path) -> None:
    with serving(tmp_path, base64.b64encode(b"ada:hunter2").decode()) as url:
        store = tmp_path / "it's a store"
        store.write_text(url.replace("http://", "http://ada:hunter2@") + "\n")
        assert make(f"{url}/infra.git").load().setback is not None
        loaded = make(f"{url}/infra.git", credentials=Credentials(store=store)).load()
    assert names(loaded) == ["files"]


def test_a_question_is_never_asked(make: Make, repository: Repository, tmp_path: Path) -> None:
    with serving(tmp_path, "nobody") as url:
        loaded = make(f"{url}/infra.git").load()
    assert loaded.setback is not None
    assert "terminal prompts disabled" in loaded.setback.message or "Authentication" in loaded.setback.message


def test_ssh_with_a_key_and_a_known_host(make: Make, ssh: SSH, tmp_path: Path) -> None:
    known = Credentials(ssh_key=ssh.key, known_hosts=ssh.known_hosts)
    assert names(make(ssh.url, credentials=known).load()) == ["files"]


def test_ssh_refuses_a_host_that_is_not_known(make: Make, ssh: SSH, tmp_path: Path) -> None:
    nobody = tmp_path / "nobody"
    nobody.touch()
    loaded = make(ssh.url, credentials=Credentials(ssh_key=ssh.key, known_hosts=nobody)).load()
    assert loaded.setback is not None
    assert "Host key verification failed" in loaded.setback.message


def test_a_push_is_seen_at_once_after_a_poke(make: Make, follow: Follow, repository: Repository) -> None:
    followed = follow(make(repository.bare))
    assert replicas(followed.next()) is None
    for wanted in (5, 3):
        commit = repository.commit({"apps/files.yaml": manifest("files", f", replicas: {wanted}")})
        followed.source.poke()
        # The polling interval is NEVER.
        assert replicas(followed.until(commit)) == wanted


def test_a_push_is_seen_by_polling(make: Make, follow: Follow, repository: Repository) -> None:
    followed = follow(make(repository.bare, interval=0.5))
    followed.next()
    commit = repository.commit({"apps/files.yaml": manifest("files", ", replicas: 5")})
    assert replicas(followed.until(commit)) == 5


def test_many_pushes_end_at_the_last_one_after_few_fetches(
    make: Make, follow: Follow, repository: Repository
) -> None:
    fetches: list[Fetch] = []
    followed = follow(make(repository.bare, observe=fetches.append))
    started = time.monotonic()
    for number in range(1, 31):
        commit = repository.commit({"apps/files.yaml": manifest("files", f", replicas: {number}")})
        followed.source.poke()
    assert replicas(followed.until(commit)) == 30
    assert len(fetches) <= time.monotonic() - started + 3


def test_nothing_is_told_when_nothing_happens(make: Make, follow: Follow, repository: Repository) -> None:
    fetches: list[Fetch] = []
    followed = follow(make(repository.bare, interval=0.1, observe=fetches.append))
    followed.next()
    assert followed.is_quiet(1.0)
    assert len(fetches) > 3
    assert {fetch.is_news for fetch in fetches[1:]} == {False}


def test_a_force_push_is_followed(make: Make, repository: Repository) -> None:
    first = repository.git("rev-parse", "HEAD")
    for number in range(3):
        repository.commit({"apps/files.yaml": manifest("files", f", replicas: {number + 2}")})
    source = make(repository.bare)
    assert replicas(source.load()) == 4
    repository.git("reset", "--quiet", "--hard", first)
    commit = repository.commit({"apps/wiki.yaml": manifest("wiki")})
    loaded = again(source)
    assert (names(loaded), loaded.commit) == (["files", "wiki"], f"main@sha1:{commit}")


def test_a_server_that_is_away_changes_nothing_but_what_is_said(
    make: Make, repository: Repository, tmp_path: Path
) -> None:
    with serving(tmp_path) as url:
        source = make(f"{url}/infra.git")
        before = source.load()
    loaded = again(source)
    assert (loaded.manifests, loaded.commit) == (before.manifests, before.commit)
    assert not loaded.complete
    assert loaded.setback is not None
    assert loaded.setback.reason == "FetchFailed"
    assert f"still using {before.commit[10:22]}" in loaded.setback.message
    # A controller that starts meanwhile finds the last good commit too.
    restarted = make(f"{url}/infra.git").load()
    assert (names(restarted), restarted.commit) == (["files"], before.commit)
    commit = repository.commit({"apps/files.yaml": manifest("files", ", replicas: 5")})
    with serving(tmp_path, port=int(url.rpartition(":")[2])):
        loaded = again(source)
    assert (loaded.commit, loaded.setback, loaded.problems) == (f"main@sha1:{commit}", None, ())


def test_without_any_commit_nothing_is_complete(make: Make, tmp_path: Path) -> None:
    loaded = make(tmp_path / "nowhere.git").load()
    assert (loaded.manifests, loaded.complete, loaded.commit) == ((), False, "")
    assert loaded.setback is not None
    assert [problem.message for problem in loaded.problems] == [loaded.setback.message]


def test_a_branch_that_is_missing_is_named(make: Make, repository: Repository) -> None:
    loaded = make(repository.bare, branch="production").load()
    assert loaded.setback is not None
    assert "couldn't find remote ref refs/heads/production" in loaded.setback.message


def test_a_path_that_is_missing_is_a_problem(make: Make, repository: Repository) -> None:
    loaded = make(repository.bare, path="nowhere").load()
    assert not loaded.complete
    assert [problem.message for problem in loaded.problems] == ["does not exist"]


def truncate_objects(repository: Path) -> None:
    for path in (repository / "objects").rglob("*"):
        if path.is_file():
            path.chmod(0o600)
            path.write_bytes(b"")


DAMAGES: dict[str, Callable[[Path], object]] = {
    "no HEAD": lambda repository: (repository / "HEAD").unlink(),
    "a HEAD of nothing": lambda repository: repository.joinpath("HEAD").write_bytes(b"\0"),
    "empty objects": truncate_objects,
    "a lock left by kill -9": lambda repository: (repository / "shallow.lock").touch(),
    "a lock of the branch": lambda repository: (repository / "refs/heads/main.lock").touch(),
    "nothing left": shutil.rmtree,
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES.keys())
def test_a_damaged_clone_is_replaced(
    make: Make, repository: Repository, tmp_path: Path, damage: Callable[[Path], None]
) -> None:
    source = make(repository.bare)
    source.load()
    (clone,) = (tmp_path / "state").glob("git/*/repository")
    damage(clone)
    assert names(again(source)) == ["files"]
    commit = repository.commit({"apps/files.yaml": manifest("files", ", replicas: 5")})
    damaged = make(repository.bare)
    for each in (source, damaged):
        loaded = again(each)
        assert (replicas(loaded), loaded.commit, loaded.setback) == (5, f"main@sha1:{commit}", None)


def test_a_clone_whose_files_were_touched_is_made_anew_at_the_start(
    make: Make, repository: Repository, tmp_path: Path
) -> None:
    make(repository.bare).load()
    (file,) = (tmp_path / "state").glob("git/*/current/apps/files.yaml")
    file.unlink()
    assert names(make(repository.bare).load()) == ["files"]


def test_readers_see_one_whole_commit(make: Make, repository: Repository, tmp_path: Path) -> None:
    source = make(repository.bare)
    before = source.load().manifests[0].path
    tree = before.resolve()
    repository.commit(
        {"apps/files.yaml": manifest("files", ", replicas: 5"), "apps/more.yaml": manifest("wiki")}
    )
    after = again(source)
    assert after.manifests[0].path == before
    assert before.resolve() != tree
    # A reader that is in progress continues.
    assert "replicas" not in tree.read_text()
    for number in range(3):
        repository.commit({"apps/files.yaml": manifest("files", f", replicas: {number + 2}")})
        again(source)
    (trees,) = (tmp_path / "state").glob("git/*/trees")
    assert len(list(trees.iterdir())) == 2


def test_only_services_whose_files_changed_are_touched(
    make: Make, follow: Follow, repository: Repository, tmp_path: Path
) -> None:
    outside = tmp_path / "secrets" / "wiki.env"
    outside.parent.mkdir()
    outside.write_text("A=1\n")
    repository.commit(
        {
            "apps/files.yaml": manifest("files", ", envFrom: [{file: ../env/files.env}]"),
            "apps/wiki.yaml": manifest("wiki", f", envFrom: [{{file: {outside}}}]"),
            "env/files.env": "A=1\n",
        }
    )
    source = make(repository.bare, secrets=(outside.parent,))
    assert names(source.load()) == ["files", "wiki"]
    repository.commit({"README.md": "elsewhere"})
    assert again(source).touched == frozenset()
    repository.commit({"env/files.env": "A=2\n"})
    assert again(source).touched == {Ref(VAULT_SERVICE, "files")}
    outside.write_text("A=2\n")
    assert again(source).touched == {Ref(VAULT_SERVICE, "wiki")}


@pytest.mark.parametrize("file", ["../../../../../etc/hostname", "/etc/hostname", "/srv/secrets/../x.env"])
def test_a_push_cannot_read_files_of_the_machine(make: Make, repository: Repository, file: str) -> None:
    repository.commit({"apps/wiki.yaml": manifest("wiki", f", envFrom: [{{file: {file}}}]")})
    loaded = make(repository.bare, secrets=(Path("/srv/secrets"),)).load()
    assert (names(loaded), loaded.complete) == (["files"], False)
    (problem,) = loaded.problems
    assert (problem.field, problem.message) == ("spec.envFrom[0].file", "is outside of the repository")


@pytest.mark.parametrize("file", ["../../../../../etc/shadow", "/etc/shadow"])
def test_nor_give_them_to_containers_as_secrets(make: Make, repository: Repository, file: str) -> None:
    secrets = f", secrets: [{{name: own, file: own.age}}, {{name: x, file: {file}}}]"
    repository.commit({"apps/wiki.yaml": manifest("wiki", secrets), "apps/own.age": "sealed\n"})
    loaded = make(repository.bare).load()
    assert not loaded.complete
    (problem,) = loaded.problems
    assert (problem.field, problem.message) == ("spec.secrets[1].file", "is outside of the repository")


def test_a_link_in_a_repository_leads_nowhere(make: Make, repository: Repository, tmp_path: Path) -> None:
    secret = tmp_path / "secret.yaml"
    secret.write_text(manifest("stolen"))
    (repository.work / "apps/link.yaml").symlink_to(secret)
    repository.commit({})
    loaded = make(repository.bare).load()
    assert names(loaded) == ["files"]
    # The file holds a path and is not a manifest.
    assert [file.name for file in loaded.foreign] == ["link.yaml"]


def test_hooks_and_filters_of_a_repository_do_not_run(
    make: Make, repository: Repository, tmp_path: Path
) -> None:
    mark = tmp_path / "ran"
    for hook in ("post-checkout", "reference-transaction", "post-merge"):
        path = repository.work / "hooks" / hook
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"#!/bin/sh\ntouch {mark}\n")
        path.chmod(0o755)
    repository.commit(
        {".gitattributes": "* filter=evil\n", ".gitconfig": f'[filter "evil"]\nsmudge=touch {mark}\n'}
    )
    assert names(make(repository.bare).load()) == ["files"]
    assert not mark.exists()


@pytest.fixture
def signing(tmp_path: Path) -> Signing:
    return Signing(tmp_path / "keys")


def test_a_signed_commit_is_applied(make: Make, repository: Repository, signing: Signing) -> None:
    commit = repository.commit({"apps/wiki.yaml": manifest("wiki")}, *signing.options("ada"))
    source = make(repository.bare, trust=Trust(signing.allow("ada")))
    loaded = source.load()
    assert (names(loaded), loaded.commit, loaded.setback) == (["files", "wiki"], f"main@sha1:{commit}", None)
    assert source.signer == "ada@example.com"


@pytest.mark.parametrize(
    ("signer", "says"), [(None, "is not signed"), ("mallory", "is signed with a key that is not allowed")]
)
def test_a_commit_of_nobody_we_know_is_not_applied(
    make: Make, repository: Repository, signing: Signing, signer: str | None, says: str
) -> None:
    good = repository.commit({"apps/wiki.yaml": manifest("wiki")}, *signing.options("ada"))
    source = make(repository.bare, trust=Trust(signing.allow("ada")))
    source.load()
    options = signing.options(signer) if signer else ()
    bad = repository.commit({"apps/wiki.yaml": None}, *options)
    loaded = again(source)
    assert (names(loaded), loaded.commit) == (["files", "wiki"], f"main@sha1:{good}")
    assert loaded.setback is not None
    assert loaded.setback.reason == "UntrustedCommit"
    assert f"{bad[:12]} by Ada <ada@example.com> {says}" in loaded.setback.message
    assert f"still using {good[:12]}" in loaded.setback.message
    assert source.signer == "ada@example.com"
    better = repository.commit({"apps/more.yaml": manifest("more")}, *signing.options("ada"))
    loaded = again(source)
    assert (loaded.commit, loaded.setback) == (f"main@sha1:{better}", None)


def test_a_first_commit_that_is_not_trusted_starts_nothing(
    make: Make, repository: Repository, signing: Signing
) -> None:
    loaded = make(repository.bare, trust=Trust(signing.allow("ada"))).load()
    assert (loaded.manifests, loaded.complete, loaded.commit) == ((), False, "")


@pytest.fixture
def keyring() -> Iterator[Path]:
    """A GnuPG directory with the key of Ada. Its path is short, because the agent's socket is in it."""
    directory = Path(tempfile.mkdtemp(prefix="gpg-"))
    environ = {"GNUPGHOME": str(directory)}
    words = ("gpg", "--batch", "--quiet", "--passphrase", "", "--quick-generate-key")
    sh(*words, "Ada <ada@example.com>", "ed25519", "sign", "never", cwd=directory, **environ)
    yield directory
    sh("gpgconf", "--kill", "all", cwd=directory, **environ)
    # The agent removes its sockets itself, a moment later.
    shutil.rmtree(directory, ignore_errors=True)


def test_a_keyring_says_who_may_sign_with_gnupg(
    make: Make, repository: Repository, keyring: Path, signing: Signing, tmp_path: Path
) -> None:
    (repository.work / "apps/wiki.yaml").write_text(manifest("wiki"))
    repository.git("add", "--all")
    words = ("git", "commit", "--quiet", "-m", "Signed", "--gpg-sign=ada@example.com")
    sh(*words, cwd=repository.work, GNUPGHOME=str(keyring))
    repository.push()
    trusting = make(repository.bare, trust=Trust(keyring=keyring))
    assert names(trusting.load()) == ["files", "wiki"]
    shutil.rmtree(tmp_path / "state")
    nobody = tmp_path / "nobody"
    nobody.mkdir(mode=0o700)
    for trust in (Trust(keyring=nobody), Trust(signing.allow("ada"))):
        loaded = make(repository.bare, trust=trust).load()
        assert loaded.manifests == ()
        assert loaded.setback is not None
        assert loaded.setback.reason == "UntrustedCommit"
    # A keyring does not allow SSH keys.
    repository.commit({}, *signing.options("ada"))
    trusting.look()
    refused = trusting.load().setback
    assert refused is not None
    assert refused.reason == "UntrustedCommit"
