"""Takes an order as far as it gets without waiting, one step after the other, each kept before the next begins.

No step looks at anything but the order and the server, so an order that was cut off by a crash goes on where it was. What
the server has to find is served by others: a step only says what, and waits until it is told that it is there.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Final, Literal

from reconciler.api.acme import Acme, DnsProgram
from reconciler.certificates.acme.base import Authority, Authorization, OrderState
from reconciler.certificates.certificate import Bundle, read_bundle, uncovered
from reconciler.certificates.errors import AcmeError, CertificateError, Why
from reconciler.certificates.order import Answer, Order, Step
from reconciler.certificates.self_signed import signing_request

__all__ = [
    "NO_ACCOUNT",
    "Failed",
    "Issued",
    "Means",
    "Progress",
    "Save",
    "SetRecord",
    "Waiting",
    "advance",
    "clean_up",
]

POLL: Final = 2.0
"""Seconds between two questions where the server does not say."""
LONGEST_POLL: Final = 300.0
LONGEST_ORDER: Final = timedelta(hours=1)
"""Time for an order; DNS programs and their delays come on top."""

NO_ACCOUNT: Final = "accountDoesNotExist"

Save = Callable[[Order], None]
SetRecord = Callable[[DnsProgram, Literal["present", "cleanup"], Answer], None]


@dataclass(frozen=True, slots=True)
class Waiting:
    """An order that goes on in `seconds`, or when its answers are served."""

    order: Order
    seconds: float


@dataclass(frozen=True, slots=True)
class Issued:
    """An order that has led to a certificate."""

    order: Order
    bundle: Bundle


@dataclass(frozen=True, slots=True)
class Failed:
    """An order that leads to nothing. `faults` are the reasons of names; without any, `message` is that of all names."""

    order: Order
    why: Why
    message: str
    faults: Mapping[str, str] = field(default_factory=dict)
    delay: float | None = None


Progress = Waiting | Issued | Failed


@dataclass(frozen=True, slots=True)
class Means:
    """What a step needs. `served` are the ids of answers that every proxy gives by now; `require` raises VaultError if no
    further step may be begun.
    """

    acme: Acme
    authority: Authority
    served: Collection[str]
    set_record: SetRecord
    now: datetime
    require: Callable[[], object]


def advance(order: Order, means: Means, save: Save) -> Progress:
    """Take an order as far as it gets, and keep it after each step.

    Raises AcmeAwayError when the server cannot be asked, AcmeError when it does not know the account any more, and what
    `require` raises; the order is kept then, and goes on later.
    """
    if means.now - order.since > LONGEST_ORDER + _programs(order, means.acme):
        hours = LONGEST_ORDER.total_seconds() / 3600
        late = (
            "the gateway did not serve the answers; see its conditions"
            if order.step is Step.ANSWER
            else "the server did not finish the order"
        )
        return Failed(order, Why.NOT_ISSUED, f"within {hours:g} h {late}")
    while True:
        means.require()
        try:
            step = _STEPS[order.step](order, means)
        except AcmeError as error:
            if error.why is Why.ACME_AWAY or error.code == NO_ACCOUNT:
                raise
            if order.step is Step.PLACE and order.replaces and error.why is Why.REFUSED:
                # Perhaps because of what it replaces: the server may have lost that, or it is another account's.
                order = replace(order, replaces="")
                continue
            return Failed(order, error.why, error.message, delay=error.delay)
        if not isinstance(step, Order):
            return step
        order = step
        save(order)


def clean_up(order: Order, acme: Acme | None, set_record: SetRecord) -> None:
    """Remove the DNS records of an order that has ended. A record that stays harms nothing, so failures are ignored."""
    for answer in order.answers:
        if answer.challenge == "dns-01" and acme and acme.dns:
            try:
                set_record(acme.dns, "cleanup", answer)
            except AcmeError:
                continue


def _place(order: Order, means: Means) -> Order | Progress:
    placed = means.authority.place(order.names, profile=means.acme.profile, replaces=order.replaces)
    answers: list[Answer] = []
    for url in placed.authorizations:
        found = means.authority.authorization(url)
        if found.status == "valid":
            continue
        offer = next((each for each in found.offers if each.challenge == means.acme.challenge), None)
        if offer is None:
            offered = ", ".join(sorted(each.challenge for each in found.offers)) or "none that is known"
            message = f"the server does not check {found.name} by {means.acme.challenge}, only by: {offered}"
            return Failed(order, Why.NOT_CHECKED, message, {found.name: message})
        answers.append(Answer(found.name, offer.challenge, offer.url, offer.token, offer.value))
    step = Step.ANSWER if answers else Step.FINALIZE
    return order.at(step, url=placed.url, finalize=placed.finalize, answers=tuple(answers))


def _answer(order: Order, means: Means) -> Order | Progress:
    if means.acme.dns and means.acme.challenge == "dns-01" and order.set is None:
        for answer in order.answers:
            try:
                means.set_record(means.acme.dns, "present", answer)
            except AcmeError as error:
                return Failed(order, error.why, error.message, {answer.name: error.message})
        return replace(order, set=means.now)
    if order.set is not None and means.acme.dns:
        left = means.acme.dns.delay - (means.now - order.set).total_seconds()
        if left > 0:
            return Waiting(order, left)
    elif any(answer.id not in means.served for answer in order.answers):
        return Waiting(order, POLL)
    for answer in order.answers:
        means.authority.answer(answer.url)
    return order.at(Step.CHECK)


def _check(order: Order, means: Means) -> Order | Progress:
    state = means.authority.order(order.url)
    if state.status == "pending":
        return Waiting(order, _pause(state))
    if state.status == "invalid":
        return _not_checked(order, means.authority, state) or _not_issued(order, state)
    return order.at(Step.FINALIZE)


def _finalize(order: Order, means: Means) -> Order | Progress:
    state = means.authority.order(order.url)
    if state.status == "ready":
        state = means.authority.finalize(order.finalize, signing_request(order.key, order.names))
    if state.status == "invalid":
        return _not_checked(order, means.authority, state) or _not_issued(order, state)
    if state.status == "valid":
        return order.at(Step.FETCH, certificate=state.certificate)
    return Waiting(order, _pause(state))


def _fetch(order: Order, means: Means) -> Order | Progress:
    chain = means.authority.download(order.certificate)
    try:
        bundle = read_bundle(chain.encode(), order.key.encode(), "the certificate of the server")
    except CertificateError as error:
        return Failed(order, error.why, error.message)
    if other := uncovered(bundle.certificate, order.names):
        return Failed(
            order, Why.NAMES_DIFFER, f"the certificate of the server is not for {', '.join(other[:4])}"
        )
    return Issued(order, bundle)


_STEPS: Final = {
    Step.PLACE: _place,
    Step.ANSWER: _answer,
    Step.CHECK: _check,
    Step.FINALIZE: _finalize,
    Step.FETCH: _fetch,
}


def _not_checked(order: Order, authority: Authority, state: OrderState) -> Failed | None:
    """The names that the server could not check, if there are any."""
    found = [authority.authorization(url) for url in state.authorizations]
    faults = {
        each.name: _fault(each) for each in found if each.status not in ("pending", "valid", "processing")
    }
    if not faults:
        return None
    return Failed(order, Why.NOT_CHECKED, faults[min(faults)], faults)


def _fault(authorization: Authorization) -> str:
    reason = authorization.problem or f"its check ended as {authorization.status}"
    return f"the server could not check {authorization.name}: {reason}"


def _not_issued(order: Order, state: OrderState) -> Failed:
    return Failed(
        order,
        Why.NOT_ISSUED,
        f"the server did not issue the certificate: {state.problem or 'it does not say why'}",
    )


def _pause(state: OrderState) -> float:
    return min(max(state.delay or POLL, 0.5), LONGEST_POLL)


def _programs(order: Order, acme: Acme) -> timedelta:
    """The time that DNS programs may take for an order."""
    dns = acme.dns
    return timedelta(seconds=len(order.names) * dns.timeout + dns.delay) if dns else timedelta()
