import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from reconciler.api import (
    Condition,
    EnvFrom,
    HealthCheck,
    IntOrPercent,
    Metadata,
    Ports,
    Proxy,
    ReplicaCounts,
    RollingUpdate,
    Rotation,
    Spec,
    Status,
    Strategy,
    VaultService,
)
from reconciler.api.errors import PermanentError
from reconciler.api.model import AS_STORED


def service(**spec: Any) -> VaultService:
    return VaultService(metadata=Metadata(name="files"), spec=Spec(plugin="whoami", **spec))


def test_a_plugin_is_enough_and_the_defaults_are_safe() -> None:
    spec = service().spec
    assert spec.replicas is None
    assert (spec.ports.http, spec.ports.container) == (8080, None)
    assert (spec.healthcheck.path, spec.healthcheck.host, spec.healthcheck.interval) == (None, None, 2.0)
    assert (spec.proxy.replicas, spec.proxy.image, spec.proxy.hold_seconds) == (1, "haproxy:3.0", 30.0)
    assert spec.strategy.type is None
    assert spec.strategy.rolling_update == RollingUpdate(
        max_surge=IntOrPercent(1), max_unavailable=IntOrPercent(0)
    )
    assert (spec.strategy.progress_deadline_seconds, spec.strategy.drain_seconds) == (120.0, 30.0)
    assert spec.strategy.auto_rollback
    assert not spec.strategy.paused
    assert not spec.suspend
    assert spec.rotation is None
    assert (spec.deletion_policy, spec.drift) == ("Delete", "heal")


def test_a_whole_object_survives_every_way_of_writing_it() -> None:
    whole = VaultService(
        metadata=Metadata(name="files", labels={"team": "a"}, annotations={"note": "x y"}, generation=4),
        spec=Spec(
            plugin="whoami",
            replicas=3,
            ports=Ports(http=80, container=8000),
            healthcheck=HealthCheck(path="/healthz", host="localhost", interval=0.5),
            env={"A": "1"},
            env_from=(EnvFrom(file="files.env"),),
            proxy=Proxy(replicas=2),
            strategy=Strategy(
                type="Recreate", rolling_update=RollingUpdate(max_surge=IntOrPercent(25, True))
            ),
            rotation=Rotation(interval=120.0, mode="single-active"),
            restarted_at="2026-05-01T12:00:00Z",
            depends_on=("db",),
            deletion_policy="Orphan",
            drift="heal",
        ),
        status=Status(
            observed_generation=4,
            replicas=ReplicaCounts(desired=3, ready=2),
            conditions=(Condition(type="Ready", status="False", reason="Warming"),),
        ),
    )
    assert VaultService.model_validate(whole.to_document(), by_name=False) == whole
    assert VaultService.model_validate_json(json.dumps(whole.to_document())) == whole
    assert VaultService.model_validate(whole.model_dump()) == whole


def test_a_document_has_the_notation_of_its_author() -> None:
    document = service(rotation=Rotation(interval=90.0), strategy=Strategy(drain_seconds=5.0)).to_document()
    assert document["spec"]["rotation"] == {"interval": "1m30s", "jitter": "20%", "mode": "rolling"}
    assert document["spec"]["strategy"]["drainSeconds"] == 5
    assert "type" not in document["spec"]["strategy"]
    assert "status" not in document


def test_parts_cannot_be_changed_in_place() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        service().spec.replicas = 3  # type: ignore[misc]


def test_env_stays_out_of_logs() -> None:
    made = service(env={"PASSWORD": "hunter2"})
    assert "hunter2" not in f"{made!r} {made}"
    assert made.spec.env == {"PASSWORD": "hunter2"}


def test_validation_errors_do_not_repeat_values() -> None:
    for bad in ({"env": {"PASSWORD": 42424242}}, {"env": {"PASSWORD": ["hunter2"]}}, {"replicas": "hunter2"}):
        with pytest.raises(ValidationError) as refused:
            Spec.model_validate({"plugin": "whoami", **bad})
        assert "hunter2" not in str(refused.value)
        assert "42424242" not in str(refused.value)


