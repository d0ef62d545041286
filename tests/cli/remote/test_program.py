"""A program may print the login; what it does wrong is named, and what it prints is in no message."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from reconciler.cli.errors import Failure
from reconciler.cli.remote.program import login_of

VERSION = "client.authentication.k8s.io/v1"
SECRET = "hunter2-hunter2"


def asked(script: str, **fields: Any) -> dict[str, Any]:
    return {"apiVersion": VERSION, "command": "sh", "args": ["-c", script], **fields}


def printed(**status: Any) -> str:
    return f"echo '{json.dumps({'kind': 'ExecCredential', 'status': status})}'"


def test_its_token_or_certificate_is_the_login(tmp_path: Path) -> None:
    config = tmp_path / "config"
    assert login_of(config, asked(printed(token=SECRET)), os.environ) == {"token": SECRET}
    found = login_of(config, asked(printed(clientCertificateData="a", clientKeyData="b")), os.environ)
    assert found == {"clientCertificateData": "a", "clientKeyData": "b"}


def test_it_gets_its_variables_and_is_found_beside_the_kubeconfig(tmp_path: Path) -> None:
    program = tmp_path / "login"
    program.write_text('#!/bin/sh\nprintf \'{"status": {"token": "%s-%s"}}\' "$WHO" "$#"\n')
    program.chmod(0o755)
    wanted = asked("", command="./login", args=["a", "b"], env=[{"name": "WHO", "value": "anna"}])
    assert login_of(tmp_path / "config", wanted, os.environ) == {"token": "anna-2"}
    version = asked('echo "{\\"status\\": {\\"token\\": \\"${#KUBERNETES_EXEC_INFO}\\"}}"')
    assert int(login_of(tmp_path / "config", version, os.environ)["token"]) > 50


@pytest.mark.parametrize(
    ("program", "says"),
    [
        (asked(f"echo {SECRET}"), "has not printed an ExecCredential"),
        (asked(f"echo '[\"{SECRET}\"]'"), "has not printed an ExecCredential"),
        (asked(f'echo \'{{"status": "{SECRET}"}}\''), "has not printed an ExecCredential"),
        (asked(printed()), "neither a token nor a certificate"),
        (asked(printed(token=7)), "neither a token nor a certificate"),
        (asked(f"echo {SECRET}; exit 3"), "failed with exit code 3"),
        (asked("", command="/nonexistent/login"), "cannot run /nonexistent/login: No such file"),
        (asked("", command=""), "needs a command"),
        (asked("", args=[7]), "needs a command"),
        (asked("", apiVersion="v1"), f"{VERSION} as its apiVersion"),
    ],
)
def test_what_it_does_wrong_is_named(tmp_path: Path, program: dict[str, Any], says: str) -> None:
    with pytest.raises(Failure) as caught:
        login_of(tmp_path / "config", program, os.environ)
    assert says in caught.value.message
    assert SECRET not in caught.value.message


def test_one_that_does_not_end_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("reconciler.cli.remote.program.TIMEOUT_SECONDS", 0.2)
    with pytest.raises(Failure, match=r"within 0\.2 s"):
        login_of(tmp_path / "config", {"apiVersion": VERSION, "command": "sleep", "args": ["30"]}, os.environ)
