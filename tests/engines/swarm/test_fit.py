"""What a Swarm refuses or does in another way is decided by one table, which the page shows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from reconciler.engines.errors import RefusedError
from reconciler.engines.swarm.fit import FIELDS, RULES, judge, page, refuse

PAGE = Path(__file__).parents[3] / "docs" / "swarm.md"
DOCUMENT: dict[str, Any] = {
    "name": "vault-shop",
    "services": {},
    "networks": {"net": {"name": "vault-shop_net"}, "lan": {"name": "lan", "driver": "macvlan"}},
    "volumes": {
        "data": {"name": "vault-shop_data"},
        "shared": {"name": "shared", "driver": "local", "driver_opts": {"type": "nfs"}},
    },
    "secrets": {"token": {"environment": "TOKEN"}, "key": {"file": "/key"}},
}
FINE: dict[str, Any] = {
    "image": "web:1",
    "networks": {"net": None},
    "volumes": [{"type": "volume", "source": "shared", "target": "/data"}, {"type": "tmpfs", "target": "/x"}],
    "secrets": [{"source": "key"}],
    "security_opt": ["no-new-privileges:true"],
    "tmpfs": ["/tmp:size=1m,mode=700"],
    "x-own": {"any": "thing"},
    "privileged": False,
}


def found(service: dict[str, Any], **images: bool) -> list[str]:
    document = {**DOCUMENT, "services": {"web": {**FINE, **service}}}
    return [
        f"{each.place} {'refused' if each.is_refused else 'differs'}"
        for each in judge(document, ["web"], images)
    ]


def test_what_runs_there_as_it_is_has_no_finding() -> None:
    assert found({}, **{"web:1": True}) == []


@pytest.mark.parametrize(
    ("service", "findings"),
    [
        ({"privileged": True}, ["services.web.privileged refused"]),
        ({"network_mode": "host"}, ["services.web.network_mode refused"]),
        ({"ipc": "host"}, ["services.web.ipc refused"]),
        ({"security_opt": ["seccomp=unconfined"]}, ["services.web.security_opt refused"]),
        ({"tmpfs": ["/tmp:noexec"]}, ["services.web.tmpfs refused"]),
        (
            {"networks": {"net": {"ipv4_address": "10.0.0.2"}}},
            ["services.web.networks.net.ipv4_address refused"],
        ),
        ({"networks": {"lan": None}}, ["networks.lan.driver refused"]),
        ({"secrets": [{"source": "token"}]}, ["secrets.token, which 'web' uses refused"]),
        (
            {"volumes": [{"type": "bind", "source": "/srv", "target": "/srv"}]},
            ["services.web.volumes[0] differs"],
        ),
        ({"volumes": [{"type": "volume", "source": "data", "target": "/x"}]}, ["volumes.data differs"]),
        ({"ports": [{"published": "53", "target": 53}]}, ["services.web.ports[0] differs"]),
        ({"ports": [{"target": 53}]}, []),
    ],
)
def test_each_rule_finds_what_it_is_about(service: dict[str, Any], findings: list[str]) -> None:
    assert found(service) == findings


def test_what_is_refused_comes_first_and_images_are_judged_by_what_is_known_of_them() -> None:
    service = {"volumes": [{"type": "bind", "source": "/srv", "target": "/srv"}], "privileged": True}
    assert found(service, **{"web:1": False}) == [
        "services.web.privileged refused",
        "services.web.volumes[0] differs",
        "services.web.image differs",
    ]


def test_directories_whose_files_become_secrets_are_no_bind_mounts() -> None:
    mounts = [{"type": "bind", "source": "/run/vault/shop", "target": "/run/secrets"}]
    document = {**DOCUMENT, "services": {"web": {**FINE, "volumes": mounts}}}
    assert judge(document, ["web"], {}, ["/run/vault/shop"]) == []


def test_the_engine_refuses_by_the_same_rules() -> None:
    with pytest.raises(
        RefusedError, match=r"^services\.web\.pid: Docker Swarm has nothing like it; leave it out"
    ):
        refuse(FIELDS, "web", {**FINE, "pid": "host"})


def test_the_page_has_the_table() -> None:
    assert page() in PAGE.read_text()
    assert all(rule.fields in page() for rule in RULES)
