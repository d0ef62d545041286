"""Keeps secrets of `envFrom` out of all output: events, status, history, errors and the log.

Foreign text may quote a secret: a plugin's exception, the last log lines of a container, an error of Compose. So all text
that is stored or printed (both stores, the log, the command line's errors) is searched for known secrets, in the encodings
in which programs quote a value. `controller/secrets.py` knows the values.
"""

from __future__ import annotations

import base64
import html
import json
import re
import traceback
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from string import ascii_letters, digits
from typing import Final

from reconciler.api.errors import VaultError

MASK: Final = "[secret]"
SHORTEST: Final = 5
"""Characters from which a setting is taken for a secret: hiding every `true` or `8080` would hide the message."""

TELLING: Final = 16
"""Characters of a secret's begin or end that are hidden also without the rest, which a message may have cut off."""

INNER: Final = 40
"""Characters of a line that are hidden when they are any part of a secret; base64 is folded into lines of 60 to 76."""

_RUN: Final = r"[A-Za-z0-9+/_-]"
_FOLDED: Final = re.compile(rf"(?<!{_RUN}){_RUN}{{{TELLING},}}(?:(?:\r?\n|(?:\\r)?\\n)[ \t]*{_RUN}+)+")
"""Letters of base64 over several lines; a break may be escaped, as in JSON."""
_BREAK: Final = re.compile(r"(?:\r?\n|(?:\\r)?\\n)[ \t]*")
_LONG: Final = re.compile(rf"(?<!{_RUN}){_RUN}{{{INNER},}}")

_LEFT_IN_URLS: Final = ("", "/", "!'()*", "$&+,;=", "!#$&'()*+,/:;=?@")
"""What stays as it is besides letters, digits and `-._~`: by Go and others in a query, by Python in a path, by JavaScript
in a component, by Go before a host, by JavaScript in a whole URL."""


def redacted(text: str, secrets: Iterable[str]) -> str:
    """`text` with MASK for every secret in it, in all its spellings, and for what is left of one that was cut."""
    return without(text, longest_first(each for secret in secrets for each in spellings(secret)))


def redact(error: VaultError, secrets: Iterable[str]) -> None:
    """Remove every secret from an error, and drop its causes if they hold one, so that no traceback shows them."""
    known = tuple(secrets)
    whole = "".join(traceback.format_exception(error))
    if redacted(whole, known) != whole:
        error.message = redacted(error.message, known)
        error.args = (error.message,)
        error.__cause__ = error.__context__ = None


@lru_cache(maxsize=4096)
def spellings(secret: str) -> tuple[str, ...]:
    """How a secret may be written by programs; nothing for one that is too short to be hidden."""
    whole = secret.strip()
    lines = [line.strip() for line in whole.splitlines()]
    parts = {secret, whole, *lines} if len(lines) > 1 else {secret, whole}
    found = {each for part in parts if len(part) >= SHORTEST for each in _quoted(part)}
    if len(whole) >= SHORTEST:
        found.update(_in_base64(secret))
    return longest_first(found)


def _quoted(text: str) -> Iterator[str]:
    yield text
    yield repr(text)[1:-1]
    yield ascii(text)[1:-1]
    yield json.dumps(text, ensure_ascii=False)[1:-1]
    yield _in_go(json.dumps(text, ensure_ascii=False)[1:-1])
    yield (coded := json.dumps(text)[1:-1])
    # YAML's double quotes, as PyYAML writes them
    yield re.sub(r"\\u00([0-9a-f]{2})", lambda code: f"\\x{code[1].upper()}", coded)
    yield text.replace("$", "$$")
    yield text.replace("'", "''")  # YAML
    yield text.replace("'", "'\"'\"'")  # a shell, as Python quotes for it
    yield text.replace("'", r"'\''")  # a shell, as others do
    yield re.sub(r'([$`"\\])', r"\\\1", text)  # a shell's double quotes
    for safe in _LEFT_IN_URLS:
        yield (coded := _in_url(text, safe))
        yield (lower := re.sub("%[0-9A-F]{2}", lambda code: code[0].lower(), coded))
        yield coded.replace("%20", "+")
        yield lower.replace("%20", "+")
    yield (coded := html.escape(text))
    yield coded.replace("&quot;", "&#34;").replace("&#x27;", "&#39;")  # Go


