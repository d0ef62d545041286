"""Importing a plugin: every possible mistake is a BrokenPluginError that says what to do."""

import sys
from pathlib import Path
from textwrap import indent
from types import ModuleType
from typing import Any

import pytest

from vault_plugins.failures import BrokenPluginError
from vault_plugins.loading import DirectoryPlugin, LoadedPlugin, load

CLASS = """
from vault_plugins import VaultServicePlugin

class {name}(VaultServicePlugin):
    metadata = VaultServicePlugin.Metadata(name="X", slug="files", default_port=80)
{body}
    def build_compose(self, env):
        return {{}}

    def get_containers(self):
        return []
"""


def _source(body: str = "", name: str = "FilesPlugin") -> str:
    return CLASS.format(name=name, body=indent(body, "    "))


def _load(path: Path) -> LoadedPlugin:
    return load(DirectoryPlugin("files", path))


@pytest.mark.parametrize(
    ("source", "complaint"),
    [
        ("def (:", "SyntaxError: invalid syntax"),
        ("from nowhere_at_all import x", "ModuleNotFoundError: No module named 'nowhere_at_all'"),
        ("from vault_plugins import NoSuchThing", "ImportError: cannot import name 'NoSuchThing'"),
        ("from .helpers import x", "ModuleNotFoundError: No module named"),
        ("raise SystemExit(1)", "SystemExit: 1"),
        ("import sys; sys.exit('bye')", "SystemExit: bye"),
        ("raise Exception('at import')", "Exception: at import"),
        ("def f(): f()\nf()", "RecursionError: maximum recursion depth exceeded"),
        ("", "it has no subclass of VaultServicePlugin; write `class MyPlugin(VaultServicePlugin): ...`"),
        ("class P: pass", "it has no subclass of VaultServicePlugin"),
        ("from vault_plugins import VaultServicePlugin", "it has no subclass of VaultServicePlugin"),
        (
            _source() + _source(name="Other"),
            "it has more than one plugin, FilesPlugin and Other; give each a",
        ),
        (_source("metadata = None\n"), "it has no metadata; write `metadata = VaultServicePlugin.Metadata("),
        (_source('metadata = {"slug": "files"}\n'), "it has no metadata"),
        (
            _source().replace('"files"', '"Not A Slug"'),
            "metadata: slug is 'Not A Slug'; make it 1 to 40 of a-z",
        ),
        (_source().replace("default_port=80", "default_port=0"), "metadata: default_port is 0"),
        (_source().replace("default_port", "port"), "TypeError: "),
        (
            _source('dependencies = "db"\n'),
            "dependencies is 'db'; make it a tuple of service names, like ('db',)",
        ),
        (_source("dependencies = (1,)\n"), "dependencies is (1,)"),
        (_source("dependencies = None\n"), "dependencies is None"),
        (_source("min_replicas = 0\n"), "min_replicas is 0; make it a number from 1"),
        (_source('min_replicas = "2"\n'), "min_replicas is '2'"),
        (_source("min_replicas = True\n"), "min_replicas is True"),
        (_source('default_environment = {"PORT": 80}\n'), "default_environment is not a mapping of texts"),
        (_source('default_environment = ["A=b"]\n'), "default_environment is not a mapping of texts"),
        (_source("single_writer = 1\n"), "single_writer is 1; make it True or False"),
        (_source("def __init__(self, needed):\n    pass\n"), "TypeError: "),
        (_source("def __init__(self):\n    raise SystemExit\n"), "SystemExit"),
        (
            _source().replace("def build_compose", "def other"),
            "TypeError: Can't instantiate abstract class FilesPlugin",
        ),
    ],
)
def test_a_broken_plugin_says_what_is_wrong(tmp_path: Path, source: str, complaint: str) -> None:
    path = tmp_path / "plugin.py"
    path.write_text(source)
    with pytest.raises(BrokenPluginError) as caught:
        _load(path)
    assert caught.value.broken.error.startswith(complaint)
    assert caught.value.broken.path == path


def test_an_environment_that_is_wrong_is_not_printed(tmp_path: Path) -> None:
    path = tmp_path / "plugin.py"
    path.write_text(_source('default_environment = {"TOKEN": ["hunter2"]}\n'))
    with pytest.raises(BrokenPluginError) as caught:
        _load(path)
    assert "hunter2" not in str(caught.value)


