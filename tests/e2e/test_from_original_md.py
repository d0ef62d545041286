"""The commands of docs/from-original.md are run as they stand there."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

import pytest

from reconciler.app.beginning import draft_of_variables
from tests.e2e.docker_cli import docker
from tests.e2e.page_commands import DOCS, STOP, blocks, run
from tests.e2e.stage import Stage
from tests.e2e.waiting import until

PAGE: Final = DOCS / "from-original.md"


@pytest.mark.docker
@pytest.mark.turns
def test_they_lead_to_a_service_with_the_data(stage: Stage, tmp_path: Path) -> None:
    project = f"leyzen-{stage.name}"
    script = "".join(blocks(PAGE)).replace("run -f notes.yaml &\n", f"run -f notes.yaml &\n{STOP}")
    script = script.replace("8080", str(stage.port))
    script = re.sub(r"\bleyzen(?=[/_\n])", project, script)
    # The names of the service, of its files and of its project are that of its plugin.
    script = re.sub(r"\bnotes(?!-data)", stage.name, script)
    try:
        done = run(script, stage, tmp_path)
        assert "VAULT_PASS is left out: of the dashboard, which there is no more" in done.stderr
        assert done.stdout.splitlines()[-1] == "kept"
        until("the controller is gone", lambda: not stage.application.controller_is_running())
    finally:
        docker("volume", "rm", f"{project}_notes-data", check=False)


def test_the_table_has_what_becomes_of_each_setting(tmp_path: Path) -> None:
    rows = dict(re.findall(r"^\| (.+) \| (.+) \|$", PAGE.read_text(), re.MULTILINE))
    left_out = [row for row, becomes in rows.items() if becomes.startswith("left out")]
    names = [name.replace("…", "X") for row in left_out for name in re.findall(r"`([A-Z_…]+)`", row)]
    assert len(names) >= 6
    file = tmp_path / ".env"
    file.write_text("VAULT_SERVICE=x\n" + "".join(f"{name}=1\n" for name in names))
    draft = draft_of_variables(file, "")
    assert [note.split()[0] for note in draft.notes] == names
    assert (draft.spec, draft.settings) == ({"plugin": "x"}, {})
