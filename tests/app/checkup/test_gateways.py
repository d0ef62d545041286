"""What doctor says of gateways, their hosts and their certificates."""

from __future__ import annotations

import threading
import time
from collections.abc import Collection, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from reconciler.api import VaultService
from reconciler.api.kinds import VAULT_GATEWAY
from reconciler.api.vaultgateway import GatewayStatus, VaultGateway
from reconciler.app.certificates import store_of
from reconciler.app.checkup.clock import check_synchronised, is_synchronised
from reconciler.app.checkup.dns import Lookup, look_up, own_addresses
from reconciler.app.checkup.finding import Finding, Level
from reconciler.app.checkup.gateways import MOST_SHOWN, check_gateways, check_hosts, check_ports
from reconciler.certificates.errors import Why
from reconciler.certificates.renewal import Failure
from reconciler.certificates.store import State
from reconciler.certificates.wanted import Source
from reconciler.core.assess.observation import EngineObservation
from reconciler.store.base import Origin
from reconciler.wiring import Application, Options, wire
from tests.certificates.authority import LIFE, START, bundle

NOW = START + timedelta(days=1)
OWN = frozenset({"192.0.2.7", "2001:db8::7"})
HERE = Lookup(frozenset({"192.0.2.7"}))


@pytest.fixture
def application(tmp_path: Path, origin: Origin) -> Application:
    made = wire(Options(state_dir=tmp_path / "state"))
    acme = {"acceptTerms": True, "contact": ["admin@example.org"]}
    document = {"metadata": {"name": "main"}, "spec": {"acme": acme}}
    gateway = VaultGateway.model_validate(document, by_alias=True, by_name=False)
    made.objects.of(VAULT_GATEWAY).apply(gateway, origin)
    route(made, origin, "files", "files.example.org", "*.files.example.org", "files.test")
    return made


def route(application: Application, origin: Origin, name: str, *hosts: str) -> None:
    spec = {"plugin": "whoami", "route": {"hostnames": list(hosts), "tls": {"certificate": "none"}}}
    if name == "shop":
        del spec["route"]["tls"]  # type: ignore[attr-defined]
    application.objects.apply(VaultService.model_validate({"metadata": {"name": name}, "spec": spec}), origin)


def findings(application: Application, **answers: Lookup) -> list[Finding]:
    asked: list[str] = []

    def names(wanted: Collection[str]) -> Mapping[str, Lookup]:
        asked.extend(wanted)
        return {name: answers.get(name.partition(".")[0].replace("-", "_"), HERE) for name in wanted}

    found = check_gateways(
        application, NOW, with_engine=False, names=names, addresses=lambda: OWN, synchronised=lambda: None
    )
    told = list(found)
    assert not [name for name in asked if "*" in name or name.endswith(".test")]
    return told


def warnings(found: list[Finding]) -> list[str]:
    assert all(each.fix for each in found if each.level is not Level.OK)
    return [each.message for each in found if each.level is Level.WARN]


def test_nothing_is_said_without_a_gateway(tmp_path: Path) -> None:
    empty = wire(Options(state_dir=tmp_path))
    assert list(check_gateways(empty, NOW, with_engine=True)) == []


def test_names_that_lead_here(application: Application) -> None:
    (finding,) = findings(application)
    assert (finding.level.value, finding.message) == ("ok", "2 host names lead to this machine")


def test_names_that_do_not_say_what_to_do(application: Application) -> None:
    found = findings(
        application,
        files=Lookup(problem="Name or service not known"),
        vault_reconciler_check=Lookup(frozenset({"198.51.100.1"})),
    )
    assert warnings(found) == [
        "files.example.org does not resolve (Name or service not known): clients and certificate authorities cannot "
        "find it",
        "*.files.example.org resolves to 198.51.100.1, which is no address of this machine",
    ]
    assert found[0].fix == "make a DNS record of files.example.org for this machine"


def test_a_few_of_many_are_told() -> None:
    names = [f"h{number}.example.org" for number in range(MOST_SHOWN + 5)]
    found = list(check_hosts("gateway: main", names, dict.fromkeys(names, Lookup(problem="no")), OWN))
    assert len(found) == MOST_SHOWN + 1
    assert found[-1].message == "5 more host names do not lead to this machine"


