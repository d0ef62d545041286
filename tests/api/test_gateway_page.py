"""The examples of docs/gateway.md are valid."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

import pytest

from reconciler.api import load

PAGE: Final = Path(__file__).parents[2] / "docs" / "gateway.md"
EXAMPLES: Final = re.findall(r"^```yaml\n(.*?)^```", PAGE.read_text(), re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("example", [each for each in EXAMPLES if "\nkind:" in each])
def test_it_is_valid(example: str, tmp_path: Path) -> None:
    file = tmp_path / "example.yaml"
    file.write_text(example)
    assert load(file)
