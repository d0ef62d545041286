"""Turns good inputs into bad ones: of texts by cutting, doubling and splicing, of data by swapping values and shapes.

Everything comes from the `Random` that is handed in, so an input can be made again from its seed, and Hypothesis can
drive the same mutations and make a failing one smaller.
"""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import Any, Final

NASTY: Final = (
    "", "\0", "\n", "\r\n", "\t", "\x1b[2J", "\x7f", "\u202e", "\ufeff", "\ud800", "ä", "💥", "$", "$$", "${", "${X}",
    "${X:?}", "%[env(X)]", "%", "\\", "'", '"', "`id`", "; id", "$(id)", "-", "--", "../", "/", "..", "&a", "*a", "!!",
    "!!python/object/apply:os.system", "<<", "? ", ": ", "- ", "#", "|", ">", "{", "}", "[", "]", ",", "=", "@", "~",
    "null", "true", "no", "0x10", "1e999", "-1", "99999999999999999999", ".nan", ".inf", "22:22", "2001-01-01",
    "\n    bind :1\n", "\nglobal\n", " if { always_true }", "# old workers\n", "a" * 300, "[" * 200, "9" * 5000,
)  # fmt: skip
"""What has broken parsers, shells, templates and terminals before."""

ODD: Final[tuple[Any, ...]] = (
    None, True, False, 0, -1, 1, 2**31, 2**63, 10**400, 0.5, -0.0, 1e308, float("nan"), float("inf"), "", [], {}, (),
    [None], {"": None}, {"a": {"b": {}}}, b"x", {1: 2}, {1, 2}, object, [[]], "host", "true", "service:gateway",
    "/var/run/docker.sock:/s", {"source": "/", "type": "bind"},
)  # fmt: skip

MAX_STEPS: Final = 4


def mutate_text(text: str, random: Random, others: Sequence[str]) -> str:
    """`text` after one to MAX_STEPS changes; `others` are texts to splice with."""
    for _ in range(random.randint(1, MAX_STEPS)):
        at, to = sorted((random.randint(0, len(text)), random.randint(0, len(text))))
        match random.randrange(7):
            case 0:
                text = text[:at] + random.choice(NASTY) + text[at:]
            case 1:
                text = text[:at] + text[min(to, at + 20) :]
            case 2:
                text = text[:at] + text[at : at + 40] * random.randint(2, 5) + text[at:]
            case 3:
                text = text[:at] + random.choice(others)[at:]
            case 4:
                text = (
                    text[:at]
                    + chr(random.choice((random.randrange(128), random.randrange(0x3000))))
                    + text[at + 1 :]
                )
            case 5:
                lines = text.split("\n")
                random.shuffle(lines)
                text = "\n".join(lines)
            case _:
                words = text.split(" ")
                words[random.randrange(len(words))] = random.choice(NASTY)
                text = " ".join(words)
    return text


def mutate_bytes(text: str, random: Random, others: Sequence[str]) -> bytes:
    """Like `mutate_text`, sometimes with bytes that are no UTF-8."""
    content = bytearray(mutate_text(text, random, others).encode("utf-8", "surrogatepass"))
    if content and random.randrange(4) == 0:
        content[random.randrange(len(content))] = random.randrange(256)
    return bytes(content)


def mutate_data(value: Any, random: Random, keys: Sequence[str]) -> Any:
    """A copy of `value` with about one place changed; `keys` are names that mappings may get besides their own."""
    if isinstance(value, dict) and value and random.randrange(8):
        copy = dict(value)
        key = random.choice(list(copy))
        match random.randrange(8):
            case 0:
                del copy[key]
            case 1:
                copy[random.choice(keys)] = _odd(random)
            case 2:
                copy[mutate_text(str(key), random, keys)] = copy.pop(key)
            case _:
                copy[key] = mutate_data(copy[key], random, keys)
        return copy
    if isinstance(value, list) and value and random.randrange(8):
        items = list(value)
        at = random.randrange(len(items))
        items[at : at + 1] = [mutate_data(items[at], random, keys)] * random.randint(0, 2) or [_odd(random)]
        return items
    if isinstance(value, str) and random.randrange(3):
        return mutate_text(value, random, [value, *keys])
    return _odd(random)


def _odd(random: Random) -> Any:
    return random.choice(NASTY) if random.randrange(3) == 0 else random.choice(ODD)
