"""The real `cosign`: pairs of keys, and signatures of images in a registry of this machine."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]
PROVIDING_SECONDS: Final = 400
CALL_SECONDS: Final = 120


@dataclass(frozen=True)
class Cosign:
    """One pair of keys, in `directory`."""

    program: str
    directory: Path

    @classmethod
    def made(cls, directory: Path) -> Cosign:
        """A new pair."""
        found = _called([str(ROOT / "scripts" / "cosign")], ROOT, PROVIDING_SECONDS)
        directory.mkdir()
        pair = cls(found.splitlines()[-1], directory)
        pair._run("generate-key-pair")
        return pair

    @property
    def public_key(self) -> str:
        """In PEM."""
        return (self.directory / "cosign.pub").read_text()

    def sign(self, image: str) -> None:
        """Sign the digest of an image; nothing is sent to a public log."""
        self._run(
            "sign", "--key", "cosign.key", "--tlog-upload=false", "--allow-http-registry", "--yes", image
        )

    def _run(self, *words: str) -> None:
        _called([self.program, *words], self.directory, CALL_SECONDS)


def _called(words: list[str], directory: Path, seconds: float) -> str:
    environ = os.environ | {"COSIGN_PASSWORD": ""}
    done = subprocess.run(
        words, cwd=directory, env=environ, capture_output=True, text=True, timeout=seconds, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
