"""Options about clients of the API that make no sense together are refused before anything starts."""

from __future__ import annotations

from pathlib import Path

import pytest

from reconciler.cli.api_options import ALGORITHMS
from reconciler.cli.root import run
from reconciler.web.kube.clients import oidc_settings

API = ["--api", "127.0.0.1:0"]
ISSUER = ["--oidc-issuer-url", "https://id.example.org", "--oidc-client-id", "vault"]
UI = ["--ui", "127.0.0.1:0"]


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ([*API, "--oidc-issuer-url", "https://id"], "--oidc-issuer-url and --oidc-client-id belong together"),
        ([*API, "--oidc-client-id", "vault"], "belong together"),
        ([*API, "--oidc-groups-claim", "groups"], "--oidc-groups-claim needs --oidc-issuer-url"),
        ([*API, "--oidc-signing-algs", "ES256"], "--oidc-signing-algs needs --oidc-issuer-url"),
        ([*API, "--oidc-required-claim", "a=b"], "--oidc-required-claim needs --oidc-issuer-url"),
        ([*API, *ISSUER, "--oidc-signing-algs", "HS256"], "'HS256' is not one of"),
        ([*API, *ISSUER, "--oidc-signing-algs", "none"], "'none' is not one of"),
        ([*API, *ISSUER, "--oidc-required-claim", "hd"], "'hd' is not CLAIM=VALUE"),
        ([*API, *ISSUER, "--oidc-ca-file", "/nonexistent"], "does not exist"),
        ([*API, "--grant", "edit=user:anna"], "vaultctl token create --role"),
        ([*API, "--client-ca-file", "/nonexistent"], "does not exist"),
        (["--client-ca-file", __file__], "--client-ca-file needs --api, or --ui and --ui-url"),
        (ISSUER, "--oidc-issuer-url needs --api, or --ui and --ui-url"),
        (["--ui-url", "https://page.example"], "--ui-url needs --ui"),
        ([*UI, "--ui-url", "https://page.example"], "--ui-url needs --oidc-issuer-url and --oidc-client-id"),
        ([*UI, *ISSUER, "--oidc-extra-scope", "groups"], "--oidc-extra-scope needs --ui-url"),
        ([*UI, *ISSUER, "--oidc-client-secret-file", __file__], "--oidc-client-secret-file needs --ui-url"),
        (["--grant", "edit=user:anna"], "--grant needs --api, or --ui and --ui-url"),
    ],
)
def test_what_belongs_together_is_said(
    options: list[str], says: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["run", *options, "--state-dir", str(tmp_path)]) == 2
    assert says in " ".join(capsys.readouterr().err.split())


def test_the_algorithms_are_those_that_are_checked() -> None:
    # Written twice, so that the command line does not import what checks tokens.
    assert ALGORITHMS == oidc_settings.ALGORITHMS
