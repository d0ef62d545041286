"""The login that a program prints, as kubelogin does for OpenID Connect: `exec` of a user in a kubeconfig."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from reconciler.cli.errors import Failure

__all__ = ["login_of"]

TIMEOUT_SECONDS: Final = 300.0
"""A program may ask its user to log in with a browser."""
VERSIONS: Final = ("client.authentication.k8s.io/v1", "client.authentication.k8s.io/v1beta1")


def login_of(path: Path, asked: Mapping[str, Any], environ: Mapping[str, str]) -> Mapping[str, str]:
    """Run the program that the kubeconfig `path` names, and return the `status` that it prints. Raises Failure."""
    command, version = asked.get("command"), asked.get("apiVersion")
    arguments, variables = asked.get("args") or [], asked.get("env") or []
    if version not in VERSIONS or not isinstance(command, str) or not command or not _are_texts(arguments):
        raise Failure(
            f"{path}: exec of the user needs a command, args that are texts, and {VERSIONS[0]} as its apiVersion"
        )
    if "/" in command:
        command = str(path.parent / command)
    own = {str(each.get("name")): str(each.get("value")) for each in variables if isinstance(each, Mapping)}
    info = {"apiVersion": version, "kind": "ExecCredential", "spec": {"interactive": False}}
    try:
        done = subprocess.run(
            [command, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            env={**environ, **own, "KUBERNETES_EXEC_INFO": json.dumps(info)},
            timeout=TIMEOUT_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise Failure(f"{path}: {command} has not printed a login within {TIMEOUT_SECONDS:g} s") from None
    except OSError as error:
        raise Failure(f"{path}: cannot run {command}: {error.strerror}") from None
    if done.returncode:
        raise Failure(f"{path}: {command} failed with exit code {done.returncode}")
    try:
        status = json.loads(done.stdout)["status"]
        found = {key: value for key, value in status.items() if isinstance(value, str)}
    except (ValueError, KeyError, TypeError, AttributeError):
        # What it printed may be a secret.
        raise Failure(f"{path}: {command} has not printed an ExecCredential in JSON") from None
    if not (found.get("token") or found.get("clientCertificateData")):
        raise Failure(f"{path}: {command} has printed neither a token nor a certificate")
    return found


def _are_texts(values: Any) -> bool:
    return isinstance(values, list) and all(isinstance(each, str) for each in values)
