"""Names and passwords before a real HAProxy: who gets in, what the replica learns, and what a guesser gets."""

from __future__ import annotations

import base64
import socket
import threading
import time
import warnings
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from reconciler.core.routes.logins import Logins
from tests.proxy.haproxy.gateway.conftest import PROXIED, Answer, GatewayWorld

if TYPE_CHECKING:
    from tests.proxy.conftest import Replica

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)
    import crypt

pytestmark = pytest.mark.docker

SHA512 = "$6$saltsalt"
FAST = "$6$rounds=1000$salt"


def hashed(password: str, salt: str) -> str:
    """A hash of the C library."""
    return crypt.crypt(password, salt)


def basic(name: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{name}:{password}".encode()).decode()


_clients = iter(range(1, 60000))


def new_client() -> str:
    """An address that has made no request yet."""
    number = next(_clients)
    return f"10.{number >> 8}.{number & 255}.1"


@pytest.fixture
def guarded(front: GatewayWorld, replicas: dict[str, Replica]) -> Any:
    """Serve a.test with these logins, and return a function that makes a request of a client."""

    def serve(hashes: dict[str, str], realm: str = "Restricted", **settings: Any) -> Any:
        auth = {"basic": {"file": "/x", "realm": realm}}
        front.serve(
            {"hostnames": ["a.test"], "auth": auth, **settings},
            replicas=[replicas["one"], replicas["two"]],
            logins={"s.0": Logins(hashes)},
        )

        def ask(login: str | None = None, client: str = "", path: str = "/", **headers: Any) -> Answer:
            line = f"PROXY TCP4 {client or new_client()} 10.0.0.1 1000 80\r\n".encode()
            more: dict[str, Any] = {"Authorization": login} if login is not None else {}
            return front.get("a.test", path, port=PROXIED, before=line, **more, **headers)

        return ask

    return serve


HASHES = [
    SHA512,
    FAST,
    "$6$rounds=1001$abcdefghijklmnop",
    "$6$s",
    "$2b$04$abcdefghijklmnopqrstuu",
    "$2y$05$......................",
    "$2a$06$zzzzzzzzzzzzzzzzzzzzze",
]
PASSWORDS = [
    "secret",
    "",
    "a",
    "x" * 63,
    "y" * 64,
    "z" * 65,
    "p" * 71,
    "q" * 72,
    "pä:ss wörd\u2603",
    "0" * 129,
]


@pytest.mark.parametrize("salt", HASHES)
def test_each_hash_is_that_of_the_c_library(guarded: Any, salt: str) -> None:
    names = {f"u{number}": hashed(password, salt) for number, password in enumerate(PASSWORDS)}
    ask = guarded(names)
    for number, password in enumerate(PASSWORDS):
        assert ask(basic(f"u{number}", password)).status == 200, password
        assert ask(basic(f"u{number}", f"{password[:70]}!")).status == 401, password


def test_without_a_login_the_realm_is_asked_for(guarded: Any) -> None:
    answer = guarded({"ada": hashed("secret", FAST)}, realm="The vault. No-1")()

    assert answer.status == 401
    assert answer.headers["www-authenticate"] == 'Basic realm="The vault. No-1", charset="UTF-8"'


@pytest.mark.parametrize(
    "login",
    [
        "",
        "Basic",
        "Basic ",
        "Basic !!!",
        "Basic " + base64.b64encode(b"ada").decode(),
        "Basic " + base64.b64encode(b":").decode(),
        "Basic " + base64.b64encode(b"ada:\0").decode(),
        "Basic " + base64.b64encode(b"\xff\xfe:secret").decode(),
        "Bearer " + base64.b64encode(b"ada:secret").decode(),
        "Digest username=ada",
        basic("ada", "secret2"),
        basic("ada ", "secret"),
        basic("ADA", "secret"),
        basic("bob", "secret"),
        basic("", "secret"),
        basic("ada", "secret" * 60),
        basic("ada|", "secret"),
        basic("", ""),
    ],
)
def test_anything_else_is_refused(guarded: Any, login: str) -> None:
    assert guarded({"ada": hashed("secret", FAST)})(login).status == 401


def test_a_route_without_users_is_closed_to_all(guarded: Any) -> None:
    ask = guarded({})
    assert ask().status == 401
    assert ask(basic("ada", "secret")).status == 401


def test_a_replica_learns_the_name_and_neither_password_nor_forged_names(guarded: Any) -> None:
    ask = guarded({"ada": hashed("secret", FAST)})
    answer = ask(
        basic("ada", "secret"),
        **{
            "Remote-User": "root",
            "remote-groups": "admins",
            "REMOTE.USER": "root",
            "Remote+Email": "x",
            "X-Own": "1",
        },
    )
    assert answer.status == 200
    seen = {
        name: value
        for name, value in answer.seen.items()
        if "remote" in name or name in ("authorization", "x-own")
    }
    assert seen == {"remote-user": "ada", "x-own": "1"}


def test_an_open_route_of_the_same_service_believes_no_client(
    front: GatewayWorld, replicas: dict[str, Replica]
) -> None:
    front.serve(
        {"hostnames": ["a.test"], "auth": {"basic": {"file": "/x"}}},
        {"hostnames": ["a.test"], "path": "/slow"},
        {"hostnames": ["b.test"]},
        replicas=[replicas["one"]],
        logins={"s.0": Logins({})},
    )
    answer = front.get("b.test", Remote_User="root", REMOTE_GROUPS="admins", Authorization="Bearer mine")
    assert answer.status == 200
    assert [name for name in answer.seen if "remote" in name] == []
    assert answer.seen["authorization"] == "Bearer mine"


def test_a_route_whose_logins_are_unknown_is_closed(
    front: GatewayWorld, replicas: dict[str, Replica]
) -> None:
    closed = {"hostnames": ["a.test"], "auth": {"basic": {"file": "/x"}}}
    front.serve(closed, {"hostnames": ["b.test"]}, replicas=[replicas["one"]])

    assert front.get("a.test", Authorization=basic("ada", "secret")).status == 503
    assert front.get("b.test").status == 200


def test_logins_change_without_a_reload(guarded: Any, front: GatewayWorld) -> None:
    before = front.pids()
    ask = guarded({"ada": hashed("secret", FAST)})
    assert ask(basic("ada", "secret")).status == 200
    ask = guarded({"ada": hashed("other", FAST), "bob": hashed("bobs", FAST)})
    assert [ask(basic("ada", "secret")).status, ask(basic("ada", "other")).status] == [401, 200]
    assert ask(basic("bob", "bobs")).status == 200
    ask = guarded({"bob": hashed("bobs", FAST)})
    assert ask(basic("ada", "other")).status == 401
    assert front.pids() == before


def test_a_good_login_is_computed_once(guarded: Any) -> None:
    ask = guarded({"ada": hashed("secret", "$2b$08$abcdefghijklmnopqrstuu")})
    client = new_client()
    began = time.monotonic()
    assert ask(basic("ada", "secret"), client).status == 200
    first = time.monotonic() - began
    began = time.monotonic()
    for _ in range(20):
        assert ask(basic("ada", "secret"), client).status == 200
    # Twenty hashes would take twenty times as long.
    assert time.monotonic() - began < 10 * first


def test_a_guesser_is_stopped_and_no_one_else(guarded: Any) -> None:
    ask = guarded({"ada": hashed("secret", FAST), "bob": hashed("bobs", FAST)})
    guesser = new_client()
    assert ask(basic("bob", "bobs"), guesser).status == 200
    answers = [ask(basic("ada", f"guess{number}"), guesser) for number in range(14)]

    assert [each.status for each in answers] == [401] * 10 + [429] * 4
    assert answers[-1].headers["retry-after"] == "60"
    # Also the right one: else the answer would tell it. Those that have logged in there go on.
    assert ask(basic("ada", "secret"), guesser).status == 429
    assert ask(basic("bob", "bobs"), guesser).status == 200
    assert ask(basic("ada", "secret")).status == 200
    # A login that is remembered of another client, or of this one, is guessed no faster than that.
    for number in range(100):
        ask(basic("ada", f"more{number}"), guesser)
    assert ask(basic("bob", "bobs"), guesser).status == 429


def test_the_first_requests_of_a_client_may_come_together(guarded: Any) -> None:
    ask = guarded({"ada": hashed("secret", "$2b$07$bcdefghijklmnopqrstuvu")})
    client = new_client()
    with ThreadPoolExecutor(12) as pool:
        answers = [pool.submit(ask, basic("ada", "secret"), client) for _ in range(24)]
    assert {each.result().status for each in answers} == {200}


@pytest.mark.parametrize(("cost", "most"), [("08", 10), ("10", 5), ("12", 3)])
def test_fewer_guesses_where_each_takes_long(guarded: Any, cost: str, most: int) -> None:
    # No hash has to be computed to be refused: the failures are those of a cheap one.
    salts = {"cheap": hashed("secret", "$6$rounds=1000$many"), "dear": f"$2b${cost}$" + "a" * 53}
    ask = guarded(salts)
    client = new_client()
    assert {ask(basic("cheap", f"x{number}"), client).status for number in range(most)} == {401}
    assert ask(basic("dear", "x"), client).status == 429


def test_many_guesses_at_once_keep_others_out_of_nothing(guarded: Any, front: GatewayWorld) -> None:
    ask = guarded({"ada": hashed("secret", "$2b$05$abcdefghijklmnopqrstuu"), "bob": hashed("bobs", FAST)})
    client = new_client()
    assert ask(basic("bob", "bobs"), client).status == 200
    ended = threading.Event()
    statuses: list[int] = []

    def guess(client: str) -> None:
        number = 0
        while not ended.is_set():
            number += 1
            statuses.append(ask(basic("ada", f"{client}{number}"), client).status)

    with ThreadPoolExecutor(8) as pool:
        guessers = [
            pool.submit(guess, client) for client in [new_client()] * 4 + [new_client() for _ in range(4)]
        ]
        waits = []
        try:
            for _ in range(100):
                began = time.monotonic()
                assert ask(basic("bob", "bobs"), client).status == 200
                waits.append(time.monotonic() - began)
        finally:
            ended.set()
        for each in guessers:
            each.result()
    assert set(statuses) <= {401, 429, 503}
    print("slowest", max(waits), "median", sorted(waits)[50], len(statuses))
    assert sorted(waits)[50] < 1


def test_a_client_that_gives_up_leaves_nothing_behind(guarded: Any, front: GatewayWorld) -> None:
    ask = guarded({"ada": hashed("secret", "$2b$10$abcdefghijklmnopqrstuu"), "bob": hashed("bobs", FAST)})
    for number in range(40):
        with socket.create_connection((front.address, PROXIED), timeout=20) as connection:
            line = f"PROXY TCP4 {new_client()} 10.0.0.1 1000 80\r\n"
            head = f"GET / HTTP/1.1\r\nHost: a.test\r\nAuthorization: {basic('ada', str(number))}\r\n\r\n"
            connection.sendall((line + head).encode())
    began = time.monotonic()
    while ask(basic("bob", "bobs")).status != 200:
        assert time.monotonic() - began < 60
    print("after", time.monotonic() - began)


def test_a_page_of_another_origin_asks_without_a_login(guarded: Any, front: GatewayWorld) -> None:
    guarded({}, cors={"origins": ["https://b.test"], "credentials": True})
    answer = front.get(
        "a.test", method="OPTIONS", Origin="https://b.test", Access_Control_Request_Method="GET"
    )
    assert answer.status == 204
    answer = front.get("a.test", Origin="https://b.test")
    assert (answer.status, answer.headers["access-control-allow-origin"]) == (401, "https://b.test")
