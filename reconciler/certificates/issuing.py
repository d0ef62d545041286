"""Gets certificates from an ACME server: opens orders, takes them further, keeps what comes of them.

It is called again and again, does what can be done now, and says when to be called next. All that it knows is in the store.
A name that fails waits on its own; a server that is away stops everything for a while and is no failure of a name.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from reconciler.api.acme import Acme
from reconciler.certificates.acme.base import Authority
from reconciler.certificates.acme.steps import (
    NO_ACCOUNT,
    Failed,
    Issued,
    Means,
    SetRecord,
    Waiting,
    advance,
    clean_up,
)
from reconciler.certificates.choosing import Held, chosen, due, next_renewal
from reconciler.certificates.errors import AcmeError, Why
from reconciler.certificates.order import Order
from reconciler.certificates.renewal import AWAY_DELAYS, DELAYS, failed_again
from reconciler.certificates.self_signed import new_key
from reconciler.certificates.store import Account, Renewal, State, Store
from reconciler.certificates.troubles import away_key
from reconciler.certificates.wanted import Source, Want

__all__ = ["IDLE", "Connect", "Done", "Issuer"]

MAX_ORDERS: Final = 10
"""Orders that are open at a time."""
IDLE: Final = 24 * 3600.0
"""Seconds until the next call where nothing is planned."""
ASK_LATER: Final = 3600.0

Connect = Callable[[Account, Acme], Authority]


@dataclass(frozen=True, slots=True)
class Done:
    """What a call has done: whether there is something else to be served now, and seconds until the next call."""

    changed: bool
    seconds: float


class Issuer:
    """The ACME side of one gateway's certificates. Called by one thread at a time. `require` raises VaultError while
    nothing may be asked for: what was begun is kept as it is.
    """

    def __init__(
        self, store: Store, connect: Connect, set_record: SetRecord, require: Callable[[], object]
    ) -> None:
        self.require = require
        self._store = store
        self._connect = connect
        self._set_record = set_record
        self._known: tuple[Account, Acme, Authority] | None = None

    def work(
        self, wants: Collection[Want], acme: Acme | None, served: Collection[str], now: datetime
    ) -> Done:
        """Do what can be done now. Raises TemporaryError for what the disk refuses, and what `require` raises."""
        self.require()
        wants = [want for want in wants if want.source is Source.ACME]
        state = self._with_requests(self._store.state())
        abandoned = self._abandon(wants, acme)
        if acme is None:
            return Done(abandoned, IDLE)
        key = away_key(acme)
        away = state.away.get(key)
        if away and away.next_at > now:
            return Done(abandoned, (away.next_at - now).total_seconds())
        run = _Run(self, wants, acme, served, now, state)
        try:
            run.go()
        except AcmeError as error:
            if error.code == NO_ACCOUNT:
                self._forget_account(acme)
            is_passing = error.why is Why.ACME_AWAY or error.code == NO_ACCOUNT
            delays = AWAY_DELAYS if is_passing else DELAYS
            # Only failures of one kind in a row wait longer each time.
            former = away if away and away.why is error.why else None
            failure = failed_again(key, former, error.why, error.message, now, error.delay, delays)
            run.keep(away={key: failure})
            return Done(True, (failure.next_at - now).total_seconds())
        if away:
            run.keep(away={})
        return Done(abandoned or run.changed, run.pause())

    def authority(self, acme: Acme) -> Authority:
        """The server, asked with the gateway's account; a new one is made at the first time."""
        self.require()
        account = self._store.account(acme.server)
        if self._known and self._known[:2] == (account, acme):
            return self._known[2]
        if account is None:
            # Kept before the server knows it: a crash must not leave an account behind whose key is lost.
            account = Account(acme.server, new_key())
            self._store.save_account(account)
        authority = self._connect(account, acme)
        if not account.url or account.contact != acme.contact:
            account = replace(account, url=authority.register(acme.contact), contact=acme.contact)
            self._store.save_account(account)
        self._known = (account, acme, authority)
        return authority

    @property
    def store(self) -> Store:
        """Where everything is kept."""
        return self._store

    @property
    def set_record(self) -> SetRecord:
        """Sets DNS records."""
        return self._set_record

    def _with_requests(self, state: State) -> State:
        if not (asked := self._store.take_requests()):
            return state
        state = replace(
            state,
            forced=tuple(sorted({*state.forced, *asked})),
            failures={name: each for name, each in state.failures.items() if name not in asked},
            away={},
        )
        self._store.save_state(state)
        self._store.forget_requests(asked)
        return state

    def _abandon(self, wants: Collection[Want], acme: Acme | None) -> bool:
        """Drop orders that would lead to nothing that is wanted."""
        names = {name for want in wants for name in want.names}
        abandoned = [order for order in self._store.orders() if not _is_wanted(order, names, acme)]
        for order in abandoned:
            clean_up(order, acme, self._set_record)
            self._store.remove_order(order)
        return bool(abandoned)

    def _forget_account(self, acme: Acme) -> None:
        self._known = None
        if account := self._store.account(acme.server):
            self._store.save_account(replace(account, url=""))
        for order in self._store.orders():
            self._store.remove_order(order)