def test_certificates_and_what_a_server_said(application: Application, origin: Origin) -> None:
    route(application, origin, "shop", "shop.example.org")
    store = store_of(application.objects, "main")
    assert warnings(findings(application)) == ["shop.example.org: there is no certificate yet"]

    store.save(Source.ACME, "shop", bundle("shop.example.org"))
    assert [each.message for each in findings(application)][-1].startswith(
        "1 certificate is valid, the next end"
    )

    later = NOW + timedelta(hours=2)
    failure = Failure(3, Why.RATE_LIMITED, "the server has a rate limit", NOW, later)
    store.save_state(State(failures={"shop.example.org": failure}))
    (finding,) = (each for each in findings(application) if each.level is Level.WARN)
    assert finding.message.startswith("shop.example.org: the server has a rate limit; next try at ")
    assert finding.fix.startswith("wait until then")
    assert "PRIVATE" not in repr(finding)


def test_ended_ones(application: Application, origin: Origin) -> None:
    route(application, origin, "shop", "shop.example.org")
    store_of(application.objects, "main").save(Source.ACME, "shop", bundle("shop.example.org"))
    found = check_gateways(
        application,
        START + LIFE + timedelta(days=1),
        with_engine=False,
        names=lambda names: dict.fromkeys(names, HERE),
        addresses=lambda: OWN,
        synchronised=lambda: False,
    )
    told = warnings(list(found))
    assert told[0].startswith("the clock is not kept by NTP")
    assert "shop.example.org: the certificate has ended on" in told[1]


def test_refused_claims_and_a_deletion_that_waits(application: Application, origin: Origin) -> None:
    route(application, origin, "wiki", "files.example.org")
    objects = application.objects.of(VAULT_GATEWAY)
    objects.request_deletion("main", False, NOW)
    told = warnings(findings(application))
    assert told == [
        "1 claim of a service is refused: wiki: files.example.org/ of gateway main belongs to files, which is older; "
        "claim another host or path"
    ]
    conditions: list[dict[str, Any]] = [
        {
            "type": "Stalled",
            "status": "True",
            "reason": "StillRouted",
            "message": "is not deleted while services have routes on it: files",
            "observedGeneration": 1,
            "lastTransitionTime": NOW,
        }
    ]
    status = GatewayStatus.model_validate({"conditions": conditions}, by_alias=True, by_name=False)
    objects.put_status("main", status)
    assert warnings(findings(application))[0].startswith("is not deleted while")


def test_a_damaged_gateway_is_one_finding(application: Application) -> None:
    directory = application.objects.of(VAULT_GATEWAY).directory("main")
    (directory / "object.json").write_text("{")
    (broken, _) = findings(application)
    assert broken.level is Level.FAIL
    assert "cannot be understood" in broken.message
    (directory / "object.copy.json").unlink()
    (lost,) = findings(application)
    assert lost.level is Level.FAIL


def test_ports(application: Application) -> None:
    stored = application.objects.of(VAULT_GATEWAY).get("main")
    assert stored is not None
    stack = application.gateways.stack(stored.resource, Path("/state"), (), "", b"")
    (free,) = check_ports("x", stack, EngineObservation(()))
    assert free.message == "its ports are free or its own: 80, 443"
    image, taken = check_ports(
        "x",
        stack,
        EngineObservation((), frozenset({"haproxy:3.0"}), taken_ports={80: "process nginx (pid 7)"}),
    )
    assert (image.level, taken.level) == (Level.WARN, Level.FAIL)
    assert taken.message == "port 80 is taken by process nginx (pid 7)"


def test_names_are_asked_at_once_and_not_for_ever() -> None:
    never = threading.Event()

    def resolve(name: str) -> frozenset[str]:
        if name == "slow":
            never.wait(60)
        if name == "gone":
            raise OSError(1, "unknown")
        return frozenset({"192.0.2.7"})

    began = time.monotonic()
    found = look_up(["good", "slow", "gone"], resolve, deadline=0.2)
    never.set()
    assert time.monotonic() - began < 30
    assert found == {
        "good": Lookup(frozenset({"192.0.2.7"})),
        "slow": Lookup(problem="no answer within 0.2 s"),
        "gone": Lookup(problem="unknown"),
    }
    assert look_up([]) == {}


def test_more_names_than_threads_are_all_asked() -> None:
    names = [f"n{number}" for number in range(200)]
    assert set(look_up(names, lambda name: frozenset({name}))) == set(names)


def test_this_machine_has_addresses_and_a_clock() -> None:
    assert "127.0.0.1" in own_addresses()
    assert is_synchronised() in (True, False, None)
    assert [each.level.value for each in check_synchronised(True)] == ["ok"]
    assert list(check_synchronised(None)) == []
