"""From what Compose reads to a fragment: which service answers requests, and what differs from `docker compose up`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from reconciler.core.compose.adapter import adapt
from reconciler.core.compose.project import VARIABLES, Adapted, Project, ProjectError

NAME = "vault-notes"


def project(services: dict[str, Any], **sections: Any) -> Project:
    bodies = {name: {"image": f"{name}:1", **body} for name, body in services.items()}
    return Project(NAME, {"services": bodies, **sections}, Path("/srv/notes"), image_prefix="notes")


def port(target: int, published: str = "", protocol: str = "tcp") -> dict[str, Any]:
    return {"target": target, "protocol": protocol, **({"published": published} if published else {})}


def warned(adapted: Adapted, text: str) -> bool:
    return any(text in warning for warning in adapted.warnings)


@pytest.mark.parametrize(
    ("services", "web", "number"),
    [
        ({"app": {"ports": [port(80)]}}, "app", 80),
        ({"app": {"ports": [port(80)]}, "db": {"ports": [port(5432)]}}, "app", 80),
        ({"app": {"ports": [port(80), port(443)]}, "db": {}}, "app", 80),
        ({"app": {"ports": [port(443)]}, "db": {}}, "app", 443),
        ({"app": {"ports": [port(3000), port(22, "2222")]}, "db": {}}, "app", 3000),
        ({"app": {"expose": ["9000"]}, "db": {"expose": ["5432"]}}, "app", 9000),
        ({"job": {"restart": "no", "ports": [port(81)]}, "app": {"ports": [port(80)]}}, "app", 80),
        (
            {
                "migrate": {"ports": [port(81)]},
                "app": {"ports": [port(80)], "depends_on": {"migrate": {"condition": "service_completed_successfully"}}},
            },
            "app",
            80,
        ),
    ],
)  # fmt: skip
def test_the_only_candidate_is_taken_and_said(services: dict[str, Any], web: str, number: int) -> None:
    adapted = adapt(project(services))
    assert (adapted.web, adapted.port) == (web, number)
    assert warned(
        adapted, f"services.{web}: is asked on port {number}, the only one for HTTP (spec.compose.port)"
    )
    assert warned(adapted, f"services.{web}: is the web service") == (len(services) > 1)


def test_what_the_manifest_says_is_no_guess() -> None:
    adapted = adapt(project({"app": {"ports": [port(80)]}, "api": {"ports": [port(81)]}}), web="api", port=81)
    assert (adapted.web, adapted.port) == ("api", 81)
    assert not warned(adapted, "spec.compose")


@pytest.mark.parametrize(
    ("services", "question"),
    [
        ({"a": {"ports": [port(80)]}, "b": {"ports": [port(1), port(2)]}}, "spec.compose.web to one of: a (80), b (1, 2)"),
        ({"a": {}, "b": {}}, "spec.compose.web to one of: a (no port), b (no port)"),
        ({"a": {"ports": [port(80), port(81)]}}, "it answer requests? set spec.compose.port to one of: 80"),
        ({"a": {}}, "services.a: on which port does it answer requests? set spec.compose.port"),
        ({}, "services: there are none"),
    ],
)  # fmt: skip
def test_otherwise_there_is_one_question(services: dict[str, Any], question: str) -> None:
    with pytest.raises(ProjectError) as asked:
        adapt(project(services))
    assert question in str(asked.value)


def test_a_service_that_is_not_there_is_named_with_those_that_are() -> None:
    with pytest.raises(ProjectError, match=r"services.x: there is none; spec.compose.web can be a, b"):
        adapt(project({"a": {}, "b": {}}), web="x")


def test_ports_of_the_host_are_haproxys_or_left_out_with_a_warning() -> None:
    services = {
        "app": {"ports": [port(80, "8080"), port(443, "8443"), port(22, "2222"), port(53, "53", "udp")]},
        "db": {"ports": [port(5432, "5432")]},
    }
    adapted = adapt(project(services), web="app", port=80)
    assert all("ports" not in body for body in adapted.fragment["services"].values())
    for text in (
        "services.app.ports[0]: 8080 → 80/tcp moves to HAProxy",
        "services.app.ports[1]: 8443 → 443/tcp is not published; a listener of a VaultGateway speaks TLS",
        "services.app.ports[2]: 2222 → 22/tcp is not published; spec.tcp gives it a port",
        "services.app.ports[3]: 53 → 53/udp is not published: HAProxy serves TCP only; spec.udp",
        "services.db.ports[0]: 5432 → 5432/tcp is not published on the host; services of the project reach it as db:5432",
    ):
        assert warned(adapted, text), text


def test_a_port_with_a_route_of_its_own_needs_no_warning() -> None:
    adapted = adapt(project({"app": {"ports": [port(80), port(22, "2222")]}}), port=80, served=[22])
    assert not warned(adapted, "2222")


def test_a_privileged_service_keeps_the_ports_of_its_others() -> None:
    services = {"app": {"ports": [port(80)]}, "db": {"ports": [port(5432, "5432")]}}
    adapted = adapt(project(services), keeps_ports=True)
    assert adapted.fragment["services"]["db"]["ports"] == [port(5432, "5432")]
    assert "ports" not in adapted.fragment["services"]["app"]


def test_names_that_compose_gives_are_none_of_the_file() -> None:
    found = adapt(
        project(
            {"app": {"ports": [port(80)], "networks": {"default": {"aliases": ["x"]}, "back": None}}},
            networks={
                "default": {"name": f"{NAME}_default", "ipam": {}},
                "back": {"name": f"{NAME}_back", "ipam": {}, "internal": True},
                "outside": {"name": f"{NAME}_outside", "external": True},
                "other": {"name": "own-name"},
            },
            volumes={"data": {"name": f"{NAME}_data"}, "own": {"name": "mine"}},
        )
    ).fragment
    assert found["networks"] == {
        "back": {"internal": True},
        "outside": {"name": f"{NAME}_outside", "external": True},
        "other": {"name": "own-name"},
    }
    assert found["volumes"] == {"data": {}, "own": {"name": "mine"}}
    assert found["services"]["app"]["networks"] == {"vault-net": {"aliases": ["x"]}, "back": None}


def test_a_default_network_with_settings_stays_one_of_its_own() -> None:
    found = adapt(
        project(
            {"app": {"ports": [port(80)], "networks": {"default": None}}},
            networks={"default": {"name": f"{NAME}_default", "internal": True}},
        )
    ).fragment
    assert found["networks"] == {"default": {"internal": True}}
    assert found["services"]["app"]["networks"] == {"default": None}


def test_an_image_that_compose_builds_is_named_as_compose_names_it() -> None:
    built = project({"app": {"ports": [port(80)], "build": {"context": "/srv/notes"}}})
    del built.document["services"]["app"]["image"]
    adapted = adapt(built)
    assert adapted.fragment["services"]["app"] == {"image": "notes-app"}
    assert warned(adapted, "services.app.build: is not built by the controller; it runs the image notes-app")
    assert not warned(adapt(built, images={"app"}), "services.app.build")


def test_variables_of_configs_and_secrets_are_resolved_here() -> None:
    found = adapt(
        project(
            {
                "app": {
                    "ports": [port(80)],
                    "configs": [{"source": "c", "target": "/c"}],
                    "secrets": [
                        {"source": "s", "target": "/run/secrets/s"}, {"source": "f", "target": "x"},
                        {"source": "t", "target": "t"},
                    ],
                }
            },
            configs={"c": {"name": f"{NAME}_c", "environment": "A"}},
            secrets={
                "s": {"name": f"{NAME}_s", "environment": "B"},
                "f": {"name": f"{NAME}_f", "file": "/f"},
                "t": {"environment": "A"},
            },
            **{VARIABLES: {"A": "one", "B": ""}},
        )
    ).fragment  # fmt: skip
    assert found["configs"] == {
        "c": {"content": "one"},
        "secret-s": {"content": ""},
        "secret-t": {"content": "one"},
    }
    assert found["secrets"] == {"f": {"file": "/f"}}
    app = found["services"]["app"]
    assert app["secrets"] == [{"source": "f", "target": "x"}]
    assert app["configs"] == [
        {"source": "c", "target": "/c"},
        {"source": "secret-s", "target": "/run/secrets/s"},
        {"source": "secret-t", "target": "/run/secrets/t"},
    ]


def test_a_variable_that_is_not_set_is_named() -> None:
    missing = project(
        {"app": {"ports": [port(80)]}}, secrets={"s": {"environment": "B"}}, **{VARIABLES: {"B": None}}
    )
    with pytest.raises(ProjectError, match=r"secrets.s.environment: B is not set; set it in spec.env"):
        adapt(missing)


@pytest.mark.parametrize(
    ("mount", "writes"),
    [
        ({"type": "volume", "source": "data", "target": "/data"}, True),
        ({"type": "bind", "source": "/srv/notes/x", "target": "/data"}, True),
        ({"type": "bind", "source": "/srv/notes/x", "target": "/data", "read_only": True}, False),
        ({"type": "volume", "target": "/data"}, False),
        ({"type": "tmpfs", "target": "/data"}, False),
    ],
)
def test_two_containers_do_not_write_to_one_volume_unless_the_manifest_says_so(
    mount: dict[str, Any], writes: bool
) -> None:
    service = project({"app": {"ports": [port(80)], "volumes": [mount]}})
    adapted = adapt(service)
    assert adapted.writes is writes
    assert warned(adapted, "services.app.volumes[0]: app writes to it") is writes
    assert not adapt(service, may_overlap=True).writes
    scaled = project({"app": {"ports": [port(80)], "volumes": [mount], "deploy": {"replicas": 2}}})
    assert (adapt(scaled).writes, adapt(scaled).replicas) == (False, 2)


@pytest.mark.parametrize("source", ["/srv/notes/~/x", "~/x", "/srv/notes/~user"])
def test_a_path_in_a_home_is_refused(source: str) -> None:
    mount = {"type": "bind", "source": source, "target": "/x"}
    with pytest.raises(ProjectError, match=r"services.app.volumes\[0\]: it is in a user's home"):
        adapt(project({"app": {"ports": [port(80)], "volumes": [mount]}}))


def test_messages_say_where_in_each_of_their_lines() -> None:
    lines = {"services.app.ports[0]": "c.yaml:3", "services.app": "c.yaml:2", "volumes.data.name": "c.yaml:9"}
    located = Project(NAME, {}, place_of=lambda place: lines.get(place, "")).located
    assert located("services.app.ports[0]: no") == "c.yaml:3: services.app.ports[0]: no"
    assert (
        located("plugin 'x': service 'app' has a network_mode")
        == "plugin 'x': c.yaml:2: service 'app' has a network_mode"
    )
    assert located("refused:\n  volumes.data.name: no\n  networks.x.name: no") == (
        "refused:\n  c.yaml:9: volumes.data.name: no\n  networks.x.name: no"
    )


def test_files_that_cannot_be_mounted_become_configs() -> None:
    def mount(source: str, **more: Any) -> dict[str, Any]:
        return {"type": "bind", "source": source, "target": f"/x{source}", **more}

    read = project(
        {
            "app": {
                "ports": [port(80)],
                "volumes": [
                    mount("/c/a$$b", read_only=True),
                    mount("/c/rw"),
                    mount("/srv/x", read_only=True),
                ],
                "configs": [{"source": "c", "target": "/c"}],
                "secrets": [{"source": "s", "target": "/run/secrets/s"}],
            }
        },
        configs={"c": {"file": "/c/c"}},
        secrets={"s": {"file": "/c/s"}},
    )
    files = {"/c/a$b": "cost: $5", "/c/rw": "x", "/c/c": "of c", "/c/s": "of s"}
    found = adapt(replace(read, files=files)).fragment
    app = found["services"]["app"]
    assert [each["source"] for each in app["volumes"]] == ["/c/rw", "/srv/x"]
    (name,) = [name for name in found["configs"] if name.startswith("file-")]
    assert found["configs"] == {
        "c": {"content": "of c"},
        "secret-s": {"content": "of s"},
        name: {"content": "cost: $$5"},
    }
    assert app["configs"][1:] == [
        {"source": name, "target": "/x/c/a$$b"},
        {"source": "secret-s", "target": "/run/secrets/s"},
    ]


def test_a_file_is_not_copied_into_a_container_that_is_read_only() -> None:
    mount = {"type": "bind", "source": "/c/a", "target": "/a", "read_only": True}
    read = project({"app": {"ports": [port(80)], "volumes": [mount], "read_only": True}})
    adapt(read)
    with pytest.raises(ProjectError, match=r"services.app.volumes\[0\]: a file of a commit is copied"):
        adapt(replace(read, files={"/c/a": "x"}))


def test_keys_that_compose_prints_in_another_way_are_those_that_it_reads() -> None:
    rates = {"device_read_bps": [{"Path": "/dev/sda", "Rate": "5"}], "weight": 3}
    found = adapt(project({"app": {"ports": [port(80)], "blkio_config": rates}})).fragment
    assert found["services"]["app"]["blkio_config"] == {
        "device_read_bps": [{"path": "/dev/sda", "rate": "5"}],
        "weight": 3,
    }


def test_the_document_stays_as_it_was_read() -> None:
    read = project({"app": {"ports": [port(80)], "build": {"context": "."}, "deploy": {"replicas": 2}}})
    before = repr(read.document)
    adapt(read)
    assert repr(read.document) == before
