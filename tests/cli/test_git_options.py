"""Options about Git that make no sense together are refused before anything starts."""

from __future__ import annotations

from pathlib import Path

import pytest

from reconciler.cli.errors import Failure
from reconciler.cli.git_options import read_secret
from reconciler.cli.root import run


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (
            ["--git", "/srv/x", "--verify-signatures"],
            "--verify-signatures needs --allowed-signers or --gpg-home",
        ),
        (["--git", "/srv/x", "--allowed-signers", __file__], "they need --verify-signatures"),
        (["--webhook-secret-file", __file__], "need --git"),
        (["--git", "/srv/x", "--ssh-key", "/nonexistent"], "does not exist"),
        (["--git", "/srv/x", "--commit-status-url", "https://x/"], "belong together"),
        (["--push-images"], "--push-images needs --git"),
        (
            ["--git", "/srv/x", "--push-images", "--verify-signatures", "--allowed-signers", __file__],
            "--push-images makes commits without a signature",
        ),
        (["--commit-status-url", "https://x/", "--commit-status-token-file", __file__], "needs --git"),
    ],
)
def test_what_belongs_together_is_said(
    options: list[str], says: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["run", *options, "--state-dir", str(tmp_path)]) == 2
    assert says in " ".join(capsys.readouterr().err.split())


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--git", "ext::sh"], "is not the URL of a repository"),
        (["--git", "/srv/x", "--branch=-f"], "cannot be the name of a branch"),
        (["--git", "/srv/x", "--path", "../y"], "is not a path inside a repository"),
    ],
)
def test_what_is_no_address_is_said(
    options: list[str], says: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["run", *options, "--listen", "none", "--state-dir", str(tmp_path)]) == 1
    assert says in capsys.readouterr().err


def test_a_secret_is_read_without_its_line_end(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    path.write_text("correct horse\n")
    path.chmod(0o600)
    assert read_secret(path) == b"correct horse"


@pytest.mark.parametrize(
    ("text", "mode", "says"), [("correct horse", 0o644, "chmod 600"), (" \n", 0o600, "guessed")]
)
def test_a_secret_that_is_none_is_refused(tmp_path: Path, text: str, mode: int, says: str) -> None:
    path = tmp_path / "secret"
    path.write_text(text)
    path.chmod(mode)
    with pytest.raises(Failure, match=says):
        read_secret(path)
