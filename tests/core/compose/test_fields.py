"""Every key of the Compose specification has a row, and is treated as its row says.

`specification.txt` lists the keys of the specification's schema, a `*` for a name that the author chooses.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from reconciler.api import VaultService
from reconciler.core.admission import Policy, review
from reconciler.core.compose.fields import CLOSED, SECTIONS, Field, Treatment, row_of
from reconciler.core.compose.fragment import BuildError
from reconciler.core.compose.page import page
from reconciler.core.desired.build import build
from reconciler.core.desired.stack import Stack
from reconciler.proxy.haproxy.front import FRONT
from tests.core.compose.test_forms import SITE, Plain

KEYS = [
    key
    for key in Path(__file__).with_name("specification.txt").read_text().split()
    # The base of the form of old: a section is one mapping of entries.
    if key.count("*") == 0 or not key.endswith(".*")
]
PAGE = Path("docs/compose.md")


def section_and_path(key: str) -> tuple[str, str]:
    section, star, path = key.partition(".*.")
    return (section, path) if star and section in SECTIONS else ("", key.partition(".")[0])


@pytest.mark.parametrize("key", KEYS)
def test_every_key_of_the_specification_has_a_row(key: str) -> None:
    section, path = section_and_path(key)
    assert row_of(section, path) is not None, f"{key} is not in reconciler/core/compose/fields.py"


def test_closed_mappings_have_the_keys_of_the_specification() -> None:
    within: dict[str, set[str]] = {}
    for key in KEYS:
        section, path = section_and_path(key)
        outer, dot, name = path.rpartition(".")
        if section == "services" and dot and name != "*":
            within.setdefault(outer, set()).add(name)
    assert {path: set(names) for path, names in CLOSED.items()} == {path: within[path] for path in CLOSED}
    # Admission refuses what is not in the list, or looks into it with rules of its own.
    others = {path.partition(".")[0] for path in set(within) - set(CLOSED)}
    assert others == {
        "build", "credential_spec", "deploy", "develop", "devices", "env_file", "extends", "gpus", "models", "provider",
        "volumes",
    }  # fmt: skip


@pytest.mark.parametrize("section", SECTIONS)
def test_there_is_no_row_that_the_specification_does_not_know(section: str) -> None:
    known = {
        section_and_path(key) for key in Path(__file__).with_name("specification.txt").read_text().split()
    }
    assert {row.path for row in SECTIONS[section]} <= {path for of, path in known if of == section}


def test_the_page_says_what_the_table_says() -> None:
    assert PAGE.read_text() == page(), (
        "make it again: .venv/bin/python -c 'from reconciler.core.compose.page import page; print(page(), end=\"\")' "
        "> docs/compose.md"
    )


SAMPLES: dict[str, Any] = {
    "annotations": {"a": "b"},
    "attach": False,
    "blkio_config": {"weight": 300},
    "build": ".",
    "cap_add": ["SYS_ADMIN"],
    "cap_drop": ["ALL"],
    "cgroup": "host",
    "cgroup_parent": "/x",
    "command": ["a", "b"],
    "configs": ["conf"],
    "container_name": "mine",
    "cpu_rt_period": 1000,
    "cpu_rt_runtime": 1000,
    "credential_spec": {"file": "x"},
    "depends_on": ["other"],
    "depends_on.*": ("depends_on", {"other": {"condition": "service_started"}}),
    "depends_on.*.condition": ("depends_on", {"other": {"condition": "service_healthy"}}),
    "depends_on.*.required": ("depends_on", {"other": {"required": False}}),
    "depends_on.*.restart": ("depends_on", {"other": {"restart": True}}),
    "deploy": {"replicas": 1},
    "deploy.mode": "global",
    "deploy.resources": {"limits": {"memory": "64M"}},
    "deploy.resources.limits": {"memory": "64M"},
    "deploy.resources.reservations": {"memory": "64M"},
    "deploy.resources.reservations.devices": [{"capabilities": ["gpu"]}],
    "deploy.restart_policy": {"condition": "any"},
    "develop": {"watch": []} | {"x-a": 1},
    "device_cgroup_rules": ["a *:* rwm"],
    "devices": ["/dev/x:/dev/x"],
    "env_file": ["/etc/x"],
    "environment": {"A": "1"},
    "extends": {"service": "x", "file": "/x"},
    "external_links": ["x:y"],
    "gpus": "all",
    "healthcheck": {"test": ["CMD", "true"]},
    "image": "db:1",
    "init": True,
    "ipc": "host",
    "isolation": "process",
    "label_file": ["/etc/x"],
    "labels": {"a": "b"},
    "logging": {"driver": "syslog"},
    "mac_address": "02:42:ac:11:00:02",
    "models": ["m"],
    "network_mode": "host",
    "networks": {"vault-net": {}},
    "networks.*": ("networks", {"vault-net": {"priority": 1}}),
    "networks.*.driver_opts": ("networks", {"vault-net": {"driver_opts": {"a": "b"}}}),
    "oom_kill_disable": True,
    "oom_score_adj": -5,
    "pid": "host",
    "pids_limit": -1,
    "ports": ["80:80"],
    "post_start": [{"command": "x", "privileged": True}],
    "pre_stop": [{"command": "x", "privileged": True}],
    "privileged": True,
    "profiles": ["p"],
    "provider": {"type": "x"},
    "pull_policy": "always",
    "read_only": True,
    "scale": 1,
    "secrets": ["sec"],
    "security_opt": ["seccomp:unconfined"],
    "sysctls": {"kernel.x": 1},
    "use_api_socket": True,
    "userns_mode": "host",
    "uts": "host",
    "volumes": ["/var/run/docker.sock:/x"],
    "volumes_from": ["x"],
}
"""A value for each field; a harmful one for those that the profile decides about."""


def service(row: Field) -> dict[str, Any]:
    """A service with a value at the place of this row."""
    sample = SAMPLES.get(row.path, "1")
    field, value = sample if isinstance(sample, tuple) else (row.path, sample)
    if field.startswith("networks.*."):
        field, value = (
            "networks",
            {"vault-net": {field.rpartition(".")[2]: ["x"] if field.endswith("es") else "1"}},
        )
    for step in reversed(field.split(".")):
        value = {step: value}
    made: dict[str, Any] = value
    return made


def fragment(body: dict[str, Any], name: str = "db") -> dict[str, Any]:
    services: dict[str, Any] = {n: {"image": f"{n}:1"} for n in ("web", "db", "other")}
    services[name] |= body
    return {
        "services": services,
        "configs": {"conf": {"content": "x"}},
        "secrets": {"sec": {"file": "/srv/x"}},
    }


def stack_of(content: dict[str, Any]) -> Stack:
    document = {
        "metadata": {"name": "files", "annotations": {"vault.internal/admission": "privileged"}},
        "spec": {"plugin": "plain"},
    }
    return build(
        VaultService.model_validate(document),
        Plain(content),
        SITE,
        policy=Policy(allow_privileged=frozenset({"files"})),
        front=FRONT,
    )


def at(body: Any, path: str) -> Any:
    for step in path.split("."):
        body = next(iter(body.values())) if step == "*" else body.get(step)
    return body


ROWS = {row.path: row for row in SECTIONS["services"]}


@pytest.mark.parametrize("path", [path for path, row in ROWS.items() if row.treatment is Treatment.HONOURED])
def test_what_is_honoured_is_handed_to_compose(path: str) -> None:
    body = service(ROWS[path])
    found = at(stack_of(fragment(body)).document["services"]["db"], path)
    assert found is not None
    wanted = at(body, path)
    assert found == wanted or path in ("depends_on", "networks", "labels", "depends_on.*", "environment")


@pytest.mark.parametrize("path", [path for path, row in ROWS.items() if row.treatment is Treatment.WARNED])
def test_what_has_no_effect_is_warned_about(path: str) -> None:
    row = ROWS[path]
    warnings = stack_of(fragment(service(row))).warnings
    place = path.replace("*", "other")
    assert f"services.db.{place} {row.note}" in warnings


@pytest.mark.parametrize("path", [path for path, row in ROWS.items() if row.treatment is Treatment.REFUSED])
def test_what_cannot_work_is_refused(path: str) -> None:
    with pytest.raises(BuildError, match=rf"services\.db\.{path.replace('.', r'[.]')} "):
        stack_of(fragment(service(ROWS[path])))


@pytest.mark.parametrize("path", [path for path, row in ROWS.items() if row.treatment is Treatment.ADMITTED])
def test_what_the_profile_decides_about_is_found_by_admission(path: str) -> None:
    found = review(fragment(service(ROWS[path])), ["web"], Policy())
    place = path.partition(".*")[0]
    assert any(finding.path.startswith(f"services.db.{place}") for finding in found), found


def test_published_ports_move_from_a_web_service_and_are_refused_on_others() -> None:
    (row,) = (row for row in ROWS.values() if row.treatment is Treatment.MOVED)
    assert row.path == "ports"
    stack = stack_of(fragment({"ports": ["80:8080"]}, "web"))
    assert "ports" not in stack.document["services"]["web"]
    assert any("move to HAProxy" in warning for warning in stack.warnings)
    assert review(fragment(service(row)), ["web"], Policy())


@pytest.mark.parametrize(
    "name", [row.path for row in SECTIONS[""] if row.treatment is not Treatment.HONOURED]
)
def test_the_top_level(name: str) -> None:
    row = next(row for row in SECTIONS[""] if row.path == name)
    content = fragment({}) | {name: "x" if name == "name" else {"m": {}}}
    if row.treatment is Treatment.WARNED:
        assert f"{name} {row.note}" in stack_of(content).warnings
    else:
        with pytest.raises(BuildError, match=f"{name} "):
            stack_of(content)


@pytest.mark.parametrize("section", ["networks", "volumes", "configs", "secrets"])
def test_entries_of_the_other_sections(section: str) -> None:
    for row in SECTIONS[section]:
        value = {"labels": {"a": "b"}, "driver_opts": {"a": "b"}, "file": "/etc/shadow"}.get(row.path, "x")
        found = review({"services": {}, section: {"mine": {row.path: value}}}, [], Policy())
        refused = any(finding.path.startswith(f"{section}.mine.{row.path}") for finding in found)
        assert refused == (row.treatment is Treatment.ADMITTED), row
