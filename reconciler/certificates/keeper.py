"""The certificates of one gateway, for its pass and for the thread that gets new ones.

The pass says what is wanted and learns what is to be served (`serve`), makes HAProxy serve it, and says what HAProxies
answer by now (`answering`). The thread does what takes time (`work`). They share the store, and the pass never waits.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from reconciler.api.acme import Acme
from reconciler.certificates.acme.steps import SetRecord
from reconciler.certificates.certificate import Bundle
from reconciler.certificates.choosing import Held, chosen, unused
from reconciler.certificates.issuing import Connect, Done, Issuer
from reconciler.certificates.local import default_of, from_files, is_default, make_self_signed
from reconciler.certificates.order import Answer, Step
from reconciler.certificates.renewal import Failure
from reconciler.certificates.self_signed import challenge_certificate
from reconciler.certificates.store import Store
from reconciler.certificates.troubles import Trouble, orderable, troubles_of
from reconciler.certificates.wanted import Source, Want

__all__ = ["Keeper", "Serving", "directory_of"]

LOOK_AGAIN: Final = 3600.0
"""Seconds after which everything is looked at again, whatever is planned: a clock may have been set."""
PAUSE: Final = 30.0
"""Seconds after an error that says nothing about a server, and while another process is at work."""


@dataclass(frozen=True, slots=True)
class Serving:
    """What the proxies of a gateway have to serve.

    `hosts` has the certificate of each host that has one, `secured` those whose clients accept its time; `answers` are
    those of http-01, `challenges` the certificates for tls-alpn-01 by host; `ids` names all, for `Keeper.answering`.
    `failures` are those of names since their last success.
    """

    default: Bundle
    hosts: Mapping[str, Held] = field(default_factory=dict)
    secured: frozenset[str] = frozenset()
    answers: tuple[Answer, ...] = ()
    challenges: Mapping[str, Bundle] = field(default_factory=dict)
    ids: frozenset[str] = frozenset()
    troubles: tuple[Trouble, ...] = ()
    failures: Mapping[str, Failure] = field(default_factory=dict)

    @property
    def paths(self) -> dict[str, str]:
        """The answers of http-01 by path."""
        return {answer.path: answer.value for answer in self.answers}


def always() -> None:
    """A `require` of one host: there is no other controller."""


def directory_of(gateway: Path) -> Path:
    """The directory of certificates below a gateway's own one."""
    return gateway / "certificates"


class Keeper:
    """The certificates of one gateway. `changed` is called when a pass should look at them again; `require` raises
    TemporaryError while this process must not get any: another controller does.
    """

    def __init__(
        self,
        directory: Path,
        connect: Connect,
        set_record: SetRecord,
        changed: Callable[[], None] = lambda: None,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        require: Callable[[], object] = always,
    ) -> None:
        self._store = Store(directory)
        self._issuer = Issuer(self._store, connect, set_record, require)
        self._changed = changed
        self._clock = clock
        self._lock = threading.Lock()
        self._awake = threading.Event()
        self._ended = False
        self._wants: tuple[Want, ...] = ()
        self._acme: Acme | None = None
        self._answering: frozenset[str] = frozenset()
        self._challenges: dict[str, Bundle] = {}

    def serve(self, wants: Collection[Want], acme: Acme | None) -> Serving:
        """What is to be served now for what is wanted. Raises TemporaryError for what the disk refuses."""
        now = self._clock()
        state = self._store.state()
        troubles: list[Trouble] = []
        held = self._store.held(state)
        for want in wants:
            if want.source is Source.SELF_SIGNED:
                make_self_signed(self._store, want, held, now)
            elif want.source is Source.FILES:
                troubles += from_files(self._store, want, held, now)
        default = default_of(self._store, held, now)
        held = tuple(each for each in self._store.held(state) if not is_default(each))
        for each in unused(wants, held, now):
            self._store.remove(each)
        hosts = chosen(wants, held, now)
        self._want(tuple(orderable(wants, acme)), acme)
        if self._store.take_requests():
            # Of another process, which asks for a pass as well.
            self._awake.set()
        answers = self._answers()
        return Serving(
            default.bundle,
            hosts,
            frozenset(host for host, each in hosts.items() if each.is_valid(now)),
            tuple(answer for answer in answers if answer.challenge == "http-01"),
            self._challenge_certificates(answers, now),
            frozenset(answer.id for answer in answers),
            (*troubles, *troubles_of(wants, acme, state, hosts, now)),
            state.failures,
        )

    def answering(self, ids: Collection[str]) -> None:
        """Say which answers every HAProxy of the gateway gives by now."""
        if frozenset(ids) != self._answering:
            with self._lock:
                self._answering = frozenset(ids)
            self._awake.set()

    def renew(self, names: Collection[str]) -> None:
        """Ask for new certificates of these names, whatever their age and their failures."""
        self._store.request_renewal(tuple(names))
        self._awake.set()

    def work(self) -> Done:
        """Do what can be done now on the way to new certificates. Raises TemporaryError for what the disk refuses, and
        while another controller acts.
        """
        with self._lock:
            wants, acme, answering = self._wants, self._acme, self._answering
        with self._store.alone() as alone:
            if not alone:
                # A command that waits for its gateway, beside a controller that has just started.
                return Done(changed=False, seconds=PAUSE)
            done = self._issuer.work(wants, acme, answering, self._clock())
        if done.changed:
            self._changed()
        return done

    def run(self, failed: Callable[[Exception], None]) -> None:
        """Work until `stop`: the body of a thread. It goes on after any error, and tells `failed` of it."""
        while not self._ended:
            self._awake.clear()
            try:
                seconds = self.work().seconds
            # A thread that has ended would renew nothing, and no one would notice before certificates end.
            except Exception as error:
                failed(error)
                seconds = PAUSE
            self._awake.wait(min(seconds, LOOK_AGAIN))

    def stop(self) -> None:
        """End `run`, after the request that is under way."""
        self._ended = True
        self._awake.set()

    def _want(self, wants: tuple[Want, ...], acme: Acme | None) -> None:
        if (wants, acme) != (self._wants, self._acme):
            with self._lock:
                self._wants, self._acme = wants, acme
            self._awake.set()

    def _answers(self) -> list[Answer]:
        return [
            answer
            for order in self._store.orders()
            if order.step in (Step.ANSWER, Step.CHECK)
            for answer in order.answers
            if answer.challenge != "dns-01"
        ]

    def _challenge_certificates(self, answers: list[Answer], now: datetime) -> dict[str, Bundle]:
        asked = {answer.id: answer for answer in answers if answer.challenge == "tls-alpn-01"}
        # Made once: another one with each pass would be a change with each pass.
        self._challenges = {
            id: self._challenges.get(id) or challenge_certificate(answer.name, answer.value, now)
            for id, answer in asked.items()
        }
        return {asked[id].name: bundle for id, bundle in self._challenges.items()}
