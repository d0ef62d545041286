"""What `restricted` asks for, in every spelling that an engine reads as root, as false or as no limit."""

from __future__ import annotations

from typing import Any

import pytest

from reconciler.core.admission import Policy, Profile, review

GOOD: dict[str, Any] = {
    "image": "example/web:1.0",
    "user": "1000:1000",
    "read_only": True,
    "cap_drop": ["ALL"],
    "security_opt": ["no-new-privileges:true"],
    "mem_limit": "64M",
    "pids_limit": 32,
}


def refused(**service: Any) -> list[str]:
    found = review({"services": {"a": {**GOOD, **service}}}, [], Policy(), Profile.RESTRICTED)
    return [finding.path.removeprefix("services.a.") for finding in found]


def limits(**given: Any) -> dict[str, Any]:
    return {"deploy": {"resources": {"limits": given}}}


@pytest.mark.parametrize("user", ["1", "1000", 1000, "10001:0", "65534:65534", "2147483647"])
def test_a_number_that_is_not_root(user: object) -> None:
    assert refused(user=user) == []


@pytest.mark.parametrize(
    "user",
    [
        "0", 0, "00", "+0", "-0", "0:1000", "+1000", "-1", " 0", "0 ", "1000 ", "01000", "0x3e8", "1_000", "\u0661", "1e3",
        "toor", "root", "nobody", "1000:root", "1000:", ":1000", "1000:1:1", "", None, True, 1000.0, [1000],
        "2147483648", "4294967296", "99999999999", "1000\n",
    ],
)  # fmt: skip
def test_any_other_user(user: object) -> None:
    assert refused(user=user) == ["user"]


@pytest.mark.parametrize(
    "options",
    [
        [],
        ["no-new-privileges:false"],
        ["no-new-privileges:true", "no-new-privileges:true"],
        ["no-new-privileges", "no-new-privileges=false"],
        ["no-new-privileges:true", "no-new-privileges:0"],
        ["no-new-privileges:yes"],
    ],
)
def test_new_privileges_are_forbidden_once(options: list[str]) -> None:
    assert "security_opt" in refused(security_opt=options)


@pytest.mark.parametrize(
    "option", ["no-new-privileges:false", "no-new-privileges=0", "apparmor=", "seccomp=x"]
)
def test_baseline_reads_security_options_whole(option: str) -> None:
    found = review({"services": {"a": {"image": "x", "security_opt": [option]}}}, [], Policy())
    assert [finding.rule for finding in found] == ["security-options"]


@pytest.mark.parametrize("memory", ["64M", "1g", "1.5GiB", "512 mb", 1048576, "16T", "4096b"])
def test_memory_that_is_limited(memory: object) -> None:
    assert refused(mem_limit=memory) == []
    assert refused(mem_limit=None, **limits(memory=memory, pids=1)) == []


@pytest.mark.parametrize(
    "memory", ["0", 0, "0M", "0.0", -1, "-1", "-64M", "17T", "1P", "many", True, [], "1M2"]
)
def test_memory_that_is_not(memory: object) -> None:
    assert refused(mem_limit=memory) == ["mem_limit"]
    assert refused(**limits(memory=memory)) == ["deploy.resources.limits.memory"]


@pytest.mark.parametrize("pids", ["0", 0, -1, "-1", 4_194_304, "many", True, float("1e9")])
def test_processes_that_are_not_limited(pids: object) -> None:
    assert "pids_limit" in refused(pids_limit=pids)
    assert refused(**limits(pids=pids)) == ["deploy.resources.limits.pids"]


@pytest.mark.parametrize("cpus", ["0", 0, "0.0", -1, "-0.5", "all"])
def test_a_limit_of_processors_may_be_left_out_but_not_be_none(cpus: object) -> None:
    assert refused(cpus=cpus) == ["cpus"]
    assert refused(**limits(cpus=cpus)) == ["deploy.resources.limits.cpus"]
    assert refused(cpus=0.5, **limits(cpus="0.5")) == []


def test_both_spellings_missing_are_told_once() -> None:
    assert refused(mem_limit=None, pids_limit=None) == [
        "deploy.resources.limits.memory",
        "deploy.resources.limits.pids",
    ]


@pytest.mark.parametrize("swap", [-1, "-1", " -1", "17T", "999999999G", "+-1", "many"])
def test_swap_without_an_end(swap: object) -> None:
    assert refused(memswap_limit=swap) == ["memswap_limit"]


@pytest.mark.parametrize("swap", [None, 0, "0", "128M", 1048576])
def test_swap_with_an_end(swap: object) -> None:
    assert refused(memswap_limit=swap) == []


@pytest.mark.parametrize(
    "capability", ["ALL", "all", "SYS_ADMIN", "cap_sys_admin", " NET_BIND_SERVICE", "CHOWN"]
)
def test_capabilities_by_list(capability: str) -> None:
    assert "cap_add[0]" in refused(cap_add=[capability])


@pytest.mark.parametrize("drop", [[], ["CAP_ALL"], ["NET_RAW"], None])
def test_all_capabilities_are_dropped(drop: Any) -> None:
    assert refused(cap_drop=drop) == ["cap_drop"]
    assert refused(cap_drop=["All"], cap_add=["cap_net_bind_service"]) == []
