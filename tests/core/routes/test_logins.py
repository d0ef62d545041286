"""htpasswd files: what is read, what is refused and where, and that no message shows a hash."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.core.routes.logins import Logins, LoginsError, parse_logins

SHA512 = "$6$saltsalt$" + "Ab./0" * 17 + "z"
ROUNDS = "$6$rounds=20000$s$" + "Ab./0" * 17 + "z"
BCRYPT = "$2y$05$" + "abcde" * 10 + "abc"
CODES = "hash-that-nobody-may-see"


def test_reads_names_and_hashes() -> None:
    text = f"# people\n\nada:{SHA512}\r\nbob smith:{BCRYPT}\ncarl@example.org:{ROUNDS}:a comment\n  \n"
    assert parse_logins(text, "f").hashes == {"ada": SHA512, "bob smith": BCRYPT, "carl@example.org": ROUNDS}
    assert parse_logins("", "f").hashes == {}


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        (CODES, "has no ':'; a line is NAME:HASH"),
        (f":{SHA512}", "has no name"),
        (f"a\tb:{SHA512}", "has no name"),
        (f"{'x' * 129}:{SHA512}", "has no name"),
        (f"ada:{BCRYPT}", "has a name that another line has as well"),
        (f"eve:{CODES}", "has no hash, and not one of bcrypt or SHA-512"),
        ("eve:", "has no hash"),
        (f"eve:$apr1${CODES}", "has a hash of MD5 (apr1)"),
        (f"eve:{{SHA}}{CODES}", "has a hash of SHA-1"),
        (f"eve:$5$x${CODES}", "has a hash of SHA-256"),
        (f"eve:$y$j9T${CODES}", "has a hash of yescrypt"),
        (f"eve:$2x$05${CODES}", "has a hash of a faulty bcrypt"),
        (f"eve:$argon2id${CODES}", "has a hash of Argon2"),
        (f"eve:{BCRYPT[:-1]}", "has no hash"),
        (f"eve:{BCRYPT} ", "has no hash"),
        (f"eve:{BCRYPT.replace('05', '13')}", "cost 13, which is not from 4 to 12"),
        (f"eve:{BCRYPT.replace('05', '03')}", "cost 3, which"),
        (
            f"eve:{SHA512.replace('saltsalt', 'rounds=100001$x')}",
            "100001 rounds, which is not from 1000 to 100000",
        ),
        (f"eve:{SHA512.replace('saltsalt', 'rounds=10$x')}", "10 rounds"),
        (f"eve:{SHA512.replace('saltsalt', 'a|b c')}", "has no hash"),
        (f"eve:{SHA512[:-1]}\u00e9", "has no hash"),
    ],
)
def test_a_bad_line_is_named_and_not_shown(line: str, problem: str) -> None:
    with pytest.raises(LoginsError) as error:
        parse_logins(f"ada:{SHA512}\n\n{line}\n", "/etc/users")
    assert str(error.value).startswith("/etc/users:3: ")
    assert problem in str(error.value)
    for hidden in (CODES, SHA512[-20:], BCRYPT[-20:], "eve"):
        assert hidden not in str(error.value)


def test_no_representation_shows_a_hash() -> None:
    assert "$" not in repr(Logins({"ada": SHA512}))


@pytest.mark.parametrize(
    ("hashes", "decoy"),
    [
        ({}, "$6$rounds=5000$"),
        ({"a": SHA512}, "$6$rounds=5000$"),
        ({"a": SHA512, "b": ROUNDS}, "$6$rounds=20000$"),
        ({"a": BCRYPT, "b": BCRYPT, "c": ROUNDS}, "$2b$05$"),
    ],
)
def test_an_unknown_name_takes_as_long_as_a_known_one(hashes: dict[str, str], decoy: str) -> None:
    made = Logins(hashes).decoy
    assert made.startswith(decoy)
    # It is read by what reads the others.
    assert parse_logins(f"x:{made}", "f").hashes == {"x": made}


@given(st.text(max_size=200))
def test_any_text_is_read_or_refused(text: str) -> None:
    with suppress(LoginsError):
        for name, hashed in parse_logins(f"{text}:{SHA512}", "f").hashes.items():
            assert name.isprintable()
            assert ":" not in name
            assert hashed.isascii()
            assert " " not in hashed
