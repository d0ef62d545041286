"""Every method of a HAProxy arrives at the agent's side as it was called, and its answer as it was given."""

from __future__ import annotations

import inspect
import json
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, get_args

import pytest

from reconciler.core.assess.observation import Admin, Server
from reconciler.core.desired.stack import Site
from reconciler.core.traffic.tally import Tally
from reconciler.proxy.base import Counted, NewServer
from reconciler.proxy.errors import ProxyAwayError, ProxyError
from reconciler.proxy.haproxy.gateway.activity import PoolActivity
from reconciler.proxy.haproxy.gateway.certificates import Loaded
from reconciler.proxy.haproxy.gateway.maps import MAPS
from reconciler.proxy.haproxy.gateway.tls_files import CHALLENGES, LIST, Certificates, Served
from reconciler.proxy.haproxy.reaching import OneHAProxy, Pool
from reconciler.proxy.haproxy.stats import Info, Process
from reconciler.proxy.remote import calls, nodes
from reconciler.proxy.remote.calls import Call, HAProxyCall
from reconciler.proxy.remote.ears import SiteEvents
from reconciler.proxy.remote.line import Line
from reconciler.proxy.remote.nodes import Nodes
from reconciler.proxy.remote.serving import AgentService
from tests.proxy.remote.agents import NODE

ANSWERS: dict[str, Any] = {
    "processes": (
        Process(
            Info(12, "0123abcd", stopping=False, uptime=8.5),
            (
                Server("one", "172.18.0.2:8000", Admin.READY, True, 3, 1.5, "L7OK 200", 256),
                Server("two", "172.18.0.3:8000", Admin.DRAIN, False, 0, 0.0),
            ),
            serving=True,
        ),
        Process(Info(9, "", stopping=True, uptime=0.0), (), serving=False),
    ),
    "serves": True,
    "read_maps": {name: {f"{name}.test/%20": "r|h001|-"} for name in MAPS},
    "led_to": frozenset({"h001", "-"}),
    "pools": frozenset({"h001", "t002"}),
    "activity": [PoolActivity(3.5, True, 2), PoolActivity(0.0, False, 0)],
    "read_certificates": Loaded(
        {"/cfg/tls/a.pem": "00FF 1", "/cfg/tls/empty.pem": ""},
        frozenset({LIST}),
        {(LIST, "/cfg/tls/a.pem"): ("a.test", "*.b.test")},
        {(LIST, "/cfg/tls/a.pem"): (3, 4)},
        ("/cfg/tls/begun.pem",),
    ),
    "counted": Counted(12, 8.5, {"h001": Tally(9, 1, (9, *(0,) * 11)), "s001": Tally()}),
    "metrics": '# HELP a "\\ü".\na 1\n',
}
PEM = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"
CERTIFICATES = Certificates(PEM, (Served(("a.test",), PEM), Served(("b.test",), PEM, CHALLENGES)))
NEW = [NewServer("one", "172.18.0.2:8000", True), NewServer("two", "172.18.0.3:80", False, 0)]

METHODS: dict[str, tuple[Any, ...]] = {
    "processes": (),
    "serves": (),
    "set_weights": ((("one", 0), ("two", 256)),),
    "drain_servers": (("one", "two:1_x"),),
    "restore_servers": (("one", "two:1_x"),),
    "read_maps": (tuple(MAPS), 12),
    "change_maps": ({"routes": {"a.test/": "r|h001|-"}, "hold": {}},),
    "set_entries": ({"hold": {"h001": "500"}},),
    "led_to": (),
    "pools": (),
    "activity": (("h001", "s001"),),
    "read_certificates": (),
    "change_certificates": (CERTIFICATES,),
    "counted": (("h001", "s001"),),
    "metrics": (),
}
"""Positional arguments; the others are tried below."""
NAMED: dict[str, tuple[tuple[Any, ...], dict[str, Any]]] = {
    "delete_servers": ((("one",),), {"force": True}),
    "reload": (("0123abcd",), {"every_pool": True}),
}


