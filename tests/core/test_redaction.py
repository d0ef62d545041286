"""A secret that a plugin quotes reaches neither the message nor the traceback."""

from __future__ import annotations

import base64
import html
import json
import shlex
import traceback
from urllib.parse import quote, quote_plus

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from reconciler.core.compose.fragment import BuildError
from reconciler.core.redaction import MASK, TELLING, redact, redacted


@pytest.mark.parametrize("secret", ["hunter22", 'it\'s\n"it"', "pa$$word", "ünïcode\x1b"])
def test_a_secret_is_hidden_however_it_was_quoted(secret: str) -> None:
    text = f"invalid literal: {secret!r}, {secret}, {secret.replace('$', '$$')}; see README"
    hidden = redacted(text, [secret])
    assert hidden.startswith("invalid literal: ")
    assert hidden.count(MASK) == 3
    assert hidden.endswith("; see README")


def test_short_settings_stay_readable() -> None:
    assert redacted("port 8080 is true", ["8080", "true", ""]) == "port 8080 is true"


def test_a_secret_inside_of_another_one_leaves_nothing() -> None:
    assert redacted("abcdefghij", ["cdefg", "abcdefghij"]) == MASK


@given(st.lists(st.text(alphabet="abc", min_size=5), max_size=4))
def test_no_secret_is_left(secrets: list[str]) -> None:
    hidden = redacted(" ".join(secrets), secrets)
    assert not [secret for secret in secrets if secret in hidden]


def failing(secret: str) -> BuildError:
    try:
        try:
            int(secret)
        except ValueError as error:
            raise BuildError(f"plugin 'p' is broken: {error}") from error
    except BuildError as error:
        return error


def test_neither_message_nor_traceback_has_it() -> None:
    error = failing("hunter22")
    assert "hunter22" in str(error)
    redact(error, ["hunter22"])
    assert (
        str(error)
        == error.message
        == f"plugin 'p' is broken: invalid literal for int() with base 10: '{MASK}'"
    )
    assert "hunter22" not in "".join(traceback.format_exception(error))


def test_an_error_without_secrets_keeps_its_causes() -> None:
    error = failing("word")
    redact(error, ["hunter22"])
    assert error.__cause__ is not None


SECRET = "p@ss 'w0rd'/ü&<x>"


@pytest.mark.parametrize(
    "spelt",
    [
        SECRET,
        repr(SECRET),
        json.dumps(SECRET),
        json.dumps(SECRET, ensure_ascii=False),
        yaml.safe_dump(SECRET),
        shlex.quote(SECRET),
        quote(SECRET),
        quote(SECRET, safe=""),
        quote_plus(SECRET),
        html.escape(SECRET),
        # Go's encoding/json and html/template
        json.dumps(SECRET, ensure_ascii=False)
        .replace("&", r"\u0026")
        .replace("<", r"\u003c")
        .replace(">", r"\u003e"),
        html.escape(SECRET).replace("&#x27;", "&#39;"),
        base64.b64encode(SECRET.encode()).decode(),
        base64.b64encode(f"u:{SECRET}".encode()).decode(),
        base64.b64encode(f"me:{SECRET}".encode()).decode(),
        base64.b64encode(f"you:{SECRET}".encode()).decode(),
        base64.urlsafe_b64encode(f"user:{SECRET}".encode()).decode(),
    ],
)
def test_a_secret_is_hidden_in_the_spellings_of_programs(spelt: str) -> None:
    hidden = redacted(f"cannot use {spelt} as a number", [SECRET])
    assert MASK in hidden
    # What is left is what stands around it: no three characters of the secret in a row.
    left = hidden.replace(MASK, "").removeprefix("cannot use ").removesuffix(" as a number")
    assert len(left) <= 12, hidden
    assert "w0rd" not in left


def test_a_secret_of_several_lines_is_hidden_line_by_line() -> None:
    key = "-----BEGIN KEY-----\nMIIEvQIBADANBg\nkqhkiG9w0BAQ\n-----END KEY-----\n"
    log = "\n".join(f"12:00:0{number} | {line}" for number, line in enumerate(key.splitlines()))
    hidden = redacted(log, [key])
    assert hidden == "\n".join(f"12:00:0{number} | {MASK}" for number in range(4))


@pytest.mark.parametrize("length", [20, 60, 200])
def test_what_was_cut_off_leaves_nothing(length: int) -> None:
    secret = "".join(chr(33 + (each * 7) % 90) for each in range(400))
    for message in (f"invalid literal: '{secret[:length]}", f"…{secret[-length:]}' is no number"):
        hidden = redacted(message, [secret])
        assert MASK in hidden
        assert secret[:TELLING] not in hidden
        assert secret[-TELLING:] not in hidden
    assert redacted(f"no use for {secret[:7]}…", [secret]) == f"no use for {MASK}…"
