"""Discovery: where plugins are found, what is imported when, and what happens to the ones that cannot be used."""

import os
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from vault_plugins.failures import BrokenPluginError
from vault_plugins.registry import UnknownPluginError, discover, search_path_from

WritePlugin = Callable[..., Path]

PACKAGE = Path(__file__).parents[2] / "vault_plugins"
SHIPPED = tuple(sorted(path.parent.name.replace("_", "-") for path in PACKAGE.glob("*/plugin.py")))
ENTRY_POINT_DISTRIBUTION = "acme_plugins-1.2.dist-info"


def test_the_shipped_plugins_are_there_without_a_search_path() -> None:
    registry = discover([])
    assert registry.names == SHIPPED
    assert tuple(registry.plugins) == SHIPPED
    assert registry.broken == {}


def test_the_guides_plugin_works_unchanged(samples: Path) -> None:
    plugin = discover([samples]).get("myservice").create()
    fragment = plugin.build_compose({"VAULT_WEB_REPLICAS": "3", "VAULT_WEB_PORT": "9000"})
    assert plugin.get_containers() == ["myservice-web"]
    assert fragment["services"]["myservice-web"]["deploy"] == {"replicas": 3}
    assert fragment["services"]["myservice-web"]["ports"] == ["9000:8080"]
    assert plugin.resolve_healthcheck({}) == ("/healthz", "localhost")
    assert plugin.single_writer is False


@pytest.mark.parametrize(
    ("directory", "slug"), [("files", "files"), ("my_files", "my-files"), ("my-files", "my-files")]
)
def test_a_directory_of_the_search_path_is_enough(
    write_plugin: WritePlugin, tmp_path: Path, directory: str, slug: str
) -> None:
    path = write_plugin(directory, slug=slug)
    registry = discover([tmp_path / "plugins"])
    assert slug in registry.names
    assert registry.get(slug).path == path


def test_discovery_imports_nothing_and_get_imports_one(write_plugin: WritePlugin, tmp_path: Path) -> None:
    for name in ("one", "two"):
        path = write_plugin(name)
        mark = f"with open({str(tmp_path / name)!r}, 'a') as mark: mark.write('x')\n"
        path.write_text(mark + path.read_text())
    registry = discover([tmp_path / "plugins"])
    assert not (tmp_path / "one").exists()
    registry.get("one")
    registry.get("one")
    assert (tmp_path / "one").read_text() == "x"
    assert not (tmp_path / "two").exists()


def test_a_slug_that_no_directory_is_named_after_is_found_all_the_same(
    write_plugin: WritePlugin, tmp_path: Path
) -> None:
    path = write_plugin("team_a", slug="files")
    registry = discover([tmp_path / "plugins"])
    assert registry.get("files").path == path
    with pytest.raises(UnknownPluginError, match="no plugin 'team-a'"):
        registry.get("team-a")


def test_directories_may_use_the_same_module_names(write_plugin: WritePlugin, tmp_path: Path) -> None:
    for root, slug in (("a", "one"), ("b", "two")):
        path = write_plugin(slug, root=tmp_path / root)
        path.with_name("helper.py").write_text(f"VALUE = {slug!r}")
        path.write_text(path.read_text() + "\nfrom .helper import VALUE\n")
    registry = discover([tmp_path / "a", tmp_path / "b"])
    assert [vars(registry.get(slug).module)["VALUE"] for slug in ("one", "two")] == ["one", "two"]


def test_what_is_no_plugin_directory_is_passed_over(write_plugin: WritePlugin, tmp_path: Path) -> None:
    write_plugin("files")
    for name in (".git", "_template", "__pycache__"):
        write_plugin(name, "1 / 0")
    (tmp_path / "plugins" / "docs").mkdir()
    (tmp_path / "plugins" / "README.md").write_text("hello")
    registry = discover([tmp_path / "plugins"])
    assert registry.names == tuple(sorted((*SHIPPED, "files")))
    assert registry.broken == {}


def test_one_broken_plugin_stops_nothing_but_itself(write_plugin: WritePlugin, tmp_path: Path) -> None:
    write_plugin("good")
    path = write_plugin("bad", "import nowhere_at_all")
    registry = discover([tmp_path / "plugins"])
    assert {"good", *SHIPPED} == set(registry.plugins)
    assert set(registry.broken) == {"bad"}
    with pytest.raises(BrokenPluginError) as caught:
        registry.get("bad")
    message = f"plugin 'bad' is broken: {path}:1: ModuleNotFoundError: No module named 'nowhere_at_all'"
    assert str(caught.value) == message == str(registry.broken["bad"])
    assert registry.get("good").slug == "good"