class Recorded:
    """A HAProxy, and a pool of it, that tells what it was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = []
        self.error: Exception | None = None

    def pool(self, name: str) -> Recorded:
        assert name == "web"
        return self

    def add_servers(self, servers: Sequence[NewServer], options: Callable[[str], str]) -> None:
        self.asked.append(("add_servers", (list(servers), [options(each.name) for each in servers]), {}))

    def __getattr__(self, name: str) -> Callable[..., Any]:
        def ask(*arguments: Any, **named: Any) -> Any:
            self.asked.append((name, arguments, named))
            if self.error:
                raise self.error
            return ANSWERS.get(name)

        return ask


class Identity:
    node = NODE

    def request(self) -> str:
        return "a request"

    def install(self, certificate: str) -> None:
        raise ProxyError(f"not {certificate}")


class Loopback:
    """A wire without a network: what is sent goes to the service at once."""

    class peer:  # noqa: N801 - the attribute of a Wire
        node = NODE

    def __init__(self, service: AgentService) -> None:
        self._service = service
        self.paths: list[str] = []

    def exchange(self, method: str, path: str, body: bytes, until: float) -> bytes:
        self.paths.append(path)
        return self._service.hello() if method == "GET" else self._service.answer(body)


@pytest.fixture
def haproxy() -> Recorded:
    return Recorded()


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path / "state" / "gateways" / "main", 99, 99, 0)


@pytest.fixture
def reached(tmp_path: Path, haproxy: Recorded, site: Site) -> OneHAProxy:
    def at(there: Site, slot: int, seconds: float) -> Any:
        assert (there.directory, there.starter, slot) == (tmp_path / "agent" / "gateways" / "main", 0, 7)
        assert 0 < seconds <= 5.01
        return haproxy

    service = AgentService(tmp_path / "agent", Identity(), SiteEvents(), at)
    line = Line(Loopback(service))  # type: ignore[arg-type]
    return Nodes(lambda site, slot: line).reach(site, 7, 5.0)


def methods_of(protocol: type) -> set[str]:
    return {name for name, _ in inspect.getmembers(protocol, inspect.isfunction) if not name.startswith("_")}


def test_every_method_is_tried() -> None:
    tried = {*METHODS, *NAMED, "add_servers", "pool"}
    assert tried == methods_of(OneHAProxy) | methods_of(Pool)
    of_haproxy = [each for each in get_args(Call) if issubclass(each, HAProxyCall)]
    assert len(of_haproxy) == len(tried) - 1


@pytest.mark.parametrize(("kind", "protocol"), [(nodes._Remote, OneHAProxy), (nodes._RemotePool, Pool)])
def test_every_method_is_there_with_its_parameters(kind: type, protocol: type) -> None:
    for name in methods_of(protocol) - {"pool"}:
        assert inspect.signature(getattr(kind, name)) == inspect.signature(getattr(protocol, name)), name


@pytest.mark.parametrize("name", METHODS)
def test_a_call_arrives_as_it_was_made_and_so_does_its_answer(
    reached: OneHAProxy, haproxy: Recorded, name: str
) -> None:
    at: Any = reached.pool("web") if name in methods_of(Pool) else reached
    answer = getattr(at, name)(*METHODS[name])
    ((called, arguments, named),) = haproxy.asked
    assert (called, named) == (name, {})
    assert arguments == METHODS[name]
    assert answer == ANSWERS.get(name)


@pytest.mark.parametrize("name", NAMED)
def test_named_arguments_arrive(reached: OneHAProxy, haproxy: Recorded, name: str) -> None:
    arguments, named = NAMED[name]
    getattr(reached.pool("web"), name)(*arguments, **named)
    assert haproxy.asked == [(name, arguments, named)]


def test_servers_arrive_with_their_keywords(reached: OneHAProxy, haproxy: Recorded) -> None:
    reached.pool("web").add_servers(NEW, lambda name: f"check inter 500ms cookie {name} proto h2")
    ((_, (servers, options), _),) = haproxy.asked
    assert servers == NEW
    assert options == [f"check inter 500ms cookie {name} proto h2" for name in ("one", "two")]


@pytest.mark.parametrize(
    ("raised", "seen"),
    [
        (ProxyAwayError("gone"), ProxyAwayError),
        (ProxyError("refused"), ProxyError),
        (OSError("disk"), ProxyError),
        (ValueError("no map"), ProxyError),
    ],
)
def test_an_error_is_of_the_same_kind_here(
    reached: OneHAProxy, haproxy: Recorded, raised: Exception, seen: type[Exception]
) -> None:
    haproxy.error = raised
    with pytest.raises(ProxyError, match=f"node {NODE}: .*{raised}") as caught:
        reached.led_to()
    assert type(caught.value) is seen


@pytest.mark.parametrize(
    "ask",
    [
        lambda at: at.pool("web; show sess").processes(),
        lambda at: at.pool("web").drain_servers(["one\nshow sess"]),
        lambda at: at.pool("web").add_servers([NewServer("a", "1.2.3.4:80", True)], lambda _: "check;"),
        lambda at: at.pool("web").add_servers([NewServer("a", "host:80", True)], lambda _: "check"),
        lambda at: at.pool("web").set_weights([("one", 257)]),
        lambda at: at.change_maps({"routes": {"a": "b c"}}),
    ],
)
def test_what_is_no_value_of_the_protocol_is_not_even_sent(
    reached: OneHAProxy, haproxy: Recorded, ask: Callable[[OneHAProxy], object]
) -> None:
    with pytest.raises(ValueError, match="validation error"):
        ask(reached)
    assert haproxy.asked == []


def test_a_key_is_in_no_error_and_no_representation(reached: OneHAProxy) -> None:
    secret = "c2VjcmV0"
    bad = Certificates(f"{secret}\x1b", (Served(("a.test",), f"{secret}\x1b"),))
    with pytest.raises(ValueError, match="validation error") as caught:
        reached.change_certificates(bad)
    assert secret not in str(caught.value)
    call = calls.ChangeCertificates.model_validate({"certificates": {"default": secret, "served": ()}})
    assert secret not in repr(call)
    assert secret not in repr(calls.PutFiles(files={"tls/a.pem": secret}, gone=()))


def test_a_request_that_is_too_long_is_not_sent(reached: OneHAProxy, haproxy: Recorded) -> None:
    with pytest.raises(ProxyError, match="is more than"):
        reached.change_maps({"routes": {f"{number}.test": "x" * 8000 for number in range(1100)}})
    assert haproxy.asked == []


def test_identities_are_passed_through(tmp_path: Path) -> None:
    service = AgentService(tmp_path, Identity(), SiteEvents())
    line = Line(Loopback(service))  # type: ignore[arg-type]
    until = time.monotonic() + 5
    assert line.ask(calls.RequestCertificate(), until) == "a request"
    with pytest.raises(ProxyError, match="not a certificate"):
        line.ask(calls.InstallCertificate(certificate="a certificate"), until)
    with pytest.raises(ProxyError, match="names no site"):
        line.ask(calls.ListFiles(), until)
    assert json.loads(service.hello())["node"] == NODE
