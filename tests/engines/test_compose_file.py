"""What `docker compose` reads from the text is the document, whatever its values hold."""

from __future__ import annotations

import json
import subprocess
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from reconciler.engines.compose_file import dump

HOSTILE = [
    "$HOME ${HOME} $$ ${X:-y} ${X:?z} ${",
    "line\nservices:\n  evil: {image: x}\n",
    "'\"` $(id) ; # & | \\",
    "no: [1, 2] # 012",
    "*alias &anchor !!python/object:os.system {{ 7*7 }}",
    "\x1b[2J\t\u202e💥",
    "~",
    "",
]


@pytest.mark.docker
@pytest.mark.parametrize("field", ["labels", "environment", "command"])
def test_compose_itself_reads_each_value_as_it_is(field: str) -> None:
    by_name = {f"example.{number}": value for number, value in enumerate(HOSTILE)}
    value: Any = HOSTILE if field == "command" else by_name
    document = {"name": "t-hostile", "services": {"web": {"image": "x", field: value}}}
    done = subprocess.run(
        ["docker", "compose", "--file", "-", "config", "--format", "json"],
        input=dump(document),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    services = json.loads(done.stdout)["services"]
    assert list(services) == ["web"]
    # Compose prints each dollar doubled, so that its output can be read again.
    assert json.loads(json.dumps(services["web"][field]).replace("$$", "$")) == value


@given(st.dictionaries(st.text(min_size=1), st.text() | st.lists(st.text()), max_size=4))
def test_what_was_written_is_what_is_read_with_every_dollar_doubled(values: dict[str, Any]) -> None:
    def doubled(value: Any) -> Any:
        return (
            value.replace("$", "$$")
            if isinstance(value, str)
            else [each.replace("$", "$$") for each in value]
        )

    read = yaml.safe_load(dump({"services": {"web": {"environment": values}}}))
    assert read["services"]["web"]["environment"] == {key: doubled(each) for key, each in values.items()}
