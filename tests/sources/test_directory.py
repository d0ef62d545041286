"""Files are changed as editors, deployments and volumes do it, and a real watcher has to notice in time."""

from __future__ import annotations

import os
import queue
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from reconciler.sources import kernel
from reconciler.sources.base import Source
from reconciler.sources.directory import DirectorySource
from reconciler.sources.kernel import POLL

DEADLINE = 60.0
SELDOM = 40.0
"""Polling interval in seconds in tests about events."""

QUIET = 0.3
"""Seconds after which all pending kernel events have arrived."""


def manifest(name: str, port: int = 8080, spec: str = "") -> str:
    return (
        "apiVersion: vault.internal/v1alpha1\nkind: VaultService\n"
        f"metadata: {{name: {name}}}\nspec: {{plugin: whoami, ports: {{http: {port}}}{spec}}}\n"
    )


class Watched:
    """A source whose watcher runs in a thread and that is loaded after each yield, as the controller does."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.source = DirectorySource(path)
        self.loads: queue.SimpleQueue[tuple[float, tuple[str, ...]]] = queue.SimpleQueue()
        self.stop = threading.Event()
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.source.load()
        self.thread.start()
        # Events of the start are handled before a test changes something.
        self.settle()

    def _run(self) -> None:
        for _ in self.source.watch(self.stop):
            loaded = self.source.load()
            self.loads.put((time.monotonic(), tuple(each.resource.name for each in loaded.manifests)))

    def settle(self) -> None:
        """Wait until there are no more events, and discard the past ones."""
        try:
            while True:
                self.loads.get(timeout=QUIET)
        except queue.Empty:
            pass

    def seconds_until(self, wanted: Callable[[tuple[str, ...]], bool] = lambda names: True) -> float:
        """Seconds until the end of the first load with the expected result."""
        started = time.monotonic()
        while True:
            when, names = self.loads.get(timeout=DEADLINE)
            if wanted(names):
                return max(0.0, when - started)

    def end(self) -> None:
        """Stop, without waiting for the next poll."""
        self.stop.set()
        if self.path.is_dir():
            (self.path / "wakes.yaml").touch()

    def is_quiet(self) -> bool:
        try:
            self.loads.get(timeout=QUIET)
        except queue.Empty:
            return True
        return False


@pytest.fixture
def seldom(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make polling too slow, so that only events are noticed in time."""
    monkeypatch.setattr(kernel, "POLL", SELDOM)


@pytest.fixture
def watch() -> Iterator[Callable[[Path], Watched]]:
    started: list[Watched] = []

    def make(path: Path) -> Watched:
        started.append(Watched(path))
        return started[-1]

    yield make
    for each in started:
        each.end()
        each.thread.join(DEADLINE)
        assert not each.thread.is_alive()


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """A directory with the manifests `files` and, below it, `wiki`."""
    path = tmp_path / "manifests"
    (path / "more").mkdir(parents=True)
    (path / "files.yaml").write_text(manifest("files", 8081))
    (path / "more" / "wiki.yml").write_text(manifest("wiki", 8082))
    return path


def names(source: Source) -> tuple[str, ...]:
    return tuple(each.resource.name for each in source.load().manifests)


# Loading


def test_every_manifest_below_a_directory_is_loaded(directory: Path) -> None:
    (directory / "notes.txt").write_text("no manifest")
    (directory / ".hidden.yaml").write_text(manifest("hidden"))
    (directory / ".git").mkdir()
    (directory / ".git" / "old.yaml").write_text(manifest("old"))
    (directory / "compose.yaml").write_text("services: {}\napiVersion: v1\nkind: Other\n")
    source: Source = DirectorySource(directory)
    loaded = source.load()
    assert [(each.resource.name, each.path, each.line) for each in loaded.manifests] == [
        ("files", directory / "files.yaml", 1),
        ("wiki", directory / "more" / "wiki.yml", 1),
    ]
    assert (loaded.problems, loaded.complete, loaded.commit) == ((), True, "")
    assert (source.kind, source.place) == ("directory", str(directory))


def test_one_file_is_a_source_too(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(directory)
    source = DirectorySource(Path("files.yaml"))
    assert source.place == str(directory / "files.yaml")
    assert names(source) == ("files",)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("kind: VaultService\nspec: [", "more/wiki.yml:"),
        (manifest("wiki", spec=", replica: 3"), "did you mean replicas?"),
        ("", "more/wiki.yml: is empty; remove the file if its services are to be deleted"),
        (manifest("files", 8082), "files is already defined at"),
        (manifest("wiki", 8081), "8081 is already used by files at"),
    ],
    ids=["no YAML", "misspelt", "emptied", "same name", "same port"],
)
def test_a_bad_file_is_a_problem_that_makes_the_source_incomplete(
    directory: Path, text: str, problem: str
) -> None:
    (directory / "zoo.yaml").write_text(manifest("zoo", 8089))
    (directory / "more" / "wiki.yml").write_text(text)
    loaded = DirectorySource(directory).load()
    assert "zoo" in [each.resource.name for each in loaded.manifests]
    assert "wiki" not in [each.resource.name for each in loaded.manifests]
    (found,) = loaded.problems
    assert problem in str(found)
    assert not loaded.complete


