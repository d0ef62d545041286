"""The agents of other nodes, in `<state>/agents.json`: where each is, and which certificates it may show.

An agent is enrolled by a token that works once and for a short time; only its digest is stored. A certificate that is not
in its row is not accepted, even if it is valid: so a stolen one ends with the next enrolment of its node.
"""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import re
import secrets
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

from reconciler.api import PermanentError
from reconciler.store.rows import Rows, by_key

__all__ = ["Agent", "Agents", "Issued", "pin_of", "split_address"]

FILE: Final = "agents.json"
TOKEN_LIFE: Final = timedelta(hours=1)
PREFIX: Final = "vaultagent"

_TOKEN: Final = re.compile(
    rf"{PREFIX}_(?P<node>[a-z0-9](?:[a-z0-9-]{{0,61}}[a-z0-9])?)_(?P<secret>[A-Za-z0-9-]{{43}})_(?P<pin>[0-9a-f]{{64}})"
)
_PORT: Final = re.compile(r"[1-9][0-9]{0,4}")


@dataclass(frozen=True, slots=True)
class Issued:
    """A certificate of an agent: its fingerprint, and when it ends (RFC 3339)."""

    fingerprint: str
    ends: str


@dataclass(frozen=True, slots=True)
class Agent:
    """The agent of a node, at "HOST:PORT". `certificates` are those that it may show: the one that it shows, and a newer
    one if that is on its way; none before it is enrolled. `token` is the digest of one that was not used.
    """

    node: str
    address: str
    created: str
    certificates: tuple[Issued, ...] = ()
    token: str | None = field(default=None, repr=False)
    token_ends: str | None = None

    @property
    def ends(self) -> datetime | None:
        """When the certificate that it shows ends."""
        return datetime.fromisoformat(self.certificates[0].ends) if self.certificates else None

    def may_show(self, fingerprint: str) -> bool:
        """Whether a certificate is one of those."""
        return any(each.fingerprint == fingerprint for each in self.certificates)


class Agents:
    """The agents of one state directory, for any number of threads and processes: one that is removed is asked no more."""

    def __init__(self, state_dir: Path, clock: Callable[[], datetime]) -> None:
        decode, encode = by_key(_load, asdict)
        self._rows: Rows[Agent] = Rows(
            state_dir / FILE, decode, encode, "remove it and enrol the agents again"
        )
        self._clock = clock

    def invite(self, node: str, address: str, pin: str) -> str:
        """The text of a token for the agent of this node at this address; the text is stored nowhere. An agent that is
        enrolled goes on until it is used. `pin` is the SHA-256 of the authority's certificate, by which the agent knows it.

        Raises PermanentError for an invalid address.
        """
        host, port = split_address(address)
        # Without "_", which parts the text.
        secret = secrets.token_urlsafe(32).replace("_", "-")
        now = self._clock()
        with self._rows.changing() as known:
            before = known.get(node) or Agent(node, "", now.isoformat())
            known[node] = replace(
                before,
                address=f"[{host}]:{port}" if ":" in host else f"{host}:{port}",
                token=_digest(secret),
                token_ends=(now + TOKEN_LIFE).isoformat(),
            )
        return f"{PREFIX}_{node}_{secret}_{pin}"

    def redeem(self, text: str, issue: Callable[[str], Issued]) -> Agent | None:
        """The agent that this token enrols; None if it is no valid one. It cannot be used again.

        `issue` makes the certificate of a node. What it raises leaves the token.
        """
        match = _TOKEN.fullmatch(text)
        with self._rows.changing() as known:
            agent = known.get(match["node"]) if match else None
            # Compared in any case: the time of a refusal must not tell which nodes there are.
            is_right = hmac.compare_digest(
                _digest(match["secret"] if match else ""), (agent and agent.token) or _digest(" ")
            )
            if agent is None or not is_right or not agent.token_ends:
                return None
            if datetime.fromisoformat(agent.token_ends) <= self._clock():
                return None
            enrolled = replace(agent, certificates=(issue(agent.node),), token=None, token_ends=None)
            known[agent.node] = enrolled
        return enrolled

    def renew(self, node: str, issued: Issued) -> None:
        """Accept another certificate from this agent, besides the one that it shows. One that was on its way is none."""
        with self._rows.changing() as known:
            if (agent := known.get(node)) and agent.certificates:
                known[node] = replace(agent, certificates=(agent.certificates[0], issued))

    def settle(self, node: str, fingerprint: str) -> None:
        """Accept no other certificate than this one, which the agent shows by now."""
        with self._rows.changing() as known:
            if (agent := known.get(node)) and agent.may_show(fingerprint):
                shown = tuple(each for each in agent.certificates if each.fingerprint == fingerprint)
                known[node] = replace(agent, certificates=shown)

    def list(self) -> tuple[Agent, ...]:
        """All of them by name, also those that are not enrolled yet."""
        return tuple(sorted(self._rows.all().values(), key=lambda each: each.node))

    def get(self, node: str) -> Agent | None:
        """That of a node."""
        return self._rows.get(node)

    def remove(self, node: str) -> bool:
        """Ask the agent of a node no more; whether there was one."""
        with self._rows.changing() as known:
            return known.pop(node, None) is not None


def pin_of(text: str) -> str | None:
    """The SHA-256 of the authority's certificate that a token names; None for a text that is no token."""
    match = _TOKEN.fullmatch(text)
    return match["pin"] if match else None


def split_address(text: str) -> tuple[str, int]:
    """Host and port of "10.0.0.2:9443" or "[fd00::2]:9443". Raises PermanentError for anything else: a name would be looked
    up for each connection, without a deadline.
    """
    host, _, port = text.rpartition(":")
    with suppress(ValueError):
        bare = host[1:-1] if host.startswith("[") and host.endswith("]") else host
        address = ipaddress.ip_address(bare)
        if (address.version == 6) == (bare != host) and _PORT.fullmatch(port) and int(port) <= 65535:
            return str(address), int(port)
    raise PermanentError(
        f"{text!r} is not the address of an agent: write ADDRESS:PORT, such as 10.0.0.2:9443"
    )


def _load(row: dict[str, Any]) -> Agent:
    return Agent(**{**row, "certificates": tuple(Issued(**each) for each in row["certificates"])})


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
