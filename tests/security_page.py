"""docs/security-tests.md: what was tried against each surface, and the test that keeps what came of it.

`python -m tests.security_page docs/security-tests.md` writes the page. Its rows are read from the tests, so that none can
name an attempt that is no longer made.
"""

from __future__ import annotations

import ast
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import yaml

from tests.core.admission.test_rules import HOSTILE, HOSTILE_SECTIONS

TESTS: Final = Path(__file__).parent
ATTEMPTS: Final = TESTS / "core/admission/attempts.yaml"

SURFACES: Final = (
    ("The directories that HAProxy can write, and its answers", "proxy/test_hostile_haproxy.py"),
    ("What a service leaves behind when it is deleted", "store/test_tree.py"),
    ("The container that checks haproxy.cfg", "engines/compose/test_throwaway.py"),
    ("Headers of requests, with a WSGI server behind HAProxy", "proxy/test_forged_headers.py"),
    ("Requests that lead around the rules of a route", "proxy/haproxy/gateway/test_forged_requests.py"),
    ("Which route a request of a gateway gets", "proxy/haproxy/gateway/test_routing.py"),
    ("Text that becomes haproxy.cfg", "proxy/haproxy/test_config.py"),
    ("Paths of the host, as the engine would mount them", "core/admission/test_paths.py"),
    ("Mounts of one stack that meet", "core/admission/test_mounts.py"),
    ("Networks and their addresses", "core/admission/test_networks.py"),
    ("Limits and users of `restricted`", "core/admission/test_limits.py"),
    ("Images of the proxy", "core/admission/test_images.py"),
    ("Names that belong to another service", "core/admission/test_names.py"),
    ("Addresses of Git repositories", "sources/git/test_address.py"),
    ("Programs that Git would run", "sources/git/test_command.py"),
    ("YAML", "api/test_yaml_loader.py"),
    ("Secrets in what is told", "core/test_redaction.py"),
    ("Encrypted settings files", "sealed/test_hostile.py"),
    ("SOPS files", "sealed/test_hostile_sops.py"),
    ("Secrets as files", "sealed/test_runtime.py"),
    ("Files of keys", "sealed/test_keys.py"),
    ("Files of the state directory", "store/test_files.py"),
    ("The HTTP server", "web/test_server.py"),
    ("Who may ask the HTTP server", "web/test_access.py"),
    ("Webhooks", "web/test_hooks.py"),
    ("Tokens of an OIDC issuer", "web/kube/clients/test_oidc.py"),
    ("The keys of an OIDC issuer", "web/kube/clients/test_issuer_keys.py"),
    ("Client certificates", "web/kube/clients/test_certificates.py"),
    ("Users and groups of other authorities", "web/kube/clients/test_grants.py"),
    ("Agents on other nodes, and who asks them", "web/agent/test_app.py"),
    ("Agents that are not ours", "proxy/remote/test_line.py"),
    ("Enrolment of agents", "web/agent/test_enrolment.py"),
    ("Login and sessions of the page", "web/ui/test_login.py"),
    ("Login to the page at an OIDC issuer", "web/ui/test_issuer.py"),
    ("Actions of the page", "web/ui/test_acting.py"),
    ("Terminals of the page", "web/ui/test_terminal.py"),
    ("The page in a browser", "web/ui/test_chromium.py"),
)
"""Title and test file; the name of each test in it says what was tried and what came of it."""


def attempts() -> list[dict[str, Any]]:
    """What an attack round tried on services: the fields, the profile, and the rules that refuse them."""
    found: list[dict[str, Any]] = yaml.safe_load(ATTEMPTS.read_text(encoding="utf-8"))
    return found


def page() -> str:
    """The whole page."""
    lines = [
        "<!-- Generated: python -m tests.security_page docs/security-tests.md -->",
        "",
        "# What was tried against it",
        "",
        "Each row is an attempt that a test makes in every run. [The threat model](threat-model.md) says what is defended",
        "and what is not; this page says how that was attacked.",
        "",
        "## Fragments that ask for the host",
        "",
        "A service beside a harmless one, in the profile that is named. It is refused by these rules of",
        "[admission](admission.md).",
        "",
        "| asked for | profile | refused by |",
        "|---|---|---|",
    ]
    lines += [_row(service, "baseline", [rule]) for rule, service, _ in HOSTILE]
    lines += [_row(sections, "baseline", [rule]) for rule, sections, _ in HOSTILE_SECTIONS]
    lines += [_row(each["service"], each["profile"], each["refused"]) for each in attempts()]
    for title, file in SURFACES:
        lines += ["", f"## {title}", "", f"`tests/{file}`:", ""]
        lines += [f"- {sentence}" for sentence in _sentences(TESTS / file)]
    return "\n".join(lines) + "\n"


def _row(asked: object, profile: str, rules: list[str]) -> str:
    text = json.dumps(asked, ensure_ascii=True).replace("|", "\\|")
    return f"| `{text}` | {profile} | {', '.join(f'`{rule}`' for rule in rules)} |"


def _sentences(path: Path) -> Iterator[str]:
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
            yield node.name.removeprefix("test_").replace("_", " ")


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(page(), encoding="utf-8")