def test_an_unknown_plugin_gets_the_list_and_the_nearest_name(
    write_plugin: WritePlugin, tmp_path: Path
) -> None:
    write_plugin("bad", "1 / 0")
    with pytest.raises(UnknownPluginError) as caught:
        discover([tmp_path / "plugins"]).get("whoamy")
    assert str(caught.value) == (
        f"there is no plugin 'whoamy', did you mean 'whoami'? There are: {', '.join(SHIPPED)}. Broken: bad."
    )
    assert caught.value.available == SHIPPED


def test_an_unknown_plugin_that_resembles_none_gets_no_suggestion() -> None:
    with pytest.raises(UnknownPluginError) as caught:
        discover([]).get("zzz")
    assert str(caught.value) == f"there is no plugin 'zzz'. There are: {', '.join(SHIPPED)}."


def test_a_name_that_is_there_twice_is_an_error_that_names_both(
    write_plugin: WritePlugin, tmp_path: Path
) -> None:
    paths = [write_plugin("files", root=tmp_path / root) for root in ("a", "b")]
    registry = discover([tmp_path / "a", tmp_path / "b"])
    with pytest.raises(BrokenPluginError, match="'files' exists more than once") as caught:
        registry.get("files")
    assert all(str(path) in str(caught.value) for path in paths)
    assert "files" not in registry.plugins
    assert registry.get("whoami").slug == "whoami"


def test_a_shipped_plugin_is_not_replaced_silently(write_plugin: WritePlugin, tmp_path: Path) -> None:
    path = write_plugin("whoami")
    with pytest.raises(BrokenPluginError) as caught:
        discover([tmp_path / "plugins"]).get("whoami")
    assert str(path) in str(caught.value)
    assert "vault_plugins/whoami/plugin.py" in str(caught.value)


def test_two_slugs_alike_in_directories_of_other_names(write_plugin: WritePlugin, tmp_path: Path) -> None:
    paths = [write_plugin(name, slug="files") for name in ("a", "b")]
    registry = discover([tmp_path / "plugins"])
    assert "files" not in registry.plugins
    assert set(registry.broken) == {"a", "b"}
    assert all(str(path) in str(broken) for path in paths for broken in registry.broken.values())


def test_the_directory_named_like_the_slug_has_it(write_plugin: WritePlugin, tmp_path: Path) -> None:
    own = write_plugin("files")
    other = write_plugin("a", slug="files")
    for ask_first in (True, False):
        registry = discover([tmp_path / "plugins"])
        if ask_first:
            assert registry.get("files").path == own
        assert registry.plugins["files"].path == own
        assert {str(own), str(other)} <= set(str(registry.broken["a"]).split())


def test_a_broken_directory_keeps_its_name_from_others(write_plugin: WritePlugin, tmp_path: Path) -> None:
    write_plugin("files", "1 / 0")
    write_plugin("a", slug="files")
    registry = discover([tmp_path / "plugins"])
    with pytest.raises(BrokenPluginError, match="ZeroDivisionError"):
        registry.get("files")
    assert "files" not in registry.plugins
    assert set(registry.broken) == {"a", "files"}


def test_the_same_file_reached_twice_is_one_plugin(write_plugin: WritePlugin, tmp_path: Path) -> None:
    write_plugin("files")
    (tmp_path / "link").symlink_to(tmp_path / "plugins")
    registry = discover([tmp_path / "plugins", tmp_path / "link", tmp_path / "plugins"])
    assert registry.get("files").slug == "files"
    assert registry.broken == {}


def test_a_directory_that_is_not_there_is_reported_and_the_rest_works(
    write_plugin: WritePlugin, tmp_path: Path
) -> None:
    write_plugin("files")
    missing = tmp_path / "nowhere"
    registry = discover([missing, tmp_path / "plugins"])
    assert registry.get("files").slug == "files"
    assert "VAULT_PLUGIN_PATH lists it, but it cannot be read" in str(registry.broken[str(missing)])


