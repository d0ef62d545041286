"""The commands of docs/secrets.md do what it says, one after the other, in one directory."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Final

from tests.sealed.tools import ROOT, programs

PAGE: Final = ROOT / "docs" / "secrets.md"
SECONDS: Final = 300


def test_the_commands_of_the_page(tmp_path: Path) -> None:
    blocks = re.findall(r"^```sh\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.M | re.S)
    assert len(blocks) > 1
    vaultctl = f'vaultctl() {{ "{sys.executable}" -m reconciler.cli "$@"; }}\n'
    done = subprocess.run(
        ["bash", "-euxo", "pipefail", "-c", vaultctl + "".join(blocks)],
        cwd=tmp_path,
        env=os.environ
        | {
            "PATH": f"{programs()}{os.pathsep}{os.environ['PATH']}",
            "PYTHONPATH": str(ROOT),
            "VAULT_STATE_DIR": str(tmp_path / "state"),
        },
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "files is valid" in done.stdout
