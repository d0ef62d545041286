"""From a VaultService and a plugin to the stack; the plugins are written here, so that each test shows both sides."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.api import PermanentError, VaultService
from reconciler.core import labels
from reconciler.core.admission import Policy
from reconciler.core.compose.fragment import BuildError
from reconciler.core.desired.build import build, project_of
from reconciler.core.desired.proposal import resolve_settings
from reconciler.core.desired.stack import Role, RotationMode, Site, Stack
from reconciler.proxy.haproxy.containers import gateway_of, haproxy_of
from reconciler.proxy.haproxy.front import FRONT
from vault_plugins import VaultServicePlugin

SITE = Site(Path("/state/services/files"), 99, 99)


class Sample(VaultServicePlugin):
    """A plugin whose fragment is an argument."""

    metadata = VaultServicePlugin.Metadata(
        name="Sample", slug="sample", default_port=8000, healthcheck_path="/up", description="A sample."
    )

    def __init__(self, fragment: Any, web: Any = ("web",), **attributes: Any) -> None:
        self._fragment, self._web = fragment, web
        for name, value in attributes.items():
            setattr(self, name, value)

    def build_compose(self, env: Mapping[str, str]) -> Mapping[str, Any]:
        made: Mapping[str, Any] = self._fragment(env) if callable(self._fragment) else self._fragment
        return made

    def get_containers(self) -> Any:
        return self._web


def spec(**fields: Any) -> VaultService:
    return VaultService.model_validate(
        {"metadata": {"name": "files"}, "spec": {"plugin": "sample", **fields}}
    )


def one(image: str = "web:1", **body: Any) -> dict[str, Any]:
    return {"services": {"web": {"image": image, **body}}}


def built(
    fragment: Any, web: Any = ("web",), *, attributes: Mapping[str, Any] | None = None, **fields: Any
) -> Stack:
    return build(spec(**fields), Sample(fragment, web, **(attributes or {})), SITE, front=FRONT)


def environment(stack: Stack, service: str = "web") -> Mapping[str, str]:
    found: Mapping[str, str] = stack.document["services"][service]["environment"]
    return found


def test_the_base_stack_comes_with_every_fragment() -> None:
    stack = built(one())
    assert [(w.name, w.role) for w in stack.workloads] == [
        ("gateway", Role.GATEWAY),
        ("haproxy", Role.PROXY),
        ("web", Role.WEB),
    ]
    assert stack.project == project_of("files") == stack.document["name"] == "vault-files"
    assert set(stack.document["networks"]) == {"vault-net", "control-net"}
    assert stack.document["services"]["gateway"]["ports"] == ["8080:8080"]
    assert stack.document["services"]["haproxy"]["network_mode"] == "service:gateway"


def test_every_container_says_what_it_is() -> None:
    stack = built(one())
    for workload in stack.workloads:
        marks = stack.document["services"][workload.name]["labels"]
        assert marks[labels.SERVICE] == "files"
        assert marks[labels.ROLE] == workload.role.value
        assert marks[labels.REVISION] == workload.revision
    assert stack.document["services"]["web"]["labels"][labels.PORT] == "8000"


def test_settings_are_layered() -> None:
    plugin = Sample(one(), default_environment={"A": "plugin", "B": "plugin", "C": "plugin"})
    service = spec(
        env={"C": "spec"}, replicas=4, ports={"container": 9000}, healthcheck={"path": "/ok", "host": "me"}
    )
    assert resolve_settings(service, plugin, {"B": "secret", "C": "secret"}) == {
        "VAULT_SERVICE": "sample",
        "A": "plugin",
        "B": "secret",
        "C": "spec",
        "VAULT_WEB_REPLICAS": "4",
        "VAULT_WEB_PORT": "9000",
        "VAULT_WEB_HEALTHCHECK_PATH": "/ok",
        "VAULT_WEB_HEALTHCHECK_HOST": "me",
    }


def test_fields_of_the_spec_win_over_settings_of_the_same_meaning() -> None:
    stack = built(
        one(),
        replicas=4,
        ports={"container": 9000},
        healthcheck={"path": "/ok"},
        env={"VAULT_WEB_REPLICAS": "2", "VAULT_WEB_PORT": "1", "VAULT_HEALTH_PATH": "/no"},
    )
    assert (stack.replicas, stack.web[0].port, stack.proxy.health.path) == (4, 9000, "/ok")


def test_users_settings_reach_who_answers_requests_and_defaults_reach_all() -> None:
    fragment = {"services": {"web": {"image": "web:1"}, "database": {"image": "database:1"}}}
    defaults = {"default_environment": {"ZONE": "UTC"}}
    stack = built(fragment, attributes=defaults, env={"TOKEN": "x", "VAULT_WEB_REPLICAS": "2"})
    assert environment(stack) == {"TOKEN": "x", "VAULT_SERVICE": "sample", "ZONE": "UTC"} or environment(
        stack
    ) == {
        "TOKEN": "x",
        "ZONE": "UTC",
    }
    assert environment(stack, "database") == {"ZONE": "UTC"}


def test_what_the_plugin_sets_itself_stays() -> None:
    assert environment(built(one(environment={"A": "mine"}), env={"A": "yours"}))["A"] == "mine"


def test_a_dollar_in_a_value_survives() -> None:
    stack = built(
        lambda env: one(environment={"COPY": env["SECRET"], "READ": "${SECRET}"}), env={"SECRET": "a$b$$c"}
    )
    assert (
        environment(stack)["COPY"] == environment(stack)["READ"] == environment(stack)["SECRET"] == "a$b$$c"
    )


def test_published_ports_move_to_the_proxy() -> None:
    stack = built(one(ports=["9000:8080"]))
    assert "ports" not in stack.document["services"]["web"]
    assert stack.web[0].port == 8080
    assert any("published ports move to HAProxy" in warning for warning in stack.warnings)


@pytest.mark.parametrize(
    ("ports", "port"),
    [
        (["8000"], 8000),
        (["80:8000", "81:9000"], 8000),
        (["127.0.0.1:80:3000/tcp"], 3000),
        ([{"target": 3000, "published": "80"}], 3000),
        (["${UNSET:-80}:3000"], 3000),
        (["80:3000", "81:3001"], 8000),
    ],
)
def test_a_mapping_says_what_the_application_listens_on(ports: Any, port: int) -> None:
    assert built(one(ports=ports)).web[0].port == port


def test_a_web_service_joins_the_network_of_the_proxy() -> None:
    stack = built({**one(networks=["own"]), "networks": {"own": {}}})
    assert stack.web[0].networks == {"own", "vault-net"}
    assert any("joins 'vault-net'" in warning for warning in stack.warnings)


def test_a_container_name_cannot_be_kept_by_two() -> None:
    stack = built(one(container_name="mine"))
    assert "container_name" not in stack.document["services"]["web"]
    assert any("services.web.container_name is not given" in warning for warning in stack.warnings)


def test_counts_are_no_part_of_a_revision() -> None:
    assert built(one(), replicas=2).revision == built(one(), replicas=5).revision
    gateways = {gateway_of(built(one(), ports={"http": port})).revision for port in (80, 81)}
    assert len(gateways) == 2
    assert len({haproxy_of(built(one(), ports={"http": port})).revision for port in (80, 81)}) == 1


ALONE: dict[str, Any] = {"replicas": 1, "strategy": {"type": "Recreate"}}
UDP = [{"port": 53, "target": 5353}, {"port": 123, "target": 123}]


def test_udp_ports_are_published_past_haproxy_with_a_warning() -> None:
    stack = built(one(), udp=UDP, **ALONE)

    assert stack.document["services"]["web"]["ports"] == ["53:5353/udp", "123:123/udp"]
    assert (
        "spec.udp: the engine publishes 53, 123 of 'web', past HAProxy; datagrams are lost while it is replaced"
        in (stack.warnings)
    )
    assert stack.host_ports == (8080,)
    assert "ports" not in built(one(), **ALONE).document["services"]["web"]
    assert stack.revision != built(one(), **ALONE).revision


def test_udp_ports_have_the_operators_address() -> None:
    for bind, port in (("127.0.0.1", "127.0.0.1:53:5353/udp"), ("::1", "[::1]:53:5353/udp")):
        service, sample = spec(udp=UDP[:1], **ALONE), Sample(one())
        stack = build(service, sample, SITE, policy=Policy(bind=bind), front=FRONT)
        assert stack.document["services"]["web"]["ports"] == [port]


@pytest.mark.parametrize(
    ("fields", "several"),
    [
        ({"replicas": 2, "strategy": {"type": "Recreate"}}, "2 replicas"),
        ({"replicas": 1}, "another one beside it while it is replaced"),
    ],
)
def test_two_containers_cannot_publish_one_udp_port(fields: dict[str, Any], several: str) -> None:
    with pytest.raises(
        BuildError, match=rf"spec\.udp\[0\]\.port: .* 53/udp, and there are {several}; use one replica"
    ):
        built(one(), udp=UDP, **fields)


def test_two_services_cannot_publish_one_udp_port() -> None:
    both = {"services": {name: {"image": f"{name}:1"} for name in ("a", "b")}}
    with pytest.raises(BuildError, match="there are the services a, b; use one"):
        built(both, ("a", "b"), udp=UDP, **ALONE)


def test_a_service_on_the_network_of_the_host_has_no_gateway() -> None:
    host = {"network": "host"}
    published, on_host = (built(one(), ports={"http": 80}, proxy=proxy) for proxy in ({}, host))

    assert [w.role for w in on_host.workloads] == [Role.PROXY, Role.WEB]
    assert haproxy_of(on_host).needs == ()
    haproxy = on_host.document["services"]["haproxy"]
    assert (haproxy["network_mode"], haproxy["user"]) == ("host", "0:99")
    assert haproxy["cap_add"] == ["KILL", "NET_BIND_SERVICE", "SETGID", "SETUID"]
    assert on_host.proxy.opens == ("", 80)
    assert on_host.host_ports == published.host_ports == (80,)
    # No web replica and no dependency is replaced by the change.
    assert on_host.revision == published.revision
    # Another port is opened by a reload.
    moved = built(one(), ports={"http": 81}, proxy=host)
    assert haproxy_of(moved).revision == haproxy_of(on_host).revision


def test_a_restart_is_another_revision_of_who_answers_requests() -> None:
    fragment = {"services": {"web": {"image": "web:1"}, "database": {"image": "database:1"}}}
    before, after = built(fragment), built(fragment, restartedAt="2026-05-01T12:00:00Z")
    changed = [
        b.name for b, a in zip(before.workloads, after.workloads, strict=True) if b.revision != a.revision
    ]
    assert changed == ["web"]


def test_the_content_of_mounted_files_is_part_of_the_revision() -> None:
    fragment = {
        "services": {
            "web": {"image": "web:1", "configs": ["site"], "volumes": ["/srv/app.conf:/app.conf:ro"]}
        },
        "configs": {"site": {"file": "/srv/site.conf"}},
    }
    files = {"/srv/app.conf": "1", "/srv/site.conf": "1"}
    policy = {"metadata": {"name": "files"}, "spec": {"plugin": "sample"}}
    service, plugin = VaultService.model_validate(policy), Sample(fragment)
    before = build(service, plugin, SITE, digest_file=files.get, front=FRONT).revision
    assert build(service, plugin, SITE, digest_file=files.get, front=FRONT).revision == before
    for path in tuple(files):
        assert (
            build(service, plugin, SITE, digest_file=(files | {path: "2"}).get, front=FRONT).revision
            != before
        )


def test_needs_come_from_depends_on_and_from_the_plugin() -> None:
    fragment = {
        "services": {
            "database": {"image": "database:1"},
            "job": {"image": "job:1", "depends_on": ["database"]},
            "cache": {"image": "cache:1"},
            "web": {
                "image": "web:1",
                "depends_on": {"job": {"condition": "service_completed_successfully"}},
            },
        }
    }
    stack = built(fragment, attributes={"dependencies": ("cache",)})
    by_name = {workload.name: workload for workload in stack.workloads}
    assert by_name["web"].needs == ("job", "cache")
    assert by_name["job"].one_shot
    assert not by_name["database"].one_shot


@pytest.mark.parametrize(
    ("other", "depends_on", "role", "one_shot"),
    [
        ({}, ["other"], Role.DEPENDENCY, False),
        ({}, {"other": {"condition": "service_completed_successfully"}}, Role.JOB, True),
        # An init container: it is not to be restarted, and nothing says that it goes on running.
        ({"restart": "no"}, ["other"], Role.JOB, True),
        ({"restart": False}, [], Role.JOB, True),
        ({"restart": "no"}, {"other": {"condition": "service_healthy"}}, Role.DEPENDENCY, True),
        ({"restart": "no"}, {"other": {}}, Role.DEPENDENCY, True),
        ({"restart": "no", "healthcheck": {"test": ["CMD", "true"]}}, ["other"], Role.DEPENDENCY, True),
        ({"restart": "no", "healthcheck": {"disable": True}}, ["other"], Role.JOB, True),
        ({"restart": "on-failure"}, ["other"], Role.DEPENDENCY, False),
        (
            {"restart": "on-failure"},
            {"other": {"condition": "service_completed_successfully"}},
            Role.JOB,
            True,
        ),
    ],
)
def test_what_runs_once_is_a_job(
    other: dict[str, Any], depends_on: object, role: Role, one_shot: bool
) -> None:
    services = {"other": {"image": "other:1", **other}, "web": {"image": "web:1", "depends_on": depends_on}}
    stack = built({"services": services})
    workload = next(w for w in stack.workloads if w.name == "other")
    assert (workload.role, workload.one_shot) == (role, one_shot)


def test_a_revision_names_all_workloads_but_those_of_the_base() -> None:
    web = {"image": "web:1", "depends_on": ["db"]}
    one, other = (built({"services": {"web": web, "db": {"image": f"db:{version}"}}}) for version in (1, 2))
    assert one.revision != other.revision
    assert one.web_revisions == other.web_revisions
    alone = built({"services": {"web": {"image": "web:1"}}})
    assert alone.web_revisions == {alone.revision} == {alone.web[0].revision}


def test_a_job_that_is_done_is_not_started_again_by_the_engine() -> None:
    done = {"job": {"condition": "service_completed_successfully"}}
    stack = built({"services": {"job": {"image": "job:1"}, "web": {"image": "web:1", "depends_on": done}}})
    assert stack.document["services"]["job"]["restart"] == "no"
    assert stack.document["services"]["web"]["restart"] == "unless-stopped"


def test_one_service_per_replica() -> None:
    names = ["web1", "web2", "web3"]
    stack = built({"services": {name: {"image": "web:1"} for name in names}}, names)
    assert [workload.replicas for workload in stack.web] == [1, 1, 1]
    assert stack.replicas == 3


@pytest.mark.parametrize(
    ("body", "replicas"), [({}, 3), ({"deploy": {"replicas": 5}}, 5), ({"scale": 2}, 2), ({"deploy": {}}, 3)]
)
def test_replicas_that_the_fragment_names_win(body: dict[str, Any], replicas: int) -> None:
    assert built(one(**body), replicas=3).replicas == replicas


@pytest.mark.parametrize(
    ("given", "surge", "unavailable"),
    [
        ({}, 1, 0),
        ({"maxSurge": "100%"}, 4, 0),
        ({"maxSurge": "30%"}, 2, 0),
        ({"maxSurge": 0}, 0, 1),
        ({"maxSurge": 0, "maxUnavailable": "30%"}, 0, 1),
        ({"maxSurge": 0, "maxUnavailable": "10%"}, 0, 1),
        ({"maxUnavailable": "50%"}, 1, 2),
    ],
)
def test_the_budget_in_whole_replicas(given: dict[str, Any], surge: int, unavailable: int) -> None:
    strategy = built(one(), replicas=4, strategy={"rollingUpdate": given}).strategy
    assert (strategy.surge, strategy.unavailable) == (surge, unavailable)


def test_a_single_writer_is_recreated_unless_the_spec_says_otherwise() -> None:
    single = {"single_writer": True}
    assert built(one(), attributes=single).strategy.kind == "Recreate"
    rolling = built(one(), attributes=single, strategy={"type": "RollingUpdate"})
    assert rolling.strategy.kind == "RollingUpdate"
    assert built(one()).strategy.kind == "RollingUpdate"


def test_rotation() -> None:
    rotation = built(one(), rotation={"interval": "2m", "jitter": "10%", "mode": "single-active"}).rotation
    assert rotation is not None
    assert (rotation.interval, rotation.jitter, rotation.mode) == (120.0, 0.1, RotationMode.SINGLE_ACTIVE)
    assert built(one()).rotation is None


@pytest.mark.parametrize(
    ("grace", "seconds"),
    [(None, 10.0), ("30s", 30.0), ("1m30s", 90.0), ("500ms", 0.5), (20, 20.0), ("1h", 3600.0)],
)
def test_stop_grace(grace: Any, seconds: float) -> None:
    body = {} if grace is None else {"stop_grace_period": grace}
    assert built(one(**body)).web[0].stop_grace == seconds


@pytest.mark.parametrize(
    ("fragment", "web", "message"),
    [
        (None, ("web",), "the fragment must be a mapping"),
        ([], ("web",), "the fragment must be a mapping"),
        ({"servics": {}}, ("web",), "unknown section 'servics'"),
        (one() | {"volumes": 3}, ("web",), "volumes"),
        ({"services": {"web": {}}}, ("web",), "web has no image"),
        ({"services": {"web": {"build": "."}}}, ("web",), "does not build them"),
        ({"services": {"gateway": {"image": "a:1"}}}, ("gateway",), "belongs to the base stack"),
        (one(), (), "names no service"),
        (one(), ("wbe",), r"get_containers\(\) names 'wbe', but the services are web"),
        (one(networks=["nope"]), ("web",), "'nope' is not declared"),
        (one(volumes=["data:/data"]), ("web",), "'data' is not declared"),
        (one(volumes=["./data:/data"]), ("web",), "is a relative path"),
        (one(configs=["site"]), ("web",), "'site' is not in the fragment's configs"),
        (one(depends_on=["database"]), ("web",), "there is no service 'database'"),
        (one(depends_on=["web"]), ("web",), "in a circle: web → web"),
        (one(command="$"), ("web",), "starts no"),
        (one(command="${TOKEN:?give one}"), ("web",), "TOKEN is required: give one"),
    ],
)
def test_what_cannot_run_is_refused_by_name(fragment: Any, web: Any, message: str) -> None:
    with pytest.raises(PermanentError, match=message) as refused:
        built(fragment, web)
    assert "plugin 'sample'" in str(refused.value)


def test_a_plugin_that_raises_stops_only_itself() -> None:
    def broken(env: Mapping[str, str]) -> Any:
        raise SystemExit("no such table")

    with pytest.raises(BuildError, match=r"sample.*no such table"):
        built(broken)


@pytest.mark.parametrize(
    ("env", "message"),
    [
        ({"VAULT_WEB_PORT": "http"}, "VAULT_WEB_PORT is 'http'"),
        ({"VAULT_WEB_REPLICAS": "many"}, "VAULT_WEB_REPLICAS is 'many'"),
        ({"VAULT_HEALTH_PATH": "up"}, "VAULT_HEALTH_PATH is 'up'"),
    ],
)
def test_a_setting_that_cannot_be_used_is_named(env: dict[str, str], message: str) -> None:
    with pytest.raises(BuildError, match=message):
        built(one(), env=env)


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.binary(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
fields = st.sampled_from(
    ["image", "environment", "networks", "ports", "volumes", "depends_on", "deploy", "labels", "scale", "command",
     "stop_grace_period", "configs", "restart", "healthcheck", "network_mode"]
)  # fmt: skip
services = st.dictionaries(fields, values, max_size=4).map(lambda body: {"image": "web:1", **body})


@given(
    st.dictionaries(st.sampled_from(["web", "database", "gateway"]), services | values, max_size=3),
    st.dictionaries(st.sampled_from(["volumes", "networks", "configs", "secrets", "x"]), values, max_size=2),
)
def test_any_fragment_is_built_or_refused(bodies: dict[str, Any], sections: dict[str, Any]) -> None:
    refusal = refusal_of({"services": bodies, **sections})
    assert refusal is None or "plugin 'sample'" in refusal


def refusal_of(fragment: dict[str, Any]) -> str | None:
    """Why a fragment is refused; None when it was built."""
    try:
        stack = built(fragment)
    except PermanentError as refused:
        return str(refused)
    return None if stack.web[0].name == "web" else "built something else"


def test_no_replicas_is_the_same_stack_at_rest() -> None:
    """A stop is no rollout: the revisions, the names and the settings are those of what ran, and of what runs again."""
    fragment = {"services": {"web": {"image": "web:1"}, "db": {"image": "db:1"}}}
    runs = built(fragment, replicas=3, rotation={"interval": "1h"}, attributes={"dependencies": ("db",)})
    rests = built(fragment, replicas=0, rotation={"interval": "1h"}, attributes={"dependencies": ("db",)})
    assert (rests.is_stopped, rests.proxy.is_stopped, rests.rotation) == (True, True, None)
    assert (runs.is_stopped, runs.proxy.is_stopped) == (False, False)
    assert rests.revision == runs.revision
    assert {w.name: w.replicas for w in rests.workloads} == {"gateway": 1, "haproxy": 1, "web": 0, "db": 0}
    services = rests.document["services"]
    assert [services[name]["deploy"]["replicas"] for name in ("web", "db")] == [0, 0]


@pytest.mark.parametrize("attributes", [{"min_replicas": 3}, {"single_writer": True}, {}])
def test_every_plugin_can_be_stopped(attributes: dict[str, Any]) -> None:
    assert built(one(), replicas=0, attributes=attributes).replicas == 0


def test_a_plugin_is_asked_for_what_it_would_run() -> None:
    """A plugin that makes a service for each replica has to name one, and its minimum holds."""
    asked: list[str] = []

    def fragment(env: Mapping[str, str]) -> Mapping[str, Any]:
        asked.append(env.get("VAULT_WEB_REPLICAS", "unset"))
        return one()

    built(fragment, replicas=0)
    built(fragment, replicas=0, env={"VAULT_WEB_REPLICAS": "4"})
    assert asked == ["unset", "4"]


@pytest.mark.parametrize(
    ("proxy", "idle", "hold"),
    [
        ({}, {}, 60),
        ({"holdSeconds": 90}, {}, 90),
        ({}, {"holdSeconds": 20}, 30),
        ({}, {"holdSeconds": 120}, 120),
    ],
)
def test_a_request_waits_for_as_long_as_a_boot_may_take(
    proxy: dict[str, Any], idle: dict[str, Any], hold: float
) -> None:
    fields: dict[str, Any] = {
        "route": {"hostnames": ["a.test"]},
        "proxy": proxy,
        "idle": {"after": "30m", **idle},
    }
    stack = built(one(), **fields)
    assert (stack.idle, stack.proxy.hold_seconds) == (1800.0, hold)
    assert built(one(), replicas=0, **fields).idle is None
