"""Names and hashes of passwords, as an htpasswd file has them.

Proxies compute the hash of a password that is tried, so only hashes are accepted that are hard to guess and that a proxy
can compute within seconds. No message and no representation shows a hash.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

__all__ = ["MAX_COST", "MAX_ROUNDS", "Logins", "LoginsError", "parse_logins"]

MAX_COST: Final = 12
"""Of bcrypt: each step doubles the time, and 12 takes a proxy some seconds."""
MAX_ROUNDS: Final = 100_000
MAX_NAME: Final = 128

HOW: Final = "write it with `htpasswd -B` or `openssl passwd -6`"

_BCRYPT: Final = re.compile(r"\$2[aby]\$([0-9]{2})\$[./A-Za-z0-9]{53}")
_SHA512: Final = re.compile(r"\$6\$(?:rounds=([0-9]{1,9})\$)?[./A-Za-z0-9]{1,16}\$[./A-Za-z0-9]{86}")
_OTHERS: Final = (
    ("$apr1$", "MD5 (apr1)"),
    ("$1$", "MD5"),
    ("$2x$", "a faulty bcrypt ($2x$)"),
    ("$5$", "SHA-256"),
    ("$y$", "yescrypt"),
    ("$7$", "scrypt"),
    ("$argon2", "Argon2"),
    ("{SHA}", "SHA-1"),
)
_DECOYS: Final = {
    "$2": "$2b${cost:02}$" + "." * 53,
    "$6": "$6$rounds={cost}$" + "." * 16 + "$" + "." * 86,
}


class LoginsError(Exception):
    """A file of logins is wrong: which line, and how."""


@dataclass(frozen=True, slots=True)
class Logins:
    """The hash of the password of each name."""

    hashes: Mapping[str, str] = field(repr=False)

    @property
    def decoy(self) -> str:
        """A hash that no password has and that takes as long as those of most names, for names that are not known."""
        kinds = [each[:2] for each in self.hashes.values()]
        kind = max(sorted(set(kinds)), key=kinds.count, default="$6")
        cost = max((_cost(each) for each in self.hashes.values() if each.startswith(kind)), default=5000)
        return _DECOYS[kind].format(cost=cost)


def parse_logins(text: str, path: str) -> Logins:
    """The logins of a file's text; `path` is for messages. Raises LoginsError."""
    hashes: dict[str, str] = {}
    for number, line in enumerate(text.split("\n"), 1):
        line = line.rstrip("\r")
        if not line.strip() or line.startswith("#"):
            continue
        name, colon, rest = line.partition(":")
        problem = "" if colon else "has no ':'; a line is NAME:HASH"
        problem = problem or _of_name(name, hashes) or _of_hash(hashed := rest.partition(":")[0])
        if problem:
            raise LoginsError(f"{path}:{number}: {problem}")
        hashes[name] = hashed
    return Logins(hashes)


def _of_name(name: str, known: Mapping[str, str]) -> str:
    if not name or len(name) > MAX_NAME or not name.isprintable():
        return f"has no name of 1 to {MAX_NAME} printable characters before the ':'"
    return "has a name that another line has as well; remove one of them" if name in known else ""


def _of_hash(hashed: str) -> str:
    if found := _BCRYPT.fullmatch(hashed):
        cost = int(found[1])
        if not 4 <= cost <= MAX_COST:
            return f"has a bcrypt hash of cost {cost}, which is not from 4 to {MAX_COST}; {HOW}"
        return ""
    if found := _SHA512.fullmatch(hashed):
        rounds = _cost(hashed)
        if not 1000 <= rounds <= MAX_ROUNDS:
            return f"has a SHA-512 hash of {rounds} rounds, which is not from 1000 to {MAX_ROUNDS}; {HOW}"
        return ""
    other = next((f"a hash of {what}" for start, what in _OTHERS if hashed.startswith(start)), "no hash")
    return f"has {other}, and not one of bcrypt or SHA-512 behind the name; {HOW}"


def _cost(hashed: str) -> int:
    if found := _BCRYPT.fullmatch(hashed):
        return int(found[1])
    found = _SHA512.fullmatch(hashed)
    return int(found[1] or 5000) if found else 0
