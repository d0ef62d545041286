"""What an agent reads from a controller, and what a controller reads from an agent.

Between the two is TLS with certificates of both; these targets are what comes after it, from a peer that is compromised.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from random import Random
from typing import Any, Final

from reconciler.core.desired.stack import Site
from reconciler.proxy.base import NewServer
from reconciler.proxy.errors import ProxyAwayError, ProxyError
from reconciler.proxy.remote.ears import SiteEvents
from reconciler.proxy.remote.line import Line
from reconciler.proxy.remote.messages import Request
from reconciler.proxy.remote.serving import AgentService
from tests.fuzz.mutate import mutate_bytes, mutate_data

_SITE: Final = {"kind": "gateways", "name": "main", "by_root": False}
_SERVER: Final = {
    "name": "one", "address": "172.18.0.2:8000", "draining": False, "up": True, "sessions": 3, "since": 1.5,
    "check": "L7STS 503", "weight": 1,
}  # fmt: skip
_PROCESS: Final = {
    "pid": 12, "structure": "0123456789ab", "stopping": False, "uptime": 8.0, "serving": True, "servers": [_SERVER],
}  # fmt: skip
_LOADED: Final = {
    "identities": {"/cfg/tls/default.pem": "00FF 0"}, "lists": ["/cfg/tls/certificates.list"], "begun": [],
    "listed": [{"where": "/cfg/tls/certificates.list", "path": "/cfg/tls/a.pem", "hosts": ["a.test"], "lines": [1]}],
}  # fmt: skip
_CERTIFICATES: Final = {
    "default": "-----BEGIN", "served": [{"hosts": ["a.test"], "pem": "-----BEGIN", "challenge": False}]
}  # fmt: skip
_ADDED: Final = {
    "name": "one", "address": "172.18.0.2:8000", "trusted": True, "weight": 1, "options": "check inter 500ms",
}  # fmt: skip

EXCHANGES: Final[Sequence[tuple[dict[str, Any], Any]]] = (
    ({"do": "processes", "pool": "web"}, [_PROCESS, {**_PROCESS, "serving": False}]),
    ({"do": "serves", "pool": "web"}, True),
    ({"do": "add-servers", "pool": "web", "servers": [_ADDED]}, None),
    ({"do": "set-weights", "pool": "web", "weights": [["one", 3]]}, None),
    ({"do": "drain-servers", "pool": "web", "names": ["one"]}, None),
    ({"do": "delete-servers", "pool": "web", "names": ["one"], "force": True}, None),
    ({"do": "reload", "pool": "web", "expected": "0123", "every_pool": False}, None),
    ({"do": "read-maps", "names": ["routes"], "pid": 0}, {"routes": {"a.test/": "r|h001|-"}}),
    ({"do": "change-maps", "maps": {"routes": {"a.test/": "r|h001|-"}}}, None),
    ({"do": "set-entries", "maps": {"hold": {"h001": "500"}}}, None),
    ({"do": "led-to"}, ["h001", "-"]),
    ({"do": "pools"}, ["h001", "t002"]),
    ({"do": "activity", "pools": ["h001"]}, [{"idle": 3.5, "is_known": True, "open": 1}]),
    ({"do": "read-certificates"}, _LOADED),
    ({"do": "change-certificates", "certificates": _CERTIFICATES}, None),
    ({"do": "list-files"}, {"haproxy.cfg": "ab" * 32}),
    ({"do": "put-files", "files": {"tls/a.pem": "x"}, "gone": ["maps/routes.map"]}, None),
    ({"do": "events", "seconds": 0}, [[_SITE, "Server web/one is UP"]]),
    ({"do": "request-certificate"}, "-----BEGIN CERTIFICATE REQUEST-----\n"),
    ({"do": "install-certificate", "certificate": "-----BEGIN CERTIFICATE-----\n"}, None),
)
"""Each call, and a good answer to it."""

_KEYS: Final = (
    "id",
    "until",
    "site",
    "slot",
    "files",
    "call",
    "do",
    "pool",
    "names",
    "value",
    "failure",
    "kind",
)


def request(random: Random, directory: Path) -> None:
    """A request to an agent. Nothing that reaches a HAProxy or the disk is more than a value."""
    home = directory / "agent"
    service = AgentService(home, _Identity(), _EVENTS, lambda site, slot, seconds: _HAProxy(site, home))
    call, _ = random.choice(EXCHANGES)
    good = {
        "id": f"{random.getrandbits(128):032x}", "until": time.monotonic() + 5, "site": _SITE, "slot": 1, "call": call,
    }  # fmt: skip
    said = json.loads(service.answer(_mutated(good, random)))
    assert set(said) in ({"id", "now", "value"}, {"id", "now", "failure"})
    if "failure" in said:
        assert said["failure"]["kind"] in ("away", "failed", "understood", "late", "files")
        _printable(said["failure"]["message"])
    assert {each.name for each in directory.iterdir()} <= {"agent"}
    assert not home.exists() or {each.name for each in home.iterdir()} <= {"services", "gateways"}


def answer(random: Random, _: Path) -> None:
    """An answer of an agent. It is understood, or the agent of that node counts as one that does not answer."""
    asked, good = random.choice(EXCHANGES)
    call = Request.model_validate_json(json.dumps({"id": "0" * 32, "until": 1, "call": asked})).call
    line = Line(_Wire(random, good))  # type: ignore[arg-type]
    try:
        value = line.ask(call, time.monotonic() + 5)
    except ProxyError as error:
        _refused(error)
        return
    for text in _texts(value):
        assert len(text) < 100_000
    assert (value is None) == (call.answer is None)


def _refused(error: ProxyError) -> None:
    assert error.message.startswith("node node-2: ")
    _printable(error.message)
    assert len(error.message) < 3000


class _Identity:
    node = "node-2"

    def request(self) -> str:
        return "request"

    def install(self, certificate: str) -> None:
        assert certificate.isascii()


class _Peer:
    node = "node-2"


class _Wire:
    """Says what a compromised agent says."""

    peer = _Peer()

    def __init__(self, random: Random, value: Any) -> None:
        self._random = random
        self._value = value

    def exchange(self, method: str, path: str, body: bytes, until: float) -> bytes:
        good: dict[str, Any] = {"versions": [1], "node": "node-2", "now": 1.0}
        if method == "POST":
            good = {"id": json.loads(body)["id"], "now": 1.0, "value": self._value}
            if self._random.randrange(4) == 0:
                good["failure"] = {"kind": "failed", "message": "it does not"}
        elif self._random.randrange(4):
            return json.dumps(good).encode()
        return _mutated(good, self._random)


class _HAProxy:
    """Takes what an agent hands to HAProxy, and looks whether that is what it may be."""

    def __init__(self, site: Site, home: Path) -> None:
        assert site.directory.parent.parent == home
        assert site.directory.parent.name in ("services", "gateways")
        assert site.directory.name not in ("", ".", "..")

    def __getattr__(self, name: str) -> Callable[..., Any]:
        return lambda *arguments, **named: self._take(name, arguments)

    def _take(self, name: str, arguments: Sequence[Any]) -> Any:
        for text in _texts(arguments):
            # A command of HAProxy is one line, and ends at ";"; PEM has lines.
            assert text.isascii()
            assert name == "change_certificates" or ("\n" not in text and " <<" not in text)
            assert ";" not in text or name in ("change_maps", "set_entries")
        if name == "add_servers":
            new, options = arguments
            for server in new:
                assert isinstance(server, NewServer)
                assert not {*"\n;\\"} & {*options(server.name)}
        if name == "pool":
            return self
        raise ProxyAwayError("it is not running")


def _mutated(good: dict[str, Any], random: Random) -> bytes:
    if random.randrange(3) == 0:
        text = json.dumps(good)
        return mutate_bytes(text, random, [text, json.dumps({"call": {"do": "led-to"}})])
    data = mutate_data(good, random, _KEYS)
    return json.dumps(data, default=str, skipkeys=True).encode("utf-8", "surrogatepass")


def _texts(value: Any) -> Iterator[str]:
    """All texts in a value of calls."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, NewServer):
        yield from (value.name, value.address)
    elif isinstance(value, dict):
        yield from _texts(tuple(value.items()))
    elif isinstance(value, tuple | list | frozenset):
        for each in value:
            yield from _texts(each)
    elif hasattr(value, "pems"):
        yield from _texts(value.pems)


def _printable(text: str) -> None:
    raw = [character for character in text if not character.isprintable() and character != "\n"]
    assert not raw, f"{raw!r} would reach a terminal or a log"


_EVENTS: Final = SiteEvents()