def test_a_name_in_two_files_is_a_problem_that_names_both_and_neither_is_used(directory: Path) -> None:
    (directory / "z.yaml").write_text(manifest("files", 8089))
    loaded = DirectorySource(directory).load()
    assert [each.resource.name for each in loaded.manifests] == ["wiki"]
    (found,) = loaded.problems
    assert f"{directory}/z.yaml:3" in str(found)
    assert f"{directory}/files.yaml:3" in str(found)


@pytest.mark.parametrize("also", [None, "services: {}\napiVersion: v1\nkind: Other\n"])
def test_a_directory_without_manifests_is_read_whole(tmp_path: Path, also: str | None) -> None:
    if also:
        (tmp_path / "compose.yaml").write_text(also)
    loaded = DirectorySource(tmp_path).load()
    assert (loaded.manifests, loaded.problems, loaded.complete) == ((), (), True)


def test_a_place_that_is_not_there_says_nothing_about_what_was_there(tmp_path: Path) -> None:
    loaded = DirectorySource(tmp_path / "unmounted").load()
    assert loaded.manifests == ()
    assert not loaded.complete
    assert "does not exist" in str(loaded.problems[0])


def test_what_is_written_while_it_is_read_is_not_complete(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from reconciler.api import survey

    def slow(path: Path) -> object:
        found = survey(path)
        (directory / "new.yaml").write_text(manifest("new", 8083))
        return found

    source = DirectorySource(directory)
    with monkeypatch.context() as patched:
        patched.setattr("reconciler.sources.directory.survey", slow)
        assert not source.load().complete
    # The watcher yields again, so the change is not lost.
    assert next(source.watch(threading.Event()), "nothing") is None
    assert source.load().complete


# Watching


def save_in_place(path: Path, text: str) -> None:
    path.write_text(text)


def save_by_rename(path: Path, text: str) -> None:
    temporary = path.with_name(f"{path.name}~")
    temporary.write_text(text)
    temporary.replace(path)


def save_like_vim(path: Path, text: str) -> None:
    backup = path.with_name(f"{path.name}~")
    path.rename(backup)
    path.write_text(text)
    backup.unlink()


@pytest.mark.parametrize("save", [save_in_place, save_by_rename, save_like_vim])
@pytest.mark.parametrize("single", [True, False])
def test_a_saved_file_is_loaded_within_50_ms(
    directory: Path,
    watch: Callable[[Path], Watched],
    save: Callable[[Path, str], None],
    single: bool,
) -> None:
    path = directory / "files.yaml"
    watched = watch(path if single else directory)
    delays = []
    for number in range(5):
        save(path, manifest(f"new-{number}", 8081))
        delays.append(watched.seconds_until(having(f"new-{number}")))
        watched.settle()
    # A busy machine may be late sometimes; a watcher that polls would be late every time.
    assert min(delays) < 0.05


def having(name: str) -> Callable[[tuple[str, ...]], bool]:
    """Whether a load has this service."""
    return lambda found: name in found


def test_files_and_directories_that_appear_and_disappear_are_noticed(
    directory: Path, watch: Callable[[Path], Watched]
) -> None:
    watched = watch(directory)
    (directory / "deep" / "er").mkdir(parents=True)
    (directory / "deep" / "er" / "zoo.yaml").write_text(manifest("zoo", 8089))
    watched.seconds_until(lambda found: found == ("zoo", "files", "wiki"))
    (directory / "deep" / "er" / "zoo.yaml").write_text(manifest("zoo2", 8089))
    watched.seconds_until(lambda found: found == ("zoo2", "files", "wiki"))
    shutil.rmtree(directory / "deep")
    watched.seconds_until(lambda found: found == ("files", "wiki"))
    (directory / "more").rename(directory / "moved")
    watched.settle()
    (directory / "moved" / "wiki.yml").unlink()
    watched.seconds_until(lambda found: found == ("files",))


def test_other_files_are_not_worth_a_load(directory: Path, watch: Callable[[Path], Watched]) -> None:
    (directory / ".git").mkdir()
    watched = watch(directory)
    (directory / "notes.txt").write_text("x")
    (directory / ".files.yaml.swp").write_text("x")
    (directory / "4913").touch()
    (directory / "4913").unlink()
    (directory / ".git" / "index.yaml").write_text("x")
    (directory / "files.yaml").read_text()
    assert watched.is_quiet()


def test_a_volume_that_switches_a_link_like_a_config_map_is_noticed(
    tmp_path: Path, watch: Callable[[Path], Watched]
) -> None:
    for version in ("old", "new"):
        (tmp_path / f"..{version}").mkdir()
        (tmp_path / f"..{version}" / "files.yaml").write_text(manifest(f"files-{version}"))
    (tmp_path / "..data").symlink_to("..old")
    (tmp_path / "files.yaml").symlink_to("..data/files.yaml")
    watched = watch(tmp_path)
    assert names(watched.source) == ("files-old",)
    (tmp_path / "..tmp").symlink_to("..new")
    (tmp_path / "..tmp").rename(tmp_path / "..data")
    watched.seconds_until(lambda found: found == ("files-new",))


def test_a_file_of_settings_elsewhere_is_watched(
    directory: Path, tmp_path: Path, seldom: None, watch: Callable[[Path], Watched]
) -> None:
    secrets = tmp_path / "secrets"
    secrets.mkdir()
    near, far = directory / "near.env", secrets / "far.env"
    near.write_text("A=1")
    spec = f", envFrom: [{{file: near.env}}, {{file: {far}}}]"
    (directory / "files.yaml").write_text(manifest("files", 8081, spec))
    watched = watch(directory)
    for change in (
        lambda: near.write_text("A=2"),
        lambda: far.write_text("B=1"),
        lambda: save_by_rename(far, "B=2"),
        far.unlink,
    ):
        change()
        assert watched.seconds_until() < SELDOM / 2
        watched.settle()
    (secrets / "other.env").write_text("C=1")
    assert watched.is_quiet()


def test_settings_that_a_manifest_names_from_now_on_are_watched_from_now_on(
    directory: Path, tmp_path: Path, seldom: None, watch: Callable[[Path], Watched]
) -> None:
    secrets = tmp_path / "secrets"
    secrets.mkdir()
    watched = watch(directory)
    (directory / "files.yaml").write_text(manifest("files", 8081, f", envFrom: [{{file: {secrets}/a.env}}]"))
    watched.seconds_until()
    watched.settle()
    (secrets / "a.env").write_text("A=1")
    assert watched.seconds_until() < SELDOM / 2


def test_a_directory_that_is_not_there_yet_or_is_replaced_is_found(
    directory: Path, tmp_path: Path, watch: Callable[[Path], Watched], monkeypatch: pytest.MonkeyPatch
) -> None:
    watched = watch(tmp_path / "later")
    (tmp_path / "later").symlink_to(directory)
    watched.seconds_until(lambda found: found == ("files", "wiki"))
    shutil.rmtree(directory)
    watched.seconds_until(lambda found: found == ())
    directory.mkdir()
    watched.settle()
    directory.rmdir()
    directory.mkdir()
    (directory / "zoo.yaml").write_text(manifest("zoo"))
    watched.seconds_until(lambda found: found == ("zoo",))
    watched.settle()
    monkeypatch.setattr(kernel, "POLL", SELDOM)
    time.sleep(2 * POLL)  # until a poll that is in progress has ended
    # The new directory may have the inode of the old one, and has to be watched anyway.
    (directory / "zoo.yaml").write_text(manifest("zoo2"))
    assert watched.seconds_until() < SELDOM / 2


def test_two_saves_within_one_tick_of_the_clock_are_told_apart(
    directory: Path, watch: Callable[[Path], Watched]
) -> None:
    path = directory / "files.yaml"
    watched = watch(directory)
    stamp = path.stat()
    path.write_text(manifest("filez", 8081))
    os.utime(path, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
    assert path.stat().st_mtime_ns == stamp.st_mtime_ns
    watched.seconds_until(lambda found: found == ("filez", "wiki"))


def test_a_change_between_load_and_watch_is_not_lost(directory: Path) -> None:
    source = DirectorySource(directory)
    source.load()
    (directory / "files.yaml").unlink()
    assert next(source.watch(threading.Event()), "nothing") is None


def test_a_change_while_the_caller_is_busy_is_not_lost(directory: Path) -> None:
    source = DirectorySource(directory)
    stop = threading.Event()
    yields = source.watch(stop)
    next(yields)
    for number in range(20):
        source.load()
        # The same length each time, and often within one tick of the clock that stamps files.
        (directory / "files.yaml").write_text(manifest(f"files-{number:02}", 8081))
        next(yields)
    assert names(source) == ("files-19", "wiki")


def test_many_changes_at_once_are_few_loads(directory: Path, watch: Callable[[Path], Watched]) -> None:
    watched = watch(directory)
    for number in range(200):
        (directory / f"s{number}.yaml").write_text(manifest(f"s{number}", 9000 + number))
    loads = 1
    while len(watched.loads.get(timeout=DEADLINE)[1]) < 202:
        loads += 1
    assert loads < 20


def test_without_watches_of_the_kernel_changes_are_noticed_by_looking(
    directory: Path, watch: Callable[[Path], Watched], monkeypatch: pytest.MonkeyPatch
) -> None:
    def none_left(*_: object) -> object:
        raise OSError(28, "inotify watch limit reached")

    monkeypatch.setattr("inotify_simple.INotify", none_left)
    watched = watch(directory)
    (directory / "files.yaml").write_text(manifest("renamed", 8081))
    watched.seconds_until(lambda found: "renamed" in found)


def test_a_watcher_stops_when_it_is_told_to(directory: Path) -> None:
    source = DirectorySource(directory)
    source.load()
    stop = threading.Event()
    timer = threading.Timer(0.1, stop.set)
    timer.start()
    started = time.monotonic()
    assert list(source.watch(stop)) == []
    assert time.monotonic() - started < DEADLINE
    timer.join()
