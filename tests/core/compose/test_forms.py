"""What becomes of a fragment's fields, seen from the stack: what arrives, what is warned about, what is refused."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from reconciler.api import VaultService
from reconciler.core.compose.fragment import BuildError, ask
from reconciler.core.compose.mounts import read_mounts
from reconciler.core.compose.ports import read_ports
from reconciler.core.desired.build import build
from reconciler.core.desired.stack import Site, Stack
from reconciler.proxy.haproxy.front import FRONT
from vault_plugins import VaultServicePlugin

SITE = Site(Path("/state/services/files"), 99, 99)


class Plain(VaultServicePlugin):
    metadata = VaultServicePlugin.Metadata(name="Plain", slug="plain", default_port=8080)

    def __init__(self, fragment: Any) -> None:
        self._fragment = fragment

    def build_compose(self, env: Mapping[str, str]) -> Mapping[str, Any]:
        found: Mapping[str, Any] = self._fragment
        return found

    def get_containers(self) -> list[str]:
        return ["web"]


def built(
    web: dict[str, Any] | None = None, db: dict[str, Any] | None = None, spec: Any = None, **top: Any
) -> Stack:
    fragment = {
        "services": {"web": {"image": "web:1", **(web or {})}, "db": {"image": "db:1", **(db or {})}},
        **top,
    }
    body = {"metadata": {"name": "files"}, "spec": {"plugin": "plain", **(spec or {})}}
    return build(VaultService.model_validate(body), Plain(fragment), SITE, front=FRONT)


def warned(stack: Stack, text: str) -> bool:
    return any(text in warning for warning in stack.warnings)


@pytest.mark.parametrize("form", [["A", "B=", "C", "D=x"], {"A": None, "B": "", "C": None, "D": "x"}])
@pytest.mark.parametrize("service", ["web", "db"])
def test_a_name_without_a_value_takes_the_setting(form: Any, service: str) -> None:
    stack = built(**{service: {"environment": form}}, spec={"env": {"A": "se$t", "B": "b"}})
    environment = stack.document["services"][service]["environment"]
    assert {name: environment.get(name) for name in "ABCD"} == {"A": "se$t", "B": "", "C": None, "D": "x"}
    assert "C" not in environment


@pytest.mark.parametrize(
    ("ports", "port", "place"),
    [
        (["8080:8080", "81:9000"], 8080, "ports[1]: 9000/tcp"),
        (["8080:8080", "9000-9001:9000-9001"], 8080, "ports[1]: 9001/tcp"),
        ([{"target": 8080}, {"target": 8081}], 8080, "ports[1]: 8081/tcp"),
    ],
)
def test_a_port_beside_the_web_port_is_told(ports: list[Any], port: int, place: str) -> None:
    stack = built({"ports": ports})
    assert stack.web[0].port == port
    assert warned(stack, f"services.web.{place} is not published")


@pytest.mark.parametrize(
    "ports",
    [
        ["2222:22"],
        ["8080:8080", "2222:22"],
        ["8080:8080", "53:53/udp"],
        ["8080:8080", "8080:8080/udp"],
        ["9999/udp"],
        [{"target": 3000, "protocol": "udp"}],
        [{"target": 5432}],
        ["20-22"],
    ],
)
def test_a_port_that_no_proxy_for_http_serves_is_refused(ports: list[Any]) -> None:
    with pytest.raises(BuildError, match=r"services\.web\.ports\[\d\]: \d+/\w+ cannot be served by HAProxy"):
        built({"ports": ports})


def test_a_port_of_the_plugin_may_have_any_number() -> None:
    assert built({"ports": ["80:5432"]}, spec={"ports": {"container": 5432}}).web[0].port == 5432


def test_ranges_are_several_ports_and_what_is_no_port_is_none() -> None:
    assert [str(port) for port in read_ports(["3000-3002", "1:2/UDP", "x", {"target": 70000}, None])] == [
        "3000/tcp", "3001/tcp", "3002/tcp", "2/udp",
    ]  # fmt: skip


def test_notes_at_the_top_are_passed_over() -> None:
    more: dict[str, Any] = {"x-common": {"init": True}, "version": "3.8"}
    stack = built(**more)
    assert "x-common" not in stack.document
    assert not warned(stack, "x-common")


@pytest.mark.parametrize(
    ("web", "complaint"),
    [
        ({"profiles": ["debug"]}, r"services\.web\.profiles would keep"),
        ({"deploy": {"mode": "global"}}, r"services\.web\.deploy\.mode can only"),
        (
            {"depends_on": {"db": {"condition": "service_ready"}}},
            r"depends_on\.db\.condition is 'service_ready'",
        ),
        ({"depends_on": {"gone": {"required": True}}}, "there is no service 'gone'"),
        (
            {"networks": {"vault-net": {"ipv4_address": "10.0.0.9"}}},
            r"networks\.vault-net\.ipv4_address belongs to one",
        ),
        ({"mac_address": "02:42:ac:11:00:02"}, "mac_address belongs to one container"),
        (
            {"networks": {"vault-net": {"aliases": ["a" * 64]}}},
            r"networks\.vault-net\.aliases: 'a+' is longer",
        ),
        ({"container_name": "a" * 64}, r"container_name: 'a+' is longer"),
        ({"volumes": ["/srv/a:/b:ro:z"]}, "more than SOURCE:TARGET:OPTIONS"),
    ],
)
def test_what_cannot_be_followed_is_refused_with_its_place(web: dict[str, Any], complaint: str) -> None:
    with pytest.raises(BuildError, match=complaint) as refused:
        built(web)
    assert "plugin 'plain'" in str(refused.value)


def test_a_service_that_could_not_be_found_by_its_name_is_refused() -> None:
    with pytest.raises(BuildError, match="63 characters of a name in DNS"):
        build(
            VaultService.model_validate({"metadata": {"name": "files"}, "spec": {"plugin": "plain"}}),
            Plain({"services": {"web": {"image": "a:1"}, "d" * 64: {"image": "a:1"}}}),
            SITE,
            front=FRONT,
        )


@pytest.mark.parametrize(
    ("replicas", "db"),
    [
        (2, {"mac_address": "02:42:ac:11:00:02"}),
        (2, {"networks": {"vault-net": {"ipv4_address": "10.0.0.9"}}}),
    ],
)
def test_an_address_of_one_container_is_refused_on_several(replicas: int, db: dict[str, Any]) -> None:
    with pytest.raises(
        BuildError, match=r"services\.db\..* belongs to one container, and 'db' has 2 replicas"
    ):
        built(db={**db, "deploy": {"replicas": replicas}})
    assert built(db=db).of() == ()


def test_an_address_of_one_container_may_be_that_of_a_web_service_that_stops_first() -> None:
    web = {"networks": {"vault-net": {"ipv4_address": "10.0.0.9"}}}
    stack = built(web, spec={"strategy": {"type": "Recreate"}})
    assert stack.document["services"]["web"]["networks"]["vault-net"]["ipv4_address"] == "10.0.0.9"


@pytest.mark.parametrize("service", ["web", "db"])
def test_a_name_of_a_container_is_an_alias(service: str) -> None:
    stack = built(**{service: {"container_name": "mine", "networks": {"vault-net": {"aliases": ["other"]}}}})
    body = stack.document["services"][service]
    assert "container_name" not in body
    assert body["networks"]["vault-net"]["aliases"] == ["other", "mine"]
    assert warned(stack, f"services.{service}.container_name is not given")


def test_needs_that_need_not_be_there() -> None:
    stack = built({"depends_on": {"db": {"required": False, "restart": True}, "gone": {"required": False}}})
    assert stack.web[0].needs == ("db",)
    assert warned(stack, "services.web.depends_on.db.restart has no effect")
    assert list(stack.document["services"]["web"]["depends_on"]) == ["db"]


def test_labels_are_texts_as_compose_has_them() -> None:
    labels = built({"labels": {"a": True, "b": None, "c": 1}}).document["services"]["web"]["labels"]
    assert {name: labels[name] for name in "abc"} == {"a": "true", "b": "", "c": "1"}
    labels = built({"labels": ["a=b=c", "flag"]}).document["services"]["web"]["labels"]
    assert (labels["a"], labels["flag"]) == ("b=c", "")


def test_mounts_are_handed_over_in_the_long_form() -> None:
    volumes = ["data:/d", "data:/e:ro,nocopy", "/srv/a:/a", "/srv/b:/b:ro,Z", "/anonymous"]
    stack = built(db={"volumes": volumes}, volumes={"data": {}})
    assert stack.document["services"]["db"]["volumes"] == [
        {"type": "volume", "target": "/d", "source": "data", "volume": {}},
        {"type": "volume", "target": "/e", "source": "data", "read_only": True, "volume": {"nocopy": True}},
        {"type": "bind", "target": "/a", "source": "/srv/a", "bind": {"create_host_path": True}},
        {"type": "bind", "target": "/b", "source": "/srv/b", "read_only": True,
         "bind": {"create_host_path": True, "selinux": "Z"}},
        {"type": "volume", "target": "/anonymous", "volume": {}},
    ]  # fmt: skip


def test_contradictions_are_seen() -> None:
    (mount,) = read_mounts(["/a:/b:ro,rw,z,Z"])
    assert mount.contradictions == ("ro", "rw", "z", "Z")
    assert not mount.read_only
    assert read_mounts(["/a:/b:ro,z"])[0].contradictions == ()
    assert read_mounts(7) == read_mounts(None) == ()


@pytest.mark.parametrize(
    ("environment", "complaint"),
    [
        ({"A": "x\0y"}, "services.web.environment.A holds a character that no file can hold"),
        (["A=x\0"], r"services.web.environment[0] holds a character that no file can hold"),
        ({"A\0": "x"}, "services.web.environment holds a character that no file can hold"),
        (
            {"A=B": "x"},
            "services.web.environment: 'A=B' is no name of a variable; use letters, digits and '_'",
        ),
        ({"A\nB": "x"}, r"services.web.environment: 'A\nB' is no name of a variable"),
        (["A\x1b[2J=x"], r"services.web.environment: 'A\x1b[2J' is no name of a variable"),
        ({"": "x"}, "services.web.environment: a variable has no name"),
        (["=x"], "services.web.environment: a variable has no name"),
    ],
)
def test_what_no_environment_can_hold_is_refused_with_its_place(environment: Any, complaint: str) -> None:
    with pytest.raises(BuildError) as error:
        built({"environment": environment})
    assert complaint in str(error.value)


@pytest.mark.parametrize("environment", [{"A": "${SETTING}"}, ["SETTING"], {"SETTING": None}, {}])
def test_a_setting_that_no_environment_can_hold_is_named_and_not_repeated(environment: Any) -> None:
    content = {"services": {"web": {"image": "web:1", "environment": environment}}}
    with pytest.raises(BuildError, match="setting SETTING holds a character that no environment") as error:
        ask(Plain(content), {"SETTING": "hunter22\0"})
    assert "hunter22" not in str(error.value)


def test_what_an_environment_can_hold_passes() -> None:
    values = {"A": "x\x07\n\x1b", "B-c.d": "", "GRÜSSE": "ü", "A B": "1"}
    assert built({"environment": values}).document["services"]["web"]["environment"] == values
