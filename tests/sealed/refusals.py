"""What is said of a file that cannot be decrypted, and never what is in it."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import pytest

from reconciler.api.reasons import Reason
from reconciler.sealed import SealedError, SettingsFiles

SECRET: Final = "hunter22"
TEXT: Final = f"# the database\nDB_PASSWORD={SECRET}\nexport TOKEN='a # b'\n"


def refused(files: SettingsFiles, path: Path) -> str:
    """The message of the refusal."""
    with pytest.raises(SealedError) as error:
        files.read(path)
    assert error.value.reason is Reason.CANNOT_DECRYPT
    assert SECRET not in str(error.value)
    assert "AGE-SECRET-KEY" not in str(error.value)
    return str(error.value)