def test_a_relative_directory_still_works_after_a_change_of_directory(
    write_plugin: WritePlugin, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_plugin("files")
    monkeypatch.chdir(tmp_path)
    registry = discover([Path("plugins")])
    monkeypatch.chdir("/")
    assert registry.get("files").slug == "files"


def test_the_environment_is_the_default_search_path(
    write_plugin: WritePlugin, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_plugin("files")
    monkeypatch.setenv("VAULT_PLUGIN_PATH", str(tmp_path / "plugins"))
    assert "files" in discover().names
    assert "files" not in discover([]).names


@pytest.mark.parametrize(
    ("value", "path"),
    [
        (None, ()),
        ("", ()),
        ("/a", (Path("/a"),)),
        (f"/a{os.pathsep}/b c", (Path("/a"), Path("/b c"))),
        (f"{os.pathsep}/a{os.pathsep}{os.pathsep}", (Path("/a"),)),
    ],
)
def test_search_path(value: str | None, path: tuple[Path, ...]) -> None:
    assert search_path_from({} if value is None else {"VAULT_PLUGIN_PATH": value}) == path


@pytest.mark.parametrize("target", ["acme_by_class.billing:BillingPlugin", "acme_by_module.billing"])
def test_an_installed_distribution_brings_plugins_by_entry_point(
    write_plugin: WritePlugin, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, target: str
) -> None:
    name = target.partition(".")[0]
    _install(tmp_path, monkeypatch, f"billing = {target}\nlost = {name}.gone\n")
    package = tmp_path / "site" / name
    package.mkdir()
    (package / "__init__.py").write_text("")
    source = write_plugin("billing").read_text().replace("GoodPlugin", "BillingPlugin")
    (package / "billing.py").write_text(source)
    registry = discover([])
    assert registry.get("billing").path == package / "billing.py"
    with pytest.raises(BrokenPluginError, match=f"No module named '{name}.gone'"):
        registry.get("lost")


@pytest.mark.parametrize("target", ["no_such_distribution.plugins:X", "..", "json:JSONDecoder"])
def test_an_entry_point_that_leads_nowhere_is_a_broken_plugin(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, target: str
) -> None:
    _install(tmp_path, monkeypatch, f"lost = {target}\n")
    registry = discover([])
    assert set(registry.broken) == {"lost"}
    assert tuple(registry.plugins) == SHIPPED


def test_an_entry_point_may_not_take_the_name_of_another_plugin(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _install(tmp_path, monkeypatch, "whoami = acme_plugins.whoami:Plugin\n")
    with pytest.raises(BrokenPluginError, match="more than once"):
        discover([]).get("whoami")


def test_a_registry_sees_what_was_edited(write_plugin: WritePlugin, tmp_path: Path) -> None:
    path = write_plugin("files", "import nowhere_at_all")
    before = discover([tmp_path / "plugins"])
    assert "files" in before.broken
    write_plugin("files")
    assert discover([tmp_path / "plugins"]).get("files").path == path
    assert "files" not in before.broken


def test_threads_that_ask_at_once_get_the_same_plugin(write_plugin: WritePlugin, tmp_path: Path) -> None:
    path = write_plugin("files")
    path.write_text("import time; time.sleep(0.05)\n" + path.read_text())
    registry = discover([tmp_path / "plugins"])
    start = threading.Barrier(4)
    found: list[object] = []

    def ask() -> None:
        start.wait(timeout=60)
        found.append(registry.get("files"))

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert len(found) == 4
    assert all(one is found[0] for one in found)


def _install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, entry_points: str) -> None:
    metadata = tmp_path / "site" / ENTRY_POINT_DISTRIBUTION
    metadata.mkdir(parents=True)
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: acme-plugins\nVersion: 1.2\n")
    (metadata / "entry_points.txt").write_text(f"[vault_plugins]\n{entry_points}")
    monkeypatch.syspath_prepend(tmp_path / "site")


def test_a_plugin_whose_file_has_changed_is_loaded_again(write_plugin: WritePlugin, tmp_path: Path) -> None:
    path = write_plugin("files")
    (path.parent / "helper.py").write_text("NAME = 'one'\n")
    path.write_text(path.read_text() + "\nfrom .helper import NAME\n")
    registry = discover([tmp_path / "plugins"])
    first = registry.get("files")
    assert registry.get("files") is first
    before = registry.stamps()
    # Within the second of the first one, and of the same size.
    moment = (path.parent / "helper.py").stat()
    (path.parent / "helper.py").write_text("NAME = 'two'\n")
    os.utime(path.parent / "helper.py", ns=(moment.st_atime_ns, moment.st_mtime_ns + 1))
    assert registry.stamps() != before
    second = registry.get("files")
    assert (first.module.NAME, second.module.NAME) == ("one", "two")
    assert registry.get("files") is second


def test_a_plugin_that_breaks_and_is_mended_works_again(write_plugin: WritePlugin, tmp_path: Path) -> None:
    path = write_plugin("files")
    good = path.read_text()
    registry = discover([tmp_path / "plugins"])
    registry.get("files")
    path.write_text("half a li")
    with pytest.raises(BrokenPluginError):
        registry.get("files")
    path.write_text(good)
    assert registry.get("files").slug == "files"
