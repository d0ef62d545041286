"""The files of a stack are written with the modes that they need, or the first that cannot be is named."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from reconciler.api import PermanentError, VaultService
from reconciler.app.rendering import render
from reconciler.wiring import Options, wire

MakeService = Callable[..., VaultService]


def test_all_files_are_written_and_only_compose_is_private(tmp_path: Path, make_service: MakeService) -> None:
    application = wire(Options(state_dir=tmp_path / "state"))
    written = render(application, application.build(make_service()), tmp_path / "out")
    modes = {str(path.relative_to(tmp_path / "out")): path.stat().st_mode & 0o777 for path in written}
    assert modes.pop("compose.yaml") == 0o600
    assert "haproxy/haproxy.cfg" in modes
    assert set(modes.values()) == {0o644}


def test_a_file_that_cannot_be_written_is_named(tmp_path: Path, make_service: MakeService) -> None:
    application = wire(Options(state_dir=tmp_path / "state"))
    (tmp_path / "out").write_text("")
    with pytest.raises(PermanentError, match=r"cannot write .*out/compose\.yaml: "):
        render(application, application.build(make_service()), tmp_path / "out")
