"""A secret that a plugin quotes reaches neither the message nor the traceback."""

from __future__ import annotations

import traceback

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.core.fragment import BuildError
from reconciler.core.redaction import MASK, redact, redacted


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