class _Run:
    """One call of `work`, with the state as it is by now."""

    def __init__(
        self,
        issuer: Issuer,
        wants: Collection[Want],
        acme: Acme,
        served: Collection[str],
        now: datetime,
        state: State,
    ) -> None:
        self.state = state
        self.changed = False
        self._store = issuer.store
        self._issuer = issuer
        self._wants, self._acme, self._served, self._now = wants, acme, served, now
        self._pauses: list[float] = []

    def go(self) -> None:
        """Take every order further, then open those that are due, then ask about renewals."""
        for order in self._store.orders():
            self._take_further(order)
        opened = list(self._store.orders())
        for names in list(self._due(name for order in opened for name in order.names)):
            if len(opened) >= MAX_ORDERS:
                # One that ends makes room; those that wait are looked at then.
                break
            order = Order(self._acme.server, names, new_key(), self._now, replaces=self._replaced(names))
            opened.append(order)
            self._store.save_order(order)
            self._take_further(order)
        for held in list(self._to_be_asked()):
            self._ask_about(held)

    def keep(self, **changes: object) -> None:
        """Change the state, on disk as well."""
        self.state = replace(self.state, **changes)  # type: ignore[arg-type]
        self._store.save_state(self.state)

    def pause(self) -> float:
        """Seconds until there is something to do."""
        held = self._store.held(self.state)
        names = {name for want in self._wants for name in want.names}
        moments = [each.next_at for name, each in self.state.failures.items() if name in names]
        moments += [each.ask_at for each in self.state.renewals.values()]
        if renewal := next_renewal(self._wants, held, self._now):
            moments.append(renewal)
        later = [left for each in moments if (left := (each - self._now).total_seconds()) > 0]
        return min([IDLE, *self._pauses, *later])

    def _due(self, ordered: Iterable[str]) -> Iterator[tuple[str, ...]]:
        held = self._store.held(self.state)
        return due(self._wants, held, self.state.failures, set(ordered), self.state.forced, self._now)

    def _take_further(self, order: Order) -> None:
        means = Means(
            self._acme,
            self._issuer.authority(self._acme),
            self._served,
            self._issuer.set_record,
            self._now,
            self._issuer.require,
        )
        before = order.answers
        came = advance(order, means, self._store.save_order)
        self.changed |= came.order.answers != before or not isinstance(came, Waiting)
        if isinstance(came, Waiting):
            self._pauses.append(came.seconds)
            return
        if isinstance(came, Issued):
            self._keep_issued(came)
        else:
            self._keep_failed(came)
        self._store.remove_order(came.order)
        clean_up(came.order, self._acme, self._issuer.set_record)
        self._pauses.append(0.0)

    def _keep_issued(self, came: Issued) -> None:
        held = self._store.save(Source.ACME, came.order.id, came.bundle)
        names = set(came.order.names)
        renewal = Renewal(came.bundle.certificate.fingerprints[0], self._acme.server, self._now)
        there = {each.file for each in self._store.held(self.state)}
        self.keep(
            failures={name: each for name, each in self.state.failures.items() if name not in names},
            forced=tuple(name for name in self.state.forced if name not in names),
            renewals={
                **{file: each for file, each in self.state.renewals.items() if file in there},
                held.file: renewal,
            },
        )

    def _keep_failed(self, came: Failed) -> None:
        faults: Mapping[str, str] = came.faults or dict.fromkeys(came.order.names, came.message)
        failures = dict(self.state.failures)
        for name, message in faults.items():
            failures[name] = failed_again(name, failures.get(name), came.why, message, self._now, came.delay)
        self.keep(failures=failures)

    def _replaced(self, names: tuple[str, ...]) -> str:
        """The renewal ID of the certificate that a new one for these names replaces, if this server issued it."""
        held = chosen([Want(Source.ACME, names, "")], self._store.held(self.state), self._now)
        former = held.get(names[0])
        # After a failure without: a server may refuse an order because of what it replaces.
        if former is None or any(name in self.state.failures for name in names):
            return ""
        renewal = self.state.renewals.get(former.file)
        certificate = former.bundle.certificate
        is_of_server = renewal and renewal.server == self._acme.server
        return certificate.renewal_id if is_of_server and _is_about(renewal, former) else ""

    def _to_be_asked(self) -> Iterator[Held]:
        serving = chosen(self._wants, self._store.held(self.state), self._now)
        for held in {each.file: each for each in serving.values()}.values():
            renewal = self.state.renewals.get(held.file)
            if (
                _is_about(renewal, held)
                and renewal
                and renewal.server == self._acme.server
                and renewal.ask_at <= self._now
            ):
                yield held

    def _ask_about(self, held: Held) -> None:
        renewal = self.state.renewals[held.file]
        try:
            window, seconds = self._issuer.authority(self._acme).renewal(held.bundle.certificate.renewal_id)
        except AcmeError as error:
            # What is known is enough; a server that is away is noticed by an order.
            window, seconds = renewal.window, max(error.delay or 0.0, ASK_LATER)
        asked = replace(renewal, window=window, ask_at=self._now + timedelta(seconds=seconds))
        self.keep(renewals={**self.state.renewals, held.file: asked})


def _is_about(renewal: Renewal | None, held: Held) -> bool:
    return renewal is not None and renewal.fingerprint == held.bundle.certificate.fingerprints[0]


def _is_wanted(order: Order, names: Collection[str], acme: Acme | None) -> bool:
    return (
        acme is not None
        and order.server == acme.server
        and set(order.names) <= set(names)
        and all(answer.challenge == acme.challenge for answer in order.answers)
    )