def _in_go(json_text: str) -> str:
    """What Go makes of JSON, the engine and Compose among its programs: no mark of HTML stands as itself."""
    for mark in "&<>\u2028\u2029":
        json_text = json_text.replace(mark, f"\\u{ord(mark):04x}")
    return json_text


def _in_url(text: str, safe: str) -> str:
    kept = f"{ascii_letters}{digits}-._~{safe}".encode()
    return "".join(chr(byte) if byte in kept else f"%{byte:02X}" for byte in text.encode(errors="replace"))


def _in_base64(secret: str) -> Iterator[str]:
    """The part of its base64 that does not depend on what stands before and after it, for each of three positions."""
    # Half of a character has no bytes of its own; a container's environment has them all the same.
    content = secret.encode(errors="surrogatepass")
    for before in range(3):
        coded = base64.b64encode(bytes(before) + content).rstrip(b"=").decode()
        first = -(-before * 8 // 6)
        last = (before + len(content)) * 8 // 6
        if len(core := coded[first:last]) >= SHORTEST + 2:
            yield core
            yield core.replace("+", "-").replace("/", "_")


def longest_first(wanted: Iterable[str]) -> tuple[str, ...]:
    """Spellings in the order in which they are to be hidden, so that none that contains another is left in part."""
    return tuple(sorted(set(wanted), key=lambda text: (-len(text), text)))


def without(text: str, wanted: Sequence[str]) -> str:
    """`text` with MASK for these spellings, longest first, and for what is left of one that was cut."""
    if not wanted:
        return text
    known = tuple(wanted)
    text = _FOLDED.sub(lambda block: _unfolded(block[0], known), text)
    if len(known[0]) > INNER:
        text = _LONG.sub(lambda run: MASK if any(run[0] in each for each in known) else run[0], text)
    text = _masked(text, known)
    if text.rstrip().endswith(("…", "...")):
        for spelling in known:
            text = _without_cut_end(text, spelling)
    return text


def _unfolded(block: str, wanted: tuple[str, ...]) -> str:
    """The block as it is, or its lines as one if a secret goes over the end of a line."""
    whole = _BREAK.sub("", block)
    hidden = _masked(whole, wanted)
    return block if hidden == whole else hidden


def _masked(text: str, wanted: tuple[str, ...]) -> str:
    # Nearly all text has no secret, and then this is all that is done.
    if not any(end in text for end in _ends(wanted)):
        return text
    # First all that is whole: two spellings may begin alike.
    for spelling in wanted:
        text = text.replace(spelling, MASK)
    for spelling in wanted:
        if len(spelling) > TELLING:
            text = _without_rest(text, spelling)
    return text


@lru_cache(maxsize=256)
def _ends(wanted: tuple[str, ...]) -> tuple[str, ...]:
    """Begin and end of each spelling, of which a text has one if it has the spelling or what a cut has left of it."""
    return tuple({end for spelling in wanted for end in (spelling[:TELLING], spelling[-TELLING:])})


def _without_rest(text: str, spelling: str) -> str:
    """Without a part of a secret that is at least TELLING characters long and begins or ends it."""
    while (place := text.find(spelling[:TELLING])) >= 0:
        end = TELLING
        while end < len(spelling) and text[place + end : place + end + 1] == spelling[end]:
            end += 1
        text = text[:place] + MASK + text[place + end :]
    while (place := text.find(spelling[-TELLING:])) >= 0:
        start = TELLING
        while place and start < len(spelling) and text[place - 1] == spelling[-start - 1]:
            start, place = start + 1, place - 1
        text = text[:place] + MASK + text[place + start :]
    return text


def _without_cut_end(text: str, spelling: str) -> str:
    """Without the begin of a secret where the text was cut."""
    body = text.rstrip("…. \n")
    for length in range(min(len(spelling) - 1, len(body)), SHORTEST - 1, -1):
        if body.endswith(spelling[:length]):
            return body[: len(body) - length] + MASK + text[len(body) :]
    return text
