"""The life of a gateway's certificates, with an authority in memory that fails, goes away, and meets crashes."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler.api.acme import Acme
from reconciler.api.errors import TemporaryError
from reconciler.certificates.acme.base import Offer
from reconciler.certificates.errors import AcmeError, Why
from reconciler.certificates.keeper import Keeper, Serving
from reconciler.certificates.order import Answer, Step
from reconciler.certificates.renewal import Window
from reconciler.certificates.store import Store
from reconciler.certificates.wanted import Source, Want
from tests.certificates.authority import ACME, LIFE, START, FakeAuthority, Killed, made

DAY = timedelta(days=1)


@dataclass
class World:
    """A gateway whose HAProxies serve what its pass says, and a server that looks for answers there."""

    directory: Path
    acme: Acme | None = ACME
    wants: tuple[Want, ...] = ()
    now: datetime = START
    unreachable: set[str] = field(default_factory=set)
    serving: Serving | None = None
    records: dict[str, set[str]] = field(default_factory=dict)
    broken_dns: set[str] = field(default_factory=set)
    authority: FakeAuthority = field(init=False)
    keeper: Keeper = field(init=False)

    def __post_init__(self) -> None:
        self.authority = FakeAuthority(self.look, clock=lambda: self.now)
        self.restart()

    def restart(self) -> None:
        """The controller starts again; what it knew is what the disk has."""
        self.keeper = Keeper(self.directory, self.authority.connect, self.set_record, clock=lambda: self.now)

    def look(self, name: str, offer: Offer) -> str:
        """Whether the server finds the answer."""
        if name in self.unreachable:
            return "no such host"
        if offer.challenge == "dns-01":
            found = offer.value in self.records.get(f"_acme-challenge.{name.removeprefix('*.')}.", ())
        elif offer.challenge == "http-01":
            found = bool(self.serving) and offer.value in (
                self.serving.paths.values() if self.serving else ()
            )
        else:
            found = bool(self.serving and name in self.serving.challenges)
        return "" if found else "another answer was found"

    def set_record(self, spec: Any, verb: str, answer: Answer) -> None:
        if answer.name in self.broken_dns:
            raise AcmeError("the DNS program failed", Why.DNS_PROGRAM)
        values = self.records.setdefault(answer.record, set())
        values.add(answer.value) if verb == "present" else values.discard(answer.value)

    def look_once(self) -> float:
        """A pass and a call of the thread; seconds until the next ones."""
        self.serving = self.keeper.serve(self.wants, self.acme)
        self.keeper.answering(self.serving.ids)
        return self.keeper.work().seconds

    def go(self, until: datetime | None = None, most: int = 400) -> None:
        """Go on until nothing is to be done before this time."""
        until = until or self.now + timedelta(minutes=1)
        for _ in range(most):
            seconds = self.look_once()
            if self.now + timedelta(seconds=seconds) > until:
                self.now = until
                break
            self.now += timedelta(seconds=max(seconds, 0.01))
        else:
            raise AssertionError("it never rests")
        self.serving = self.keeper.serve(self.wants, self.acme)

    def certificates(self) -> dict[str, str]:
        """The fingerprint that each host is served with."""
        assert self.serving
        return {host: held.bundle.certificate.fingerprints[0] for host, held in self.serving.hosts.items()}

    def troubles(self) -> dict[str, Why]:
        assert self.serving
        return {name: each.why for each in self.serving.troubles for name in each.names}


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path / "certificates")


def want(*names: str) -> Want:
    return Want(Source.ACME, names, "s.0")


@pytest.mark.parametrize("challenge", ["http-01", "tls-alpn-01", "dns-01"])
def test_a_certificate_is_issued_by_each_challenge(world: World, challenge: str) -> None:
    dns = {"dns": {"program": "nsupdate", "delay": 20.0}} if challenge == "dns-01" else {}
    world.acme = Acme.model_validate({**ACME.model_dump(), "challenge": challenge, **dns})
    world.wants = (want("a.org", "b.org"),)
    world.go()

    assert world.serving
    assert set(world.serving.hosts) == world.serving.secured == {"a.org", "b.org"}
    assert len(set(world.certificates().values())) == 1
    assert world.authority.placed == [("a.org", "b.org")]
    assert world.serving.troubles == ()
    assert world.serving.ids == frozenset()
    assert not any(world.records.values())


def test_it_waits_until_every_proxy_answers(world: World) -> None:
    world.wants = (want("a.org"),)
    for _ in range(3):
        world.serving = world.keeper.serve(world.wants, world.acme)
        world.keeper.work()
        world.now += timedelta(seconds=5)
    assert world.serving
    assert len(world.serving.paths) == 1
    assert world.certificates() == {}

    world.go()
    assert set(world.certificates()) == {"a.org"}


def test_a_name_that_fails_keeps_no_other_from_its_certificate(world: World) -> None:
    world.unreachable = {"b.org"}
    world.wants = (want("a.org", "b.org", "c.org"), want("d.org"))
    world.go()

    assert set(world.certificates()) == {"a.org", "c.org", "d.org"}
    assert world.troubles() == {"b.org": Why.NOT_CHECKED}
    assert world.serving
    (trouble,) = world.serving.troubles
    assert "no such host" in trouble.message
    assert "next try at 2026-05-01 12:0" in trouble.message

    world.unreachable = set()
    before = dict(world.certificates())
    world.go(world.now + timedelta(minutes=10))
    assert set(world.certificates()) == {"a.org", "b.org", "c.org", "d.org"}
    assert {host: world.certificates()[host] for host in before} == before
    assert world.troubles() == {}
    assert ("b.org",) in world.authority.placed


def test_a_name_that_fails_for_a_week_is_tried_seldom(world: World) -> None:
    world.unreachable = {"b.org"}
    world.wants = (want("b.org"),)
    world.go(START + timedelta(hours=1))
    assert len(world.authority.placed) <= 4
    world.go(START + DAY * 7)
    assert len(world.authority.placed) <= 16


def test_it_is_renewed_in_time_and_serves_without_a_gap(world: World) -> None:
    world.wants = (want("a.org"),)
    world.go()
    first = world.certificates()["a.org"]
    world.go(START + DAY * 50)
    assert world.certificates()["a.org"] == first
    world.go(START + DAY * 70)
    assert world.certificates()["a.org"] != first
    assert world.serving
    assert world.serving.secured == {"a.org"}
    assert world.authority.replaced[0] == ""
    assert world.authority.replaced[1] != ""


def test_a_server_that_knows_nothing_of_the_former_certificate_renews_all_the_same(world: World) -> None:
    world.wants = (want("a.org"),)
    world.go()
    first = world.certificates()["a.org"]
    world.authority.forgetful = True
    world.keeper.renew(["a.org"])
    world.go()
    assert world.certificates()["a.org"] != first
    assert world.authority.replaced == ["", ""]
    assert world.troubles() == {}


def test_a_failing_renewal_takes_nothing_away(world: World) -> None:
    world.wants = (want("a.org"),)
    world.go()
    first = world.certificates()["a.org"]
    world.unreachable = {"a.org"}
    world.go(START + DAY * 80)
    assert world.certificates()["a.org"] == first
    assert world.serving
    assert world.serving.secured == {"a.org"}
    assert "serves until 2026-07-30" in world.serving.troubles[0].message

    world.go(START + DAY * 95)
    assert world.certificates()["a.org"] == first
    assert world.serving.secured == frozenset()
    assert "has ended" in world.serving.troubles[0].message

    world.unreachable = set()
    world.go(START + DAY * 97)
    assert world.certificates()["a.org"] != first


def test_a_server_that_is_away_is_no_failure_of_a_name(world: World) -> None:
    world.wants = (want("a.org"),)
    world.authority.away = True
    world.go()
    assert world.troubles() == {"a.org": Why.ACME_AWAY}
    assert world.authority.placed == []

    world.authority.away = False
    world.go(world.now + timedelta(minutes=3))
    assert set(world.certificates()) == {"a.org"}
    assert world.troubles() == {}


def test_a_server_that_goes_away_in_the_middle_continues_the_order(world: World) -> None:
    world.wants = (want("a.org"),)
    world.look_once()
    world.authority.away = True
    world.look_once()
    world.authority.away = False
    world.go(world.now + timedelta(minutes=3))
    assert world.authority.placed == [("a.org",)]
    assert set(world.certificates()) == {"a.org"}


def test_a_rate_limit_is_respected_after_a_restart(world: World) -> None:
    world.wants = (want("a.org"),)
    world.authority.limited = 5 * 3600.0
    world.go()
    assert world.troubles() == {"a.org": Why.RATE_LIMITED}
    world.restart()
    calls = world.authority.calls
    world.go(START + timedelta(hours=4, minutes=50))
    assert world.authority.calls == calls
    world.authority.limited = None
    world.go(START + timedelta(hours=5, minutes=10))
    assert set(world.certificates()) == {"a.org"}


def test_the_window_of_the_server_is_followed(world: World) -> None:
    world.wants = (want("a.org"),)
    world.authority.window = Window(START + DAY * 10, START + DAY * 11)
    world.go()
    first = world.certificates()["a.org"]
    world.go(START + DAY * 9)
    assert world.certificates()["a.org"] == first
    world.go(START + DAY * 11 + timedelta(hours=2), most=2000)
    assert world.certificates()["a.org"] != first


def test_a_renewal_that_is_asked_for_forgives_failures(world: World) -> None:
    world.wants = (want("a.org"),)
    world.go()
    first = world.certificates()["a.org"]
    Store(world.directory).request_renewal(("a.org",))
    world.go()
    second = world.certificates()["a.org"]
    assert second != first
    world.go()
    assert world.certificates()["a.org"] == second

    world.unreachable = {"a.org"}
    Store(world.directory).request_renewal(("a.org",))
    world.go()
    assert world.troubles() == {"a.org": Why.NOT_CHECKED}
    world.unreachable = set()
    world.keeper.renew(["a.org"])
    world.look_once()
    world.go(world.now + timedelta(seconds=20))
    assert world.troubles() == {}


def test_dns_program_and_missing_challenge_are_told(world: World) -> None:
    dns = {"challenge": "dns-01", "dns": {"program": "nsupdate"}}
    world.acme = Acme.model_validate({**ACME.model_dump(), **dns})
    world.broken_dns = {"a.org"}
    world.wants = (want("*.b.org", "a.org"),)
    world.go(world.now + timedelta(seconds=30))
    assert set(world.certificates()) == {"*.b.org"}
    assert world.troubles() == {"a.org": Why.DNS_PROGRAM}

    world.authority.challenges = ("http-01",)
    world.wants = (want("c.org"),)
    world.go()
    assert world.troubles() == {"c.org": Why.NOT_CHECKED}
    assert world.serving
    assert "does not check c.org by dns-01, only by: http-01" in world.serving.troubles[0].message


def test_wildcards_and_missing_accounts_are_told(world: World) -> None:
    world.wants = (want("*.a.org", "a.org"),)
    world.go()
    assert world.troubles() == {"*.a.org": Why.NEEDS_DNS}
    assert set(world.certificates()) == {"a.org"}
    world.acme = None
    world.go()
    assert set(world.troubles().values()) == {Why.NO_ACCOUNT}
    assert set(world.certificates()) == {"a.org"}


def test_an_order_that_is_no_longer_wanted_is_dropped(world: World) -> None:
    world.wants = (want("a.org"),)
    world.look_once()
    world.wants = (want("b.org"),)
    world.go()
    assert world.authority.placed == [("a.org",), ("b.org",)]
    assert set(world.certificates()) == {"b.org"}
    assert Store(world.directory).orders() == ()


def test_twenty_names_and_more_than_are_open_at_once(world: World) -> None:
    world.wants = tuple(want(f"h{number:02}.org") for number in range(25))
    world.go()
    assert len(world.certificates()) == 25
    assert len(world.authority.placed) == 25
    assert world.authority.accounts == ["account"]


def test_files_are_served_and_a_bad_edit_takes_nothing_away(world: World, tmp_path: Path) -> None:
    chain, key = tmp_path / "chain.pem", tmp_path / "key.pem"
    (content, secret), (other, _) = made("a.org"), made("a.org")
    world.wants = (Want(Source.FILES, ("a.org", "b.org"), "s.0", str(chain), str(key)),)
    world.go()
    assert world.troubles() == {"a.org": Why.UNREADABLE, "b.org": Why.UNREADABLE}

    chain.write_bytes(content)
    key.write_bytes(secret)
    world.go()
    first = world.certificates()
    assert set(first) == {"a.org"}
    assert world.troubles() == {"b.org": Why.NAMES_DIFFER}
    assert world.serving
    assert (
        f"{chain}: the certificate is for a.org, not for b.org; get one" in world.serving.troubles[0].message
    )

    chain.write_bytes(other)
    world.go()
    assert world.certificates() == first
    assert set(world.troubles().values()) == {Why.KEY_DIFFERS}
    chain.write_text("")
    world.go()
    assert world.certificates() == first

    content, secret = made("a.org", "b.org", begin=START - DAY)
    chain.write_bytes(content)
    key.write_bytes(secret)
    world.go()
    assert set(world.certificates()) == {"a.org", "b.org"}
    assert world.certificates()["a.org"] != first["a.org"]
    world.now = START + LIFE
    world.go()
    assert set(world.troubles().values()) == {Why.ENDED}
    assert set(world.certificates()) == {"a.org", "b.org"}
    world.wants = ()
    world.go()
    assert secret.decode() not in "".join(path.read_text() for path in world.directory.rglob("*.pem"))


def test_self_signed_ones_are_made_once_and_renewed(world: World) -> None:
    world.wants = (Want(Source.SELF_SIGNED, ("a.test", "b.test"), "s.0"),)
    world.go()
    first, default = world.certificates(), world.serving.default if world.serving else None
    assert set(first) == {"a.test", "b.test"}
    world.restart()
    world.go()
    assert world.certificates() == first
    assert world.serving
    assert world.serving.default == default
    world.now = START + DAY * 300
    world.go()
    assert world.certificates() != first
    assert world.serving.secured == {"a.test", "b.test"}
    assert world.authority.calls == 0


def test_two_processes_do_not_order_the_same(world: World) -> None:
    world.wants = (want("a.org"),)
    world.serving = world.keeper.serve(world.wants, world.acme)
    with Store(world.directory).alone() as alone:
        assert alone
        assert world.keeper.work().seconds > 0
    assert world.authority.calls == 0
    world.go()
    assert set(world.certificates()) == {"a.org"}


def test_no_key_is_in_anything_that_is_shown(world: World) -> None:
    world.unreachable = {"b.org"}
    world.wants = (want("a.org"), want("b.org"), Want(Source.SELF_SIGNED, ("a.test",), "s.1"))
    world.go()
    keys = [
        line
        for path in world.directory.rglob("*.pem")
        for line in path.read_text().partition("PRIVATE KEY-----\n")[2].splitlines()[:2]
    ]
    shown = repr(world.serving) + repr(Store(world.directory).held(Store(world.directory).state()))
    shown += (world.directory / "state.json").read_text()
    assert keys
    assert not any(line in shown for line in keys)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(1, 14), min_size=1, max_size=5))
def test_a_crash_at_any_call_loses_nothing(
    tmp_path_factory: pytest.TempPathFactory, crashes: list[int]
) -> None:
    world = World(tmp_path_factory.mktemp("crash") / "certificates", unreachable={"b.org"})
    world.wants = (want("a.org", "b.org"), want("c.org"))
    for crash in crashes:
        world.authority.crash_after = world.authority.calls + crash
        try:
            for _ in range(6):
                world.look_once()
                world.now += timedelta(seconds=2)
        except Killed:
            world.restart()
    world.authority.crash_after = None
    world.go(world.now + timedelta(minutes=2))
    assert set(world.certificates()) == {"a.org", "c.org"}
    assert world.troubles() == {"b.org": Why.NOT_CHECKED}
    assert Store(world.directory).orders() == ()


def test_an_order_stops_at_the_next_step_when_another_controller_acts(world: World) -> None:
    """And goes on where it was; nothing is asked of the server meanwhile."""
    allowed, stopped = [0], set[Step]()

    def require() -> None:
        allowed[0] -= 1
        if allowed[0] < 0:
            raise TemporaryError("another controller acts")

    world.wants = (want("a.example.org"),)
    for _ in range(20):
        world.keeper = Keeper(
            world.directory,
            world.authority.connect,
            world.set_record,
            clock=lambda: world.now,
            require=require,
        )
        allowed[0], before = 0, world.authority.calls
        with pytest.raises(TemporaryError, match="another controller"):
            world.look_once()
        assert world.authority.calls == before
        # To begin, to reach the server, and for one step.
        allowed[0] = 3
        with suppress(TemporaryError):
            world.look_once()
        stopped |= {order.step for order in Store(world.directory).orders()}
        world.now += timedelta(seconds=5)
        if world.keeper.serve(world.wants, world.acme).hosts:
            break
    assert stopped == set(Step) - {Step.PLACE}
    world.restart()
    world.go()
    assert set(world.certificates()) == {"a.example.org"}
    assert world.troubles() == {}
    assert world.authority.placed == [("a.example.org",)]
