"""The conversation itself: framing, deadlines and addresses, with a socket of our own at the other end.

That HAProxy talks this way is shown where it is real, in test_haproxy.py; here are the ways in which it may not.
"""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from reconciler.core.desired.stack import Site
from reconciler.proxy.errors import ProxyAwayError, ProxyError
from reconciler.proxy.haproxy.socket import MAX_ANSWER, Master, Payload, ask, converse, process

Speak = Callable[[bytes], Master]


def master(directory: Path, seconds: float = 5) -> Master:
    """Slot 1 of a service in this directory; HAProxy's user is ours."""
    site = Site(directory, os.geteuid(), os.getegid())
    site.run.mkdir(parents=True, exist_ok=True)
    return Master(site, 1, time.monotonic() + seconds)


@pytest.fixture
def speak(tmp_path: Path) -> Iterator[Speak]:
    """Listen as slot 1 and answer one question with these bytes; without bytes never answer."""
    listener = socket.socket(socket.AF_UNIX)
    released = threading.Event()

    def serve(answer: bytes) -> None:
        connection, _ = listener.accept()
        with connection:
            while connection.recv(4096):
                pass
            if answer:
                connection.sendall(answer)
            else:
                released.wait(60)

    def start(answer: bytes) -> Master:
        made = master(tmp_path)
        listener.bind(str(made.site.run / "master-1.sock"))
        listener.listen()
        threading.Thread(target=serve, args=(answer,), daemon=True).start()
        return made

    yield start
    released.set()
    listener.close()


@pytest.mark.parametrize(
    ("said", "answers"),
    [
        (b"\n", ("",)),
        (b"\n\n", ("", "")),
        (b"No such server.\n\n", ("No such server.",)),
        (b"New server registered.\n\n\n\n", ("New server registered.", "", "")),
        (b"a\nb\n\n\nc\n\n", ("a\nb", "", "c")),
    ],
)
def test_an_answer_ends_at_an_empty_line(speak: Speak, said: bytes, answers: tuple[str, ...]) -> None:
    assert ask(speak(said), ["@1 x"] * len(answers)) == answers


@pytest.mark.parametrize("said", [b"", b"1.0\n\nhalf of an ans", b"1.0\n\n", b"1.0\n\n\n\n"])
def test_too_few_or_too_many_answers_are_an_error(speak: Speak, said: bytes) -> None:
    with pytest.raises(ProxyError, match=r"answers to 2 commands|did not answer"):
        ask(speak(said), ["show version", f"{process(9)} show info"], timeout=0.2)


@pytest.mark.parametrize(
    "said", [b"Can't find the target PID matching the prefix '@!9'\n", b"Can't connect to the target CLI!\n"]
)
def test_a_process_that_is_gone_is_away(speak: Speak, said: bytes) -> None:
    with pytest.raises(ProxyAwayError, match=r"Can't .* the target"):
        ask(speak(b"1.0\n\n" + said), ["show version", f"{process(9)} show info"])


def test_silence_ends_at_the_deadline(speak: Speak) -> None:
    began = time.monotonic()
    with pytest.raises(ProxyError, match=r'did not answer "show proc" in 0\.2 s'):
        converse(speak(b""), ["show proc"], timeout=0.2)
    assert time.monotonic() - began < 50


def test_a_socket_that_is_not_there_or_has_no_listener_is_away(tmp_path: Path) -> None:
    haproxy = master(tmp_path)
    with pytest.raises(ProxyAwayError, match="slot 1 is not running"):
        ask(haproxy, ["show proc"])

    left_behind = socket.socket(socket.AF_UNIX)
    left_behind.bind(str(haproxy.site.run / "master-1.sock"))
    left_behind.close()
    with pytest.raises(ProxyAwayError, match="slot 1 is not running"):
        ask(haproxy, ["show proc"])


def test_a_directory_deeper_than_a_socket_address_is_reached(speak: Speak, tmp_path: Path) -> None:
    shallow = speak(b"1.0\n\n")
    deep = tmp_path.joinpath(*["a-directory-with-a-long-name"] * 6)
    deep.parent.mkdir(parents=True)
    deep.symlink_to(shallow.site.directory)

    assert len(str(deep)) > 108
    assert ask(master(deep), ["show version"]) == ("1.0",)


def test_a_directory_that_is_not_there_is_away(tmp_path: Path) -> None:
    haproxy = master(tmp_path)
    haproxy.site.run.rmdir()
    with pytest.raises(ProxyAwayError):
        ask(haproxy, ["show version"])


@pytest.mark.parametrize("end", ["\n", ";", "\r", "\0", "\x1b", "\u2028"])
def test_a_value_cannot_add_a_command(tmp_path: Path, end: str) -> None:
    with pytest.raises(ProxyError, match="more than one command"):
        converse(master(tmp_path), [f"@1 disable server web/x{end}shutdown sessions server web/y"])


def test_an_answer_without_end_is_not_read_for_ever(speak: Speak) -> None:
    run = speak(b"x" * (MAX_ANSWER + 1))
    with pytest.raises(ProxyError, match="answers without end"):
        converse(run, ["show info"])


@pytest.mark.parametrize("line", ["", "a b\n", "a\n\n@1 show info", "a\r", "a\0"])
def test_a_line_of_a_payload_cannot_end_it(tmp_path: Path, line: str) -> None:
    with pytest.raises(ProxyError, match="more than a payload"):
        converse(master(tmp_path), [Payload("@1 add map @1 x", ("k v", line))])


def test_the_command_of_a_payload_is_one_command(tmp_path: Path) -> None:
    with pytest.raises(ProxyError, match="more than one command"):
        converse(master(tmp_path), [Payload("@1 add map; show info", ("k v",))])