REFUSED: list[dict[str, Any]] = [
    {"plugin": None},
    {"plugin": "../x"},
    {"replicas": -1},
    {"replicas": 1001},
    {"replicas": "3"},
    {"replicas": 3.0},
    {"replicas": True},
    {"ports": {"http": 0}},
    {"ports": {"http": 65536}},
    {"ports": {"http": "80"}},
    {"ports": None},
    {"healthcheck": {"path": "x"}},
    {"healthcheck": {"interval": "50ms"}},
    {"healthcheck": {"interval": "2h"}},
    {"env": {"A": 1}},
    {"env": {"A": True}},
    {"env": {"A": 1.1}},
    {"env": {"A": None}},
    {"env": {"1A": "x"}},
    {"env": ["A=1"]},
    {"envFrom": {"file": "x"}},
    {"envFrom": [{}]},
    {"envFrom": ["x"]},
    {"proxy": {"replicas": 0}},
    {"proxy": {"replicas": 3}},
    {"proxy": {"image": "a b"}},
    {"proxy": {"holdSeconds": -1}},
    {"strategy": {"type": "rolling"}},
    {"strategy": {"rollingUpdate": {"maxSurge": "200%"}}},
    {"strategy": {"rollingUpdate": {"maxSurge": -1}}},
    {"strategy": {"progressDeadlineSeconds": 0}},
    {"strategy": {"minReadySeconds": "2s"}},
    {"strategy": {"minReadySeconds": 120}},
    {"strategy": {"minReadySeconds": 6, "progressDeadlineSeconds": 6}},
    {"strategy": {"drainSeconds": True}},
    {"strategy": {"autoRollback": "no"}},
    {"strategy": {"autoRollback": 0}},
    {"rotation": {}},
    {"rotation": {"interval": "999ms"}},
    {"rotation": {"interval": "1h", "jitter": 20}},
    {"rotation": {"interval": "1h", "mode": "fast"}},
    {"suspend": "yes"},
    {"restartedAt": "today"},
    {"dependsOn": ["db", "db"]},
    {"dependsOn": ["DB"]},
    {"dependsOn": "db"},
    {"deletionPolicy": "Retain"},
    {"drift": "fix"},
    {"drift": "warn", "rotation": {"interval": "60s"}},
    {"idle": {"after": "30m"}},
    {"route": {"hostnames": ["a"]}, "idle": {}},
    {"route": {"hostnames": ["a"]}, "idle": {"after": "0s"}},
    {"route": {"hostnames": ["a"]}, "idle": {"after": "15d"}},
    {"route": {"hostnames": ["a"]}, "idle": {"after": "30m", "holdSeconds": 0}},
    {"route": {"hostnames": ["a"]}, "idle": {"after": "30m", "holdSeconds": 601}},
    {"route": {"hostnames": ["a"]}, "idle": {"after": "30m"}, "drift": "ignore"},
    {"unknown": 1},
]


