"""For how long a HAProxy has been silent, over several looks."""

from __future__ import annotations

from reconciler.proxy.silence import Silence


def test_silence_grows_from_look_to_look_and_ends_with_an_answer() -> None:
    now = 100.0
    silence = Silence(lambda: now)
    assert silence.of("files", ["a"]) == {"a": 0.0}
    now = 104.0
    assert silence.of("files", ["a", "b"]) == {"a": 4.0, "b": 0.0}
    now = 105.0
    assert silence.of("files", ["b"]) == {"b": 1.0}
    now = 106.0
    assert silence.of("files", ["a", "b"]) == {"a": 0.0, "b": 2.0}


def test_projects_do_not_know_each_other() -> None:
    now = 0.0
    silence = Silence(lambda: now)
    silence.of("files", ["a"])
    now = 3.0
    assert silence.of("other", []) == {}
    assert silence.of("files", ["a"]) == {"a": 3.0}
