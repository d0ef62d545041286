"""All manifests are built before anything is done with one, and all mistakes are told together."""

from collections.abc import Callable
from pathlib import Path

import pytest

from reconciler.api import ManifestError, load
from reconciler.app.preparing import prepare
from reconciler.wiring import Options, wire

Manifest = Callable[..., Path]


def test_settings_files_are_relative_to_the_manifest(
    manifest: Manifest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir("/")
    (tmp_path / "files.env").write_text("COLOR=blue\n")
    (tmp_path / "files.env").chmod(0o600)
    application = wire(Options(state_dir=tmp_path / "state"))
    (prepared,) = prepare(application.build, load(manifest(envFrom="[{file: files.env}]")), print)
    assert prepared.stack is not None
    assert prepared.stack.document["services"]["whoami"]["environment"]["COLOR"] == "blue"


def test_build_errors_of_all_manifests_come_together_with_their_places(
    manifest: Manifest, tmp_path: Path
) -> None:
    application = wire(Options(state_dir=tmp_path / "state"))
    paths = [
        manifest("one", plugin="whoam", ports="{http: 8081}"),
        manifest("two", ports="{http: 8082}", envFrom="[{file: missing.env}]"),
        manifest("three", ports="{http: 8083}"),
    ]
    with pytest.raises(ManifestError) as caught:
        prepare(application.build, [each for path in paths for each in load(path)], print)
    first, second = (str(problem) for problem in caught.value.problems)
    assert "missing.env: does not exist" in first
    assert f"{paths[0]}:1:1: one: there is no plugin 'whoam', did you mean 'whoami'? There are:" in second