@pytest.mark.parametrize("bad", REFUSED, ids=json.dumps)
def test_what_the_resource_does_not_mean_is_refused(bad: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Spec.model_validate({"plugin": "whoami", **bad}, by_name=False, by_alias=True)


def test_documents_use_document_names_only() -> None:
    with pytest.raises(ValidationError, match="deletion_policy"):
        Spec.model_validate({"plugin": "whoami", "deletion_policy": "Orphan"}, by_name=False, by_alias=True)


def test_a_service_cannot_wait_for_itself() -> None:
    with pytest.raises(ValidationError, match="must not name the service itself"):
        service(depends_on=("files",))


@pytest.mark.parametrize(
    ("claims", "message"),
    [
        (
            {"route": {"hostnames": ["a"]}, "routes": [{"hostnames": ["b"]}]},
            "route for a single one, or routes",
        ),
        ({"routes": [{"hostnames": ["a", "b"]}, {"hostnames": ["b"]}]}, "must claim b/ only once"),
        (
            {"routes": [{"hostnames": ["a"], "path": "/x"}, {"hostnames": ["a"], "path": "/x/"}]},
            "must claim a/x/ only once",
        ),
        ({"tcp": [{"port": 1, "target": 2}, {"port": 1, "target": 3}]}, "must claim port 1 only once"),
        ({"udp": [{"port": 53, "target": 2}, {"port": 53, "target": 3}]}, "must publish each port only once"),
    ],
)
def test_a_service_does_not_contradict_itself(claims: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        Spec.model_validate({"plugin": "whoami", **claims}, by_name=False, by_alias=True)


def test_a_service_may_claim_the_same_on_two_gateways_and_several_paths_on_one() -> None:
    claims = [
        {"hostnames": ["a"], "gateway": "one"},
        {"hostnames": ["a"], "gateway": "two"},
        {"hostnames": ["a"], "gateway": "one", "path": "/x"},
    ]
    spec = Spec.model_validate({"plugin": "whoami", "routes": claims}, by_name=False, by_alias=True)

    assert [route.path for route in spec.all_routes] == ["/", "/", "/x"]
    assert Spec.model_validate_json(json.dumps(spec.to_document())) == spec


@pytest.mark.parametrize(
    "claims",
    [
        {"route": {"hostnames": ["a"]}},
        {"routes": [{"hostnames": ["a"]}]},
        {"tcp": [{"port": 2222, "target": 22}]},
    ],
)
def test_a_service_with_routes_publishes_no_port(claims: dict[str, Any]) -> None:
    document = {"metadata": {"name": "a"}, "spec": {"plugin": "whoami", **claims}}
    routed = VaultService.model_validate(document)
    assert routed.ports == {}
    assert routed.to_document()["spec"]["ports"] == {}
    assert VaultService.model_validate_json(json.dumps(routed.to_document())) == routed
    with pytest.raises(
        ValidationError, match=f"must be left out: .* of spec.{next(iter(claims))}, so no port"
    ):
        VaultService.model_validate(
            {"metadata": {"name": "a"}, "spec": {"plugin": "whoami", **claims, "ports": {"http": 8080}}}
        )


def test_the_port_of_the_containers_is_for_routes_as_well() -> None:
    spec = Spec.model_validate(
        {"plugin": "whoami", "route": {"hostnames": ["a"]}, "ports": {"container": 9000}}
    )
    assert spec.to_document()["ports"] == {"container": 9000}


def test_files_of_routes_are_settings_files(tmp_path: Path) -> None:
    first = {"hostnames": ["a"], "auth": {"basic": {"file": "users", "realm": "Staff"}}}
    second = {"hostnames": ["b"], "tls": {"files": {"chain": "b.pem", "key": "b.key"}}}
    spec = {
        "plugin": "whoami",
        "envFrom": [{"file": "a.env"}],
        "routes": [first, {"hostnames": ["c"]}, second],
    }
    read = VaultService.model_validate({"metadata": {"name": "a"}, "spec": spec})

    assert read.settings_files == {
        "spec.envFrom[0].file": "a.env",
        "spec.routes[0].auth.basic.file": "users",
        "spec.routes[2].tls.files.chain": "b.pem",
        "spec.routes[2].tls.files.key": "b.key",
    }
    assert set(read.settings_files) - set(read.secret_files) == {"spec.routes[2].tls.files.chain"}
    located = read.located(tmp_path)
    assert located.settings_files == {
        field: str(tmp_path / file) for field, file in read.settings_files.items()
    }
    assert [each.auth and each.auth.basic and each.auth.basic.realm for each in located.spec.routes] == [
        "Staff",
        None,
        None,
    ]
    assert located.located(Path("/elsewhere")) == located


def test_the_file_of_a_single_route_is_found_too(tmp_path: Path) -> None:
    route = {"hostnames": ["a"], "auth": {"basic": {"file": "users"}}}
    read = VaultService.model_validate(
        {"metadata": {"name": "a"}, "spec": {"plugin": "whoami", "route": route}}
    )

    assert read.located(tmp_path).settings_files == {"spec.route.auth.basic.file": str(tmp_path / "users")}


specs = st.builds(
    Spec,
    plugin=st.just("whoami"),
    replicas=st.none() | st.integers(1, 1000),
    env=st.dictionaries(
        st.from_regex(r"[A-Z_]{1,8}", fullmatch=True),
        st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])),
        max_size=3,
    ),
    healthcheck=st.builds(
        HealthCheck, interval=st.integers(100, 3_600_000).map(lambda milliseconds: milliseconds / 1000)
    ),
    strategy=st.builds(
        Strategy,
        type=st.sampled_from([None, "Recreate", "RollingUpdate"]),
        rolling_update=st.builds(
            RollingUpdate,
            max_surge=st.builds(IntOrPercent, st.integers(0, 100), st.booleans()),
            max_unavailable=st.builds(IntOrPercent, st.integers(0, 100), st.booleans()),
        ),
        drain_seconds=st.floats(0, 86400),
    ),
)


