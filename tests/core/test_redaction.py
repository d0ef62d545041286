"""A secret that a plugin quotes reaches neither the message nor the traceback."""

from __future__ import annotations

import base64
import html
import json
import re
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
    raise AssertionError(f"{secret!r} is a number")


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


PRINTABLE = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=8, max_size=24)
WITH_MARKS = st.builds(
    "".join, st.tuples(PRINTABLE, st.sampled_from(["'", "/", " ", "ü", '$`"\\', "%2F"]), PRINTABLE)
)


@given(
    WITH_MARKS,
    st.sampled_from(["", "/", "!'()*", "$&+,;=", "!#$&'()*+,/:;=?@"]),
    st.booleans(),
    st.booleans(),
)
def test_percent_encoding_is_hidden_in_either_case(secret: str, safe: str, lower: bool, plus: bool) -> None:
    coded = quote(secret, safe=safe + "-._~")
    if lower:
        coded = re.sub("%..", lambda code: code[0].lower(), coded)
    if plus:
        coded = coded.replace("%20", "+")
    assert redacted(f"GET /?key={coded}&x", [secret]) == f"GET /?key={MASK}&x"


@given(WITH_MARKS)
def test_what_is_quoted_for_a_shell_is_hidden(secret: str) -> None:
    single = "'" + secret.replace("'", "'\\''") + "'"
    double = '"' + re.sub(r'([$`"\\])', r"\\\1", secret) + '"'
    assert shlex.split(single) == shlex.split(shlex.quote(secret)) == [secret]
    assert redacted(f"+ login {single} {double}", [secret]) == f"+ login '{MASK}' \"{MASK}\""
    assert redacted(shlex.quote(secret), [secret]) in (MASK, f"'{MASK}'")


def determined(before: int, secret: bytes) -> slice:
    """Which letters of the base64 of some bytes and then a secret are those of the secret alone."""
    return slice(-(-before * 8 // 6), (before + len(secret)) * 8 // 6)


@given(
    secret=st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=12, max_size=300),
    before=st.integers(0, 150),
    after=st.integers(0, 60),
    width=st.sampled_from([60, 64, 76]),
    line_break=st.sampled_from(["\n", "\r\n", "\\n", "\\r\\n", "\n    "]),
    urlsafe=st.booleans(),
)
def test_base64_is_hidden_over_the_ends_of_lines(
    secret: str, before: int, after: int, width: int, line_break: str, urlsafe: bool
) -> None:
    encode = base64.urlsafe_b64encode if urlsafe else base64.b64encode
    whole = encode(b"\xff" * before + secret.encode() + b"\xff" * after).decode()
    core = whole[determined(before, secret.encode())]
    folded = line_break.join(whole[at : at + width] for at in range(0, len(whole), width))
    hidden = redacted(f"data: {folded}{line_break}done", [secret])
    assert MASK in hidden
    assert hidden.startswith("data: ")
    assert hidden.endswith("done")
    left = hidden.replace(line_break, "")
    assert not [at for at in range(len(core) - 5) if core[at : at + 6] in left]


def test_mime_of_the_standard_library_is_hidden() -> None:
    secret = "".join(chr(33 + (each * 7) % 90) for each in range(150))
    for before in range(60):
        text = base64.encodebytes(bytes(before) + secret.encode()).decode()
        assert "".join(redacted(text, [secret]).split()).strip("A=").count(MASK) == 1


def test_a_line_out_of_the_middle_of_a_long_secret_is_hidden() -> None:
    secret = "".join(chr(33 + (each * 7) % 90) for each in range(400))
    for line in base64.encodebytes(secret.encode()).decode().splitlines()[:-1]:
        assert redacted(f"12:00 | {line}", [secret]) == f"12:00 | {MASK}"


@pytest.mark.parametrize(
    "text",
    [
        "/var/lib/docker/overlay2/0123456789abcdef\nno such file\n",
        "-" * 80 + "\n" + "=" * 80 + "\nTitle",
        "a" * 200 + "\n" + "b" * 200,
        json.dumps("first_line_of_some_length\nsecond\r\nthird"),
    ],
)
def test_text_of_several_lines_without_a_secret_stays_as_it_is(text: str) -> None:
    assert redacted(text, ["hunter22" * 8, SECRET]) == text
