"""What fragments may ask of the host, as a table: every hostile fragment with the rule that refuses it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.api import VaultService
from reconciler.core.admission import (
    ANNOTATION,
    AdmissionError,
    Finding,
    Policy,
    Profile,
    admit,
    inspect,
    profile_of,
    review,
)
from reconciler.core.admission.roots import Kind, Seen, normal
from reconciler.core.admission.rules import ADVICE, FIELDS, RULES
from reconciler.core.desired.build import build
from reconciler.core.desired.stack import Site
from reconciler.proxy.haproxy.front import FRONT
from tests.plugins.settings import SETTINGS
from vault_plugins import VaultServicePlugin
from vault_plugins.registry import discover

SITE = Site(Path("/state/files"), 99, 99)


def look(path: str) -> Seen:
    """A host that has all directories, but one that is missing and one that cannot be looked into."""
    kind = Kind.MISSING if "missing" in path else Kind.HIDDEN if "hidden" in path else Kind.DIRECTORY
    return Seen(normal(path), kind)


POLICY = Policy(private=("/opt/state",), look=look)
GOOD: dict[str, Any] = {
    "image": "example/web:1.0",
    "environment": {},
    "networks": {"vault-net": {}},
    "user": "1000:1000",
    "read_only": True,
    "cap_drop": ["ALL"],
    "security_opt": ["no-new-privileges:true"],
    "deploy": {"resources": {"limits": {"memory": "64M", "pids": 32}}},
    "healthcheck": {"test": ["CMD", "true"]},
}


def reviewed(
    service: dict[str, Any],
    profile: Profile = Profile.BASELINE,
    policy: Policy = POLICY,
    **sections: Any,
) -> tuple[Finding, ...]:
    """What a profile finds in a dependency `db` beside a good `web`."""
    services = {"web": GOOD, "db": {**GOOD, **service}}
    return review({"services": services, **sections}, ["web"], policy, profile)


def bind(source: str, **more: Any) -> dict[str, Any]:
    return {"volumes": [{"type": "bind", "source": source, "target": "/x", **more}]}


HOSTILE: list[tuple[str, dict[str, Any], str]] = [
    ("privileged", {"privileged": True}, "services.db.privileged"),
    ("privileged", {"privileged": "yes"}, "services.db.privileged"),
    ("capabilities", {"cap_add": ["CHOWN", "SYS_ADMIN"]}, "services.db.cap_add[1]"),
    ("capabilities", {"cap_add": ["ALL"]}, "services.db.cap_add[0]"),
    ("capabilities", {"cap_add": "cap_sys_ptrace"}, "services.db.cap_add"),
    ("security-options", {"security_opt": ["seccomp:unconfined"]}, "services.db.security_opt[0]"),
    ("security-options", {"security_opt": ["apparmor=unconfined"]}, "services.db.security_opt[0]"),
    ("security-options", {"security_opt": ["label:disable"]}, "services.db.security_opt[0]"),
    ("security-options", {"security_opt": ["systempaths=unconfined"]}, "services.db.security_opt[0]"),
    ("host-network", {"network_mode": "host"}, "services.db.network_mode"),
    ("real-time", {"ulimits": {"rtprio": 99}}, "services.db.ulimits.rtprio"),
    ("real-time", {"ulimits": {"rtprio": {"soft": 0, "hard": 99}}}, "services.db.ulimits.rtprio"),
    # Compose takes the directory of compose.yaml for an empty `build`, and falls over an empty `extends` (2.26).
    ("build", {"build": {}}, "services.db.build"),
    ("build", {"build": ""}, "services.db.build"),
    ("host-file", {"extends": {}}, "services.db.extends"),
    ("host-network", {"network_mode": "container:0123456789ab"}, "services.db.network_mode"),
    ("host-network", {"network_mode": "bridge"}, "services.db.network_mode"),
    ("host-network", {"network_mode": "service:gateway"}, "services.db.network_mode"),
    ("host-pid", {"pid": "host"}, "services.db.pid"),
    ("host-pid", {"pid": "container:other"}, "services.db.pid"),
    ("host-pid", {"pid": "service:haproxy"}, "services.db.pid"),
    ("host-ipc", {"ipc": "host"}, "services.db.ipc"),
    ("host-uts", {"uts": "host"}, "services.db.uts"),
    ("host-userns", {"userns_mode": "host"}, "services.db.userns_mode"),
    ("host-cgroup", {"cgroup": "host"}, "services.db.cgroup"),
    ("cgroup-parent", {"cgroup_parent": "/"}, "services.db.cgroup_parent"),
    ("docker-socket", {"volumes": ["/var/run/docker.sock:/s"]}, "services.db.volumes[0]"),
    ("docker-socket", {"volumes": ["/var/run/docker.sock:/s:ro"]}, "services.db.volumes[0]"),
    ("docker-socket", bind("/srv/../run/containerd/containerd.sock"), "services.db.volumes[0]"),
    ("docker-socket", {"use_api_socket": True}, "services.db.use_api_socket"),
    ("sensitive-path", {"volumes": ["/:/host:ro"]}, "services.db.volumes[0]"),
    ("host-path", {"volumes": ["//etc:/x:ro"]}, "services.db.volumes[0]"),
    ("sensitive-path", {"volumes": ["/var:/x:ro"]}, "services.db.volumes[0]"),
    ("sensitive-path", {"volumes": ["/run/user/1000/bus:/x:ro"]}, "services.db.volumes[0]"),
    ("host-path", {"volumes": ["/srv/../etc/shadow:/x:ro"]}, "services.db.volumes[0]"),
    ("host-path", bind("/root/.ssh", read_only=True), "services.db.volumes[0]"),
    ("host-path", bind("/tmp/ssh-agent", read_only=True), "services.db.volumes[0]"),
    ("sensitive-path", bind("/opt/state/objects", read_only=True), "services.db.volumes[0]"),
    ("sensitive-path", bind("/opt", read_only=True), "services.db.volumes[0]"),
    ("host-path", {"volumes": ["/opt/data:/x"]}, "services.db.volumes[0]"),
    ("unseen-path", bind("/srv/missing"), "services.db.volumes[0]"),
    ("unseen-path", bind("/srv/hidden/x", read_only=True), "services.db.volumes[0]"),
    ("writable-path", {"volumes": ["/etc/ssl/certs:/x"]}, "services.db.volumes[0]"),
    ("writable-path", bind("/etc/ssl/certs", read_only="true"), "services.db.volumes[0]"),
    ("nested-mount", {"volumes": ["/srv/a:/a", "/srv/a/b:/b:ro"]}, "services.db.volumes[1]"),
    ("mount-options", {"volumes": ["/srv/x:/x:rw,rshared"]}, "services.db.volumes[0]"),
    ("mount-options", bind("/srv/x", bind={"propagation": "shared"}), "services.db.volumes[0]"),
    ("mount-options", {"volumes": ["/srv/x:/x:ro,rw"]}, "services.db.volumes[0]"),
    (
        "mount-type",
        {"volumes": [{"type": "npipe", "source": "x", "target": "/x"}]},
        "services.db.volumes[0]",
    ),
    ("volumes-from", {"volumes_from": ["container:other"]}, "services.db.volumes_from"),
    ("devices", {"devices": ["/dev/sda:/dev/sda"]}, "services.db.devices[0]"),
    ("devices", {"device_cgroup_rules": ["a *:* rwm"]}, "services.db.device_cgroup_rules[0]"),
    ("devices", {"gpus": "all"}, "services.db.gpus"),
    (
        "devices",
        {"deploy": {"resources": {"reservations": {"devices": [{"capabilities": ["gpu"]}]}}}},
        "services.db.deploy.resources.reservations.devices",
    ),
    ("sysctls", {"sysctls": {"kernel.core_pattern": "|/x"}}, "services.db.sysctls.kernel.core_pattern"),
    ("sysctls", {"sysctls": ["net.ipv4.ip_forward=1"]}, "services.db.sysctls[0]"),
    (
        "sysctls",
        {"networks": {"vault-net": {"driver_opts": {"com.docker.network.endpoint.sysctls": "x"}}}},
        "services.db.networks.vault-net.driver_opts",
    ),
    ("published-port", {"ports": ["0.0.0.0:5432:5432"]}, "services.db.ports[0]"),
    ("runtime", {"runtime": "nvidia"}, "services.db.runtime"),
    ("out-of-memory", {"oom_kill_disable": True}, "services.db.oom_kill_disable"),
    ("out-of-memory", {"oom_score_adj": -1000}, "services.db.oom_score_adj"),
    ("pids-limit", {"pids_limit": -1}, "services.db.pids_limit"),
    ("log-driver", {"logging": {"driver": "syslog"}}, "services.db.logging.driver"),
    (
        "hooks",
        {"post_start": [{"command": "x"}, {"command": "x", "privileged": True}]},
        "services.db.post_start[1].privileged",
    ),
    ("hooks", {"pre_stop": [{"privileged": True}]}, "services.db.pre_stop[0].privileged"),
    (
        "reserved-label",
        {"labels": {"com.docker.compose.project": "x"}},
        "services.db.labels.com.docker.compose.project",
    ),
    ("reserved-label", {"labels": ["internal.vault.slot=1"]}, "services.db.labels[0]"),
    (
        "reserved-label",
        {"deploy": {"labels": {"internal.vault.service": "x"}}},
        "services.db.deploy.labels.internal.vault.service",
    ),
    (
        "reserved-label",
        {
            "volumes": [
                {"type": "volume", "target": "/x", "volume": {"labels": {"com.docker.compose.project": "x"}}}
            ]
        },
        "services.db.volumes[0].volume.labels.com.docker.compose.project",
    ),
    ("build", {"build": "/"}, "services.db.build"),
    ("host-file", {"env_file": "/etc/shadow"}, "services.db.env_file"),
    ("host-file", {"label_file": "/etc/shadow"}, "services.db.label_file"),
    ("host-file", {"extends": {"file": "/x", "service": "y"}}, "services.db.extends"),
    ("provider", {"provider": {"type": "sh"}}, "services.db.provider"),
    ("foreign-container", {"external_links": ["other_db"]}, "services.db.external_links"),
    ("unknown-field", {"credential_spec": {"file": "x"}}, "services.db.credential_spec"),
    ("unknown-field", {"Privileged": True}, "services.db.Privileged"),
    ("unknown-field", {"healthcheck": {"intervall": "1s"}}, "services.db.healthcheck.intervall"),
    (
        "unknown-field",
        {"deploy": {"resources": {"limits": {"cpu": 1}}}},
        "services.db.deploy.resources.limits.cpu",
    ),
    ("unknown-field", {"logging": {"opts": {"max-size": "1m"}}}, "services.db.logging.opts"),
    ("unknown-field", {"ulimits": {"nofile": {"sof": 1}}}, "services.db.ulimits.nofile.sof"),
    ("unknown-field", {"networks": {"vault-net": {"alias": ["x"]}}}, "services.db.networks.vault-net.alias"),
    ("unknown-field", {"depends_on": {"web": {"healthy": True}}}, "services.db.depends_on.web.healthy"),
    (
        "unknown-field",
        {"volumes": ["data:/data", {"type": "volume", "target": "/x", "readonly": True}]},
        "services.db.volumes[1].readonly",
    ),
    (
        "unknown-field",
        {"volumes": [{"type": "tmpfs", "target": "/x", "tmpfs": {"sizes": 1}}]},
        "services.db.volumes[0].tmpfs.sizes",
    ),
    ("unknown-field", {"configs": [{"source": "c", "path": "/x"}]}, "services.db.configs[0].path"),
]

HOSTILE_SECTIONS: list[tuple[str, dict[str, Any], str]] = [
    ("volume-driver", {"volumes": {"v": {"driver": "rexray"}}}, "volumes.v.driver"),
    (
        "volume-driver",
        {"volumes": {"v": {"driver_opts": {"type": "none", "o": "bind", "device": "/"}}}},
        "volumes.v.driver_opts",
    ),
    ("foreign-data", {"volumes": {"v": {"external": True}}}, "volumes.v.external"),
    ("foreign-data", {"volumes": {"v": {"name": "vault-other_db"}}}, "volumes.v.name"),
    ("network-driver", {"networks": {"n": {"driver": "macvlan"}}}, "networks.n.driver"),
    (
        "network-driver",
        {"networks": {"vault-net": {"driver_opts": {"com.docker.network.bridge.name": "docker0"}}}},
        "networks.vault-net.driver_opts",
    ),
    ("foreign-network", {"networks": {"n": {"external": True}}}, "networks.n.external"),
    ("foreign-network", {"networks": {"n": {"name": "host"}}}, "networks.n.name"),
    ("network-addresses", {"networks": {"n": {"ipam": {"driver": "dhcp"}}}}, "networks.n.ipam.driver"),
    ("host-path", {"configs": {"c": {"file": "/etc/shadow"}}}, "configs.c.file"),
    ("host-path", {"secrets": {"s": {"file": "/root/.ssh/id_rsa"}}}, "secrets.s.file"),
    ("sensitive-path", {"secrets": {"s": {"file": "/opt/state/objects"}}}, "secrets.s.file"),
    ("unseen-path", {"secrets": {"s": {"file": "/srv/missing"}}}, "secrets.s.file"),
    ("relative-file", {"secrets": {"s": {"file": "../other/compose.yaml"}}}, "secrets.s.file"),
    ("controller-environment", {"secrets": {"s": {"environment": "TOKEN"}}}, "secrets.s.environment"),
    ("foreign-data", {"secrets": {"s": {"external": True}}}, "secrets.s.external"),
    (
        "reserved-label",
        {"volumes": {"v": {"labels": {"com.docker.compose.project": "vault-other"}}}},
        "volumes.v.labels.com.docker.compose.project",
    ),
    ("reserved-label", {"volumes": {"v": {"labels": ["a=b", "internal.vault.role"]}}}, "volumes.v.labels[1]"),
    (
        "reserved-label",
        {"networks": {"vault-net": {"labels": ["internal.vault.service=other"]}}},
        "networks.vault-net.labels[0]",
    ),
    (
        "reserved-label",
        {"configs": {"c": {"content": "x", "labels": {"internal.vault.slot": 1}}}},
        "configs.c.labels.internal.vault.slot",
    ),
    (
        "reserved-label",
        {"secrets": {"s": {"file": "/srv/x", "labels": ["com.docker.x"]}}},
        "secrets.s.labels[0]",
    ),
    ("unknown-field", {"configs": {"c": {"template_driver": "golang"}}}, "configs.c.template_driver"),
]


@pytest.mark.parametrize(("rule", "service", "path"), HOSTILE, ids=lambda value: str(value)[:50])
def test_a_hostile_service_is_refused_by_name_and_place(
    rule: str, service: dict[str, Any], path: str
) -> None:
    assert (rule, path) in {(finding.rule, finding.path) for finding in reviewed(service)}


@pytest.mark.parametrize(("rule", "sections", "path"), HOSTILE_SECTIONS, ids=lambda value: str(value)[:50])
def test_a_hostile_section_is_refused_by_name_and_place(
    rule: str, sections: dict[str, Any], path: str
) -> None:
    assert [(finding.rule, finding.path) for finding in reviewed({}, **sections)] == [(rule, path)]


def test_every_rule_of_baseline_has_a_fragment_that_it_refuses() -> None:
    proved = {rule for rule, *_ in [*HOSTILE, *HOSTILE_SECTIONS]}
    assert {rule.name for rule in RULES[Profile.BASELINE]} == proved


@pytest.mark.parametrize("profile", [Profile.BASELINE, Profile.RESTRICTED])
def test_a_modest_service_passes(profile: Profile) -> None:
    assert reviewed({}, profile) == ()


@pytest.mark.parametrize(
    "service",
    [
        {"cap_add": ["CAP_NET_BIND_SERVICE", "chown"]},
        {"privileged": False},
        {"network_mode": "none"},
        {"network_mode": "service:web"},
        {"ipc": "shareable"},
        {"volumes": ["/srv/files:/files"]},
        {"volumes": ["/etc/localtime:/etc/localtime:ro", "/mnt/media:/media:ro", "data:/data"]},
        {"volumes": [{"type": "tmpfs", "target": "/tmp"}, "/anonymous"]},
        {"sysctls": {"net.core.somaxconn": 1024}},
        {"labels": ["org.example.team=a"], "x-note": "mine"},
        {"healthcheck": {"test": ["CMD", "true"], "x-why": {"a": 1}}, "logging": None, "deploy": {"x-a": 1}},
        {"networks": {"vault-net": None}, "ulimits": {"nofile": 1024}, "storage_opt": {"size": "1G"}},
        {"logging": {"driver": "json-file", "options": {"max-size": "1m"}}},
        {"oom_score_adj": 500, "pids_limit": 100},
        {"security_opt": []},
    ],
    ids=str,
)
def test_what_stays_inside_of_the_stack_passes(service: dict[str, Any]) -> None:
    assert reviewed(service) == ()


@pytest.mark.parametrize(
    ("rule", "service"),
    [
        ("non-root", {"user": None}),
        ("non-root", {"user": "root:1000"}),
        ("non-root", {"user": "00"}),
        ("non-root", {"user": 0}),
        ("non-root", {"post_start": [{"command": "x", "user": "root"}]}),
        ("read-only", {"read_only": "true"}),
        ("no-new-privileges", {"security_opt": []}),
        ("drop-capabilities", {"cap_drop": ["NET_RAW"]}),
        ("drop-capabilities", {"cap_add": ["CHOWN"]}),
        ("resource-limits", {"deploy": {"resources": {"limits": {"memory": "1G"}}}}),
        ("no-host-paths", {"volumes": ["/srv/x:/x:ro"]}),
        ("privileged", {"privileged": True}),
    ],
    ids=str,
)
def test_restricted_refuses_what_baseline_tolerates(rule: str, service: dict[str, Any]) -> None:
    assert {finding.rule for finding in reviewed(service, Profile.RESTRICTED)} == {rule}


@pytest.mark.parametrize("section", ["configs", "secrets"])
def test_restricted_mounts_no_file_of_the_host_either(section: str) -> None:
    file: dict[str, Any] = {section: {"settings": {"file": "/srv/x"}}}
    assert reviewed({}, **file) == ()
    assert [(f.rule, f.path) for f in reviewed({}, Profile.RESTRICTED, **file)] == [
        ("no-host-paths", f"{section}.settings.file")
    ]


def test_a_published_port_of_a_web_service_is_left_to_the_build_which_moves_it() -> None:
    assert review({"services": {"web": {**GOOD, "ports": ["80:80"]}}}, ["web"], POLICY) == ()


def test_everything_is_reported_at_once_with_rule_place_and_way_out() -> None:
    services = {"web": {**GOOD, "privileged": True, "pid": "host", "cap_add": ["A\nB"]}}
    with pytest.raises(AdmissionError) as caught:
        admit("bad", Profile.BASELINE, {"services": services}, ["web"], POLICY)
    assert str(caught.value) == (
        "plugin 'bad' asks for what profile 'baseline' refuses:\n"
        r"  services.web.cap_add[0]: 'A\nB' is more than Docker gives by default (capabilities); "
        "do without; profile privileged is for what cannot\n"
        "  services.web.pid: 'host' shows the container processes that are not its own (host-pid); "
        "leave it out, or name a service of this fragment: service:NAME\n"
        "  services.web.privileged: gives the container the whole machine (privileged); "
        "leave it out; if one capability is needed, name that one in cap_add\n"
        "  a service that cannot do without: metadata.annotations: vault.internal/admission: privileged, and the "
        "operator's option --allow-privileged with its name, which gives it the whole machine"
    )


@pytest.mark.parametrize(
    ("profile", "body", "is_told"),
    [
        (Profile.BASELINE, {"network_mode": "host"}, True),
        (Profile.BASELINE, {"network_mode": "host", "volumes": ["/not/opened:/x"]}, True),
        (Profile.BASELINE, {"volumes": ["/not/opened:/x"]}, False),
        (Profile.RESTRICTED, {"network_mode": "host"}, False),
    ],
    ids=["namespace", "both", "path", "restricted"],
)
def test_what_the_operator_can_allow_is_told_where_no_smaller_option_does(
    profile: Profile, body: dict[str, Any], is_told: bool
) -> None:
    with pytest.raises(AdmissionError) as caught:
        admit("bad", profile, {"services": {"web": {**GOOD, **body}}}, ["web"], POLICY)
    assert ("--allow-privileged" in str(caught.value)) is is_told


def test_the_privileged_profile_refuses_nothing() -> None:
    services = {"web": {**GOOD, "privileged": True, "anything": object()}}
    assert admit("p", Profile.PRIVILEGED, {"services": services}, ["web"], POLICY) == ()


@pytest.mark.parametrize(
    ("annotations", "allowed", "expected"),
    [
        ({}, (), Profile.BASELINE),
        ({ANNOTATION: "restricted"}, (), Profile.RESTRICTED),
        ({ANNOTATION: "privileged"}, ("files",), Profile.PRIVILEGED),
        ({ANNOTATION: "baseline"}, ("files",), Profile.BASELINE),
        ({}, ("files",), Profile.BASELINE),
    ],
)
def test_the_profile_of_a_service(
    annotations: dict[str, str], allowed: tuple[str, ...], expected: Profile
) -> None:
    assert profile_of("files", annotations, Policy(allow_privileged=frozenset(allowed))) is expected


@pytest.mark.parametrize(
    ("annotation", "allowed", "message"),
    [
        ("privileged", ("other",), r"does not allow 'files'; run vaultctl with --allow-privileged files"),
        ("Baseline", ("files",), r"is 'Baseline'; it can be restricted, baseline, privileged$"),
        ("", ("files",), r"is ''; it can be"),
    ],
)
def test_a_profile_that_may_not_be_had(annotation: str, allowed: tuple[str, ...], message: str) -> None:
    with pytest.raises(AdmissionError, match=message):
        profile_of("files", {ANNOTATION: annotation}, Policy(allow_privileged=frozenset(allowed)))


def test_warnings_name_each_rule_once_with_all_its_places() -> None:
    bare = {"image": "example/web", "volumes": ["/cache"]}
    services = {"web": bare, "db": {**bare, "image": "db:latest"}, "good": {**GOOD, "image": "x@sha256:00"}}
    warnings = admit("p", Profile.BASELINE, {"services": services}, ["web"], POLICY)
    assert [warning.partition(";")[0] for warning in warnings] == [
        "services.web.image, services.db.image: can be another image later (image)",
        "services.web.deploy.resources.limits.memory, services.db.deploy.resources.limits.memory: "
        "is not set (limits)",
        "services.web.healthcheck, services.db.healthcheck: is missing (healthcheck)",
        "services.web.volumes[0]: gets a new, empty volume with every replica (anonymous-volume)",
    ]


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.just("host"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=6,
)
RULED = sorted({rule.field.partition(".")[0] for rule in RULES[Profile.RESTRICTED]} - {""})


@given(st.dictionaries(st.sampled_from([*RULED, *sorted(FIELDS["services"])]), VALUES, max_size=6))
def test_whatever_the_values_are_nothing_is_raised_and_the_order_is_that_of_places(
    service: dict[str, Any],
) -> None:
    found = review({"services": {"web": service}}, [], POLICY, Profile.RESTRICTED)
    assert list(found) == sorted(found)
    assert found == review(
        {"services": {"web": dict(reversed(service.items()))}}, [], POLICY, Profile.RESTRICTED
    )


@given(VALUES)
def test_a_field_that_nobody_has_thought_about_is_refused_whatever_it_says(value: object) -> None:
    assert [finding.rule for finding in reviewed({"field_of_tomorrow": value})] == ["unknown-field"]


LIMITS = {"deploy": {"resources": {"limits": {"memory": "1G"}}}, "healthcheck": {"test": "true"}}


class Sample(VaultServicePlugin):
    """A plugin whose only service asks for what the test says."""

    metadata = VaultServicePlugin.Metadata(name="Sample", slug="sample", default_port=80)

    def __init__(self, **asks: Any) -> None:
        self._asks = asks

    def build_compose(self, env: Mapping[str, str]) -> dict[str, Any]:
        return {"services": {"web": {"image": "example/web:1.0", **LIMITS, **self._asks}}}

    def get_containers(self) -> list[str]:
        return ["web"]


def sample(**metadata: Any) -> VaultService:
    document = {"metadata": {"name": "files", **metadata}, "spec": {"plugin": "sample"}}
    return VaultService.model_validate(document)


@pytest.mark.parametrize("slug", sorted(discover([]).plugins))
def test_every_shipped_plugin_passes_baseline_without_advice(slug: str) -> None:
    plugin = discover([]).get(slug).create()
    assert inspect(plugin, {**plugin.default_environment, **SETTINGS.get(slug, {})}) == ()


def test_authors_are_told_what_is_refused_and_what_will_be_regretted() -> None:
    found = inspect(Sample(image="example/web", privileged=True), {})
    assert [finding.rule for finding in found] == ["privileged", "image"]


@pytest.mark.parametrize(("restart", "advised"), [("no", False), (False, False), ("always", True)])
def test_a_job_needs_no_health_check(restart: str | bool, advised: bool) -> None:
    services = {"web": GOOD, "migrate": {"image": "a:1", "deploy": LIMITS["deploy"], "restart": restart}}
    warnings = admit("p", Profile.BASELINE, {"services": services}, ["web"], POLICY)
    assert any("services.migrate.healthcheck" in each for each in warnings) is advised


def test_a_stack_is_built_only_from_what_was_let_in() -> None:
    with pytest.raises(AdmissionError, match=r"services\.web\.privileged: .*\(privileged\)"):
        build(sample(), Sample(privileged=True), SITE, front=FRONT)
    trusted = sample(annotations={ANNOTATION: "privileged"})
    with pytest.raises(AdmissionError, match="--allow-privileged files"):
        build(trusted, Sample(privileged=True), SITE, front=FRONT)
    policy = Policy(allow_privileged=frozenset({"files"}))
    stack = build(trusted, Sample(privileged=True), SITE, policy=policy, front=FRONT)
    assert stack.document["services"]["web"]["privileged"] is True


def test_a_reference_to_a_setting_is_resolved_before_it_is_judged() -> None:
    service = VaultService.model_validate(
        {"metadata": {"name": "files"}, "spec": {"plugin": "sample", "env": {"NET": "host"}}}
    )
    with pytest.raises(AdmissionError, match=r"services\.web\.pid: 'host'"):
        build(service, Sample(pid="${NET}"), SITE, front=FRONT)


def test_advice_becomes_warnings_of_the_stack() -> None:
    assert build(sample(), Sample(image="example/web:latest"), SITE, front=FRONT).warnings == (
        "services.web.image: can be another image later (image); "
        "name a version, so that a new one is a rollout that can be undone",
    )


def test_the_page_has_every_rule_as_a_row() -> None:
    page = (Path(__file__).parents[3] / "docs" / "admission.md").read_text(encoding="utf-8")
    expected = [
        f"| `{rule.name}` | `{'' if rule.section == 'services' else f'{rule.section}.*.'}{rule.field or '*'}` "
        f"| {rule.problem} | {rule.way_out} |"
        for rule in (*RULES[Profile.RESTRICTED], *ADVICE)
    ]
    assert sorted(
        line for line in page.splitlines() if line.startswith("| `") and line.count("|") == 5
    ) == sorted(expected)