@given(specs)
def test_every_spec_reads_back_from_its_document_as_it_was(spec: Spec) -> None:
    assert Spec.model_validate_json(json.dumps(spec.to_document())) == spec


def test_a_setting_with_nul_is_refused_unless_it_was_stored_before() -> None:
    document = {"metadata": {"name": "files"}, "spec": {"plugin": "whoami", "env": {"A": "x\0"}}}
    with pytest.raises(ValidationError, match="must hold no NUL"):
        VaultService.model_validate(document)
    assert VaultService.model_validate(document, context=AS_STORED).spec.env == {"A": "x\0"}


def test_a_service_with_a_port_of_its_own_cannot_sleep() -> None:
    """Nothing would tell when it had its last request."""
    with pytest.raises(ValidationError, match=r"needs spec\.route"):
        Spec.model_validate({"plugin": "whoami", "idle": {"after": "30m"}}, by_name=False, by_alias=True)
    idle = {"after": "30m", "holdSeconds": 90}
    for claim in ({"route": {"hostnames": ["a"]}}, {"tcp": [{"port": 22, "target": 22}]}):
        spec = Spec.model_validate({"plugin": "whoami", "idle": idle, **claim}, by_name=False, by_alias=True)
        assert spec.idle is not None
        assert (spec.idle.after, spec.idle.hold_seconds) == (1800.0, 90.0)
        assert Spec.model_validate_json(json.dumps(spec.to_document())) == spec


def of_compose(**spec: Any) -> VaultService:
    return VaultService.model_validate({"metadata": {"name": "a"}, "spec": spec})


def test_a_compose_file_needs_no_plugin() -> None:
    made = of_compose(compose={"file": "compose.yaml"})
    assert made.spec.plugin == "compose"
    assert of_compose(**made.spec.to_document()) == made


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({"compose": {}}, "needs one of file and inline"),
        ({"compose": {"file": "a", "inline": "b"}}, "needs one of file and inline"),
        ({"compose": {"file": "a"}, "plugin": "whoami"}, r"must be left out, since spec\.compose"),
        ({"compose": {"file": "a", "port": 0}}, "greater than or equal to 1"),
        ({"compose": {"file": "a", "content": "../x"}}, "the name of a content"),
        ({}, "Field required"),
    ],
)
def test_what_a_compose_file_cannot_be(spec: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        of_compose(**spec)


def test_a_compose_file_is_a_settings_file_and_no_secret() -> None:
    made = of_compose(
        compose={"file": "app/compose.yaml", "profiles": ["x"]},
        envFrom=[{"file": "a.env"}],
        route={"hostnames": ["a"], "auth": {"basic": {"file": "users"}}},
    )
    located = made.located(Path("/manifests"))
    assert located.settings_files == {
        "spec.envFrom[0].file": "/manifests/a.env",
        "spec.compose.file": "/manifests/app/compose.yaml",
        "spec.route.auth.basic.file": "/manifests/users",
    }
    assert set(located.settings_files) - set(located.secret_files) == {"spec.compose.file"}
    assert located.spec.compose is not None
    assert located.spec.compose.profiles == ("x",)
    assert located.located(Path("/manifests")) == located


@pytest.mark.parametrize(
    "file", ["../compose.yaml", "a/../../compose.yaml", "/etc/compose.yaml", "/manifests2/c.yaml"]
)
def test_a_compose_file_is_beside_the_manifest_or_below(file: str) -> None:
    with pytest.raises(PermanentError, match=r"spec\.compose\.file: .* is not beside the manifest"):
        of_compose(compose={"file": file}).located(Path("/manifests"))


def test_a_compose_file_in_the_manifest_has_no_path() -> None:
    made = of_compose(compose={"inline": "services: {}"})
    assert made.located(Path("/manifests")) == made
    assert made.settings_files == {}
    assert "services" not in repr(made)