def test_a_directory_needs_no_init_file_for_its_plugin_to_import_siblings(tmp_path: Path) -> None:
    (tmp_path / "plugin.py").write_text(
        _source("image = IMAGE\n").replace("\nclass", "from .images import IMAGE\n\nclass")
    )
    (tmp_path / "images.py").write_text('IMAGE = "example/files:1"')
    assert vars(type(_load(tmp_path / "plugin.py").plugin))["image"] == "example/files:1"


def test_an_init_file_runs_before_the_plugin_and_once(tmp_path: Path) -> None:
    (tmp_path / "__init__.py").write_text("COUNT = []")
    (tmp_path / "plugin.py").write_text(
        "from . import COUNT\nCOUNT.append(1)\n" + _source("count = len(COUNT)\n")
    )
    assert vars(type(_load(tmp_path / "plugin.py").plugin))["count"] == 1


def test_an_error_in_a_sibling_is_reported_there(tmp_path: Path) -> None:
    (tmp_path / "plugin.py").write_text("from .helper import x")
    (tmp_path / "helper.py").write_text("\nx = 1 / 0\n")
    with pytest.raises(BrokenPluginError) as caught:
        _load(tmp_path / "plugin.py")
    broken = caught.value.broken
    assert (broken.path, broken.line, broken.error) == (
        tmp_path / "helper.py",
        2,
        "ZeroDivisionError: division by zero",
    )


def test_a_plugin_may_be_defined_in_a_sibling_and_exported_under_two_names(tmp_path: Path) -> None:
    (tmp_path / "impl.py").write_text(_source())
    (tmp_path / "plugin.py").write_text("from .impl import FilesPlugin\nPLUGIN = FilesPlugin\n")
    assert _load(tmp_path / "plugin.py").slug == "files"


def test_a_plugin_built_on_another_is_the_one_that_counts(tmp_path: Path) -> None:
    (tmp_path / "plugin.py").write_text(
        "from vault_plugins.whoami.plugin import WhoamiPlugin\n"
        "class Base(WhoamiPlugin): pass\n"
        "class Mine(Base):\n"
        "    metadata = WhoamiPlugin.Metadata('M', 'mine', 80)\n"
    )
    assert _load(tmp_path / "plugin.py").slug == "mine"


def test_what_was_edited_is_what_is_loaded_next(tmp_path: Path) -> None:
    path = tmp_path / "plugin.py"
    (tmp_path / "images.py").write_text("IMAGE = 'old'")
    path.write_text(_source("image = IMAGE\n").replace("\nclass", "from .images import IMAGE\n\nclass"))
    first = _load(path)
    (tmp_path / "images.py").write_text("IMAGE = 'newer'")
    second = _load(path)
    assert [vars(type(found.plugin))["image"] for found in (first, second)] == ["old", "newer"]


class ImportedMeanwhile(str):
    """The name of a module; reading it adds another module to sys.modules."""

    def startswith(self, prefix: str | tuple[str, ...], *span: Any) -> bool:
        sys.modules["appeared_meanwhile"] = ModuleType("appeared_meanwhile")
        return super().startswith(prefix, *span)


def test_another_thread_may_import_meanwhile(samples: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    name = ImportedMeanwhile("looked_at")
    monkeypatch.setitem(sys.modules, name, ModuleType(name))
    assert load(DirectoryPlugin("files", samples / "files" / "plugin.py")).slug == "files"
    assert sys.modules.pop("appeared_meanwhile", None) is not None


def test_each_build_gets_an_instance_of_its_own(samples: Path) -> None:
    loaded = load(DirectoryPlugin("files", samples / "files" / "plugin.py"))
    one, other = loaded.create(), loaded.create()
    one.build_compose({"VAULT_WEB_REPLICAS": "3"})
    other.build_compose({"VAULT_WEB_REPLICAS": "2"})
    assert list(one.get_containers()) == ["files_web1", "files_web2", "files_web3"]
    assert list(other.get_containers()) == ["files_web1", "files_web2"]


def test_a_constructor_that_fails_later_names_its_plugin(tmp_path: Path) -> None:
    path = tmp_path / "plugin.py"
    path.write_text(
        _source("made = []\ndef __init__(self):\n    self.made.append(1)\n    1 / (2 - len(self.made))\n")
    )
    loaded = _load(path)
    with pytest.raises(BrokenPluginError, match=r"plugin 'files' is broken: .*ZeroDivisionError"):
        loaded.create()


def test_loading_leaves_the_import_path_alone(tmp_path: Path) -> None:
    before = list(sys.path)
    (tmp_path / "plugin.py").write_text(_source())
    _load(tmp_path / "plugin.py")
    assert sys.path == before
