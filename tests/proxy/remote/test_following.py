"""What HAProxies on another node say reaches the loop where it hears those of its own machine."""

from __future__ import annotations

import os
import threading
import time
from contextlib import suppress
from pathlib import Path

import pytest

from reconciler.core.desired.stack import Site
from reconciler.proxy.haproxy.events import ServerEvents
from reconciler.proxy.haproxy.files import prepare
from reconciler.proxy.remote import following
from reconciler.proxy.remote.following import follow
from reconciler.proxy.remote.values import SiteKey
from tests.proxy.remote.agents import agent_in
from tests.proxy.remote.hostile import hostile, replying

SECONDS = 20.0


def config(state: Path) -> object:
    return lambda key: state / key.kind / key.name / "haproxy"


def test_a_line_of_an_agent_is_an_event_of_the_loop(tmp_path: Path) -> None:
    site = Site(tmp_path / "state" / "services" / "t", os.geteuid(), os.getegid())
    prepare(site)
    events, heard, stop = ServerEvents(), list[str](), threading.Event()
    followed = events.follow()
    events.listen(lambda line: f"vaultservice/t {line.decode()}", site)
    with agent_in(tmp_path / "agent") as agent:
        line = agent.line()
        mine = SiteKey(kind="services", name="t")
        # Of a site that nothing listens to, and of one that is not there.
        for key in (SiteKey(kind="gateways", name="t"), SiteKey(kind="services", name="other"), mine):
            agent.service.events._heard.append((key, "Server web/one is UP"))
        run = threading.Thread(target=follow, args=(line, config(tmp_path / "state"), stop))
        run.start()
        waiting = threading.Thread(target=lambda: heard.append(next(followed)), daemon=True)
        waiting.start()
        waiting.join(SECONDS)
        stop.set()
        agent.service.events._heard.append((mine, "the last one"))
        with agent.service.events._changed:
            agent.service.events._changed.notify_all()
        run.join(SECONDS)
        assert not run.is_alive()
        line.wire.close()
    assert heard == ["vaultservice/t Server web/one is UP"]
    with suppress(OSError):
        events.close()


def test_an_agent_that_is_away_is_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(following, "AWAY_SECONDS", 0.01)
    stop = threading.Event()
    with hostile(tmp_path, replying(value="nonsense")) as there:
        line = there.line()
        run = threading.Thread(target=follow, args=(line, config(tmp_path), stop))
        run.start()
        deadline = time.monotonic() + SECONDS
        while sum(heard.startswith(b"POST") for heard in there.heard) < 3:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        stop.set()
        run.join(SECONDS)
        assert not run.is_alive()
        line.wire.close()
