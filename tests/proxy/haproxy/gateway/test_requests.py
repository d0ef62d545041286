"""What a gateway does with a request and its answer, seen from both sides of a real HAProxy."""

from __future__ import annotations

import http.client
import json
import ssl
import threading
import time
from http.client import HTTPSConnection
from typing import TYPE_CHECKING, Any

import pytest

from tests.proxy.haproxy.gateway.conftest import HTTPS, PROXIED, Answer, GatewayWorld

if TYPE_CHECKING:
    from tests.proxy.conftest import Replica

pytestmark = pytest.mark.docker

MADE_UP = "6.6.6.6"
CLIENT = "9.9.9.9"


@pytest.fixture
def served(front: GatewayWorld, replicas: dict[str, Replica]) -> Any:
    """Serve one route of a.test with these settings, and return the gateway."""

    def serve(**settings: Any) -> GatewayWorld:
        front.serve({"hostnames": ["a.test"], **settings}, replicas=[replicas["one"], replicas["two"]])
        return front

    return serve


def test_a_replica_learns_where_a_request_came_from_and_nothing_that_was_made_up(served: Any) -> None:
    front = served()
    # From a proxy that is trusted: the engine's bridge.
    answer = front.get(
        "a.test:8443",
        X_Forwarded_For=f"{MADE_UP}, {CLIENT}",
        X_Forwarded_Proto="https",
        X_Forwarded_Host="evil.test",
        X_Forwarded_Evil="1",
        X_Real_IP=MADE_UP,
        Forwarded=f"for={MADE_UP}",
        Remote_Addr=MADE_UP,
        X_Request_ID="order-7",
    )

    about = {
        name: value
        for name, value in answer.seen.items()
        if "forward" in name or "real" in name or "addr" in name
    }
    assert about == {
        "x-forwarded-for": CLIENT,
        "x-forwarded-proto": "https",
        "x-forwarded-host": "a.test:8443",
        "x-forwarded-port": "8443",
    }
    assert json.loads(answer.body)["request_id"] == "order-7"
    assert answer.headers["x-request-id"] == "order-7"


def test_only_trusted_proxies_are_believed(served: Any) -> None:
    front = served()
    # PROXY protocol of the trusted bridge: this client is not trusted itself.
    line = f"PROXY TCP4 {CLIENT} 10.0.0.1 1000 80\r\n".encode()
    answer = front.get(
        "a.test", port=PROXIED, before=line, X_Forwarded_For=MADE_UP, X_Forwarded_Proto="https"
    )

    assert answer.seen["x-forwarded-for"] == CLIENT
    assert answer.seen["x-forwarded-proto"] == "http"
    assert answer.seen["x-forwarded-port"] == "80"


def test_a_trusted_proxy_has_to_send_the_protocol_that_was_agreed(served: Any) -> None:
    front = served()
    with pytest.raises((ConnectionError, http.client.HTTPException)):
        front.get("a.test", port=PROXIED)


def test_proxies_in_a_row_are_followed_to_the_client(served: Any) -> None:
    answer = served().get("a.test", X_Forwarded_For=f"{MADE_UP}, {CLIENT}, 172.16.9.9, 172.16.8.8")

    assert answer.seen["x-forwarded-for"] == CLIENT


@pytest.mark.parametrize(
    ("asked", "seen"),
    [
        ("/api", "/"),
        ("/api/", "/"),
        ("/api/echo?x=/api/", "/echo"),
        ("/api//echo", "/echo"),
        ("/api/api/echo", "/api/echo"),
    ],
)
def test_a_path_is_stripped_once(served: Any, asked: str, seen: str) -> None:
    front = served(path="/api", stripPath=True)
    answer = front.get(
        "a.test", asked, method="POST" if "echo" in seen else "GET", body=b"x" if "echo" in seen else None
    )

    assert answer.status == (404 if seen == "/api/echo" else 200)
    if seen == "/":
        assert answer.seen["x-forwarded-prefix"] == "/api"


@pytest.mark.parametrize("asked", ["/%61pi/healthz", "//api/healthz", "/api;x=1/healthz"])
def test_a_path_that_is_not_written_as_its_prefix_is_not_stripped(served: Any, asked: str) -> None:
    assert served(path="/api", stripPath=True).get("a.test", asked).status == 400


def test_a_path_that_is_not_stripped_reaches_the_replica_as_it_was_sent(served: Any) -> None:
    assert served().get("a.test", "//healthz").status == 404
    assert served().get("a.test", "/%68ealthz").status == 200


def test_headers_are_set_and_removed_in_both_directions(served: Any) -> None:
    value = "default-src 'self'; x=\"a, b>c%20<d\" \\ ${HOME} %[src]"
    front = served(
        headers={
            "request": {"set": {"X-Tenant": value, "Accept": "text/plain"}, "remove": ["X-Debug"]},
            "response": {"set": {"X-Frame-Options": "DENY", "X-Policy": value}, "remove": ["X-Replica"]},
        }
    )
    answer = front.get("a.test", X_Debug="1", X_Tenant="mine", Accept="a")

    assert (answer.seen["x-tenant"], answer.seen["accept"]) == (value, "text/plain")
    assert "x-debug" not in answer.seen
    assert (answer.headers["x-frame-options"], answer.headers["x-policy"]) == ("DENY", value)
    assert "x-replica" not in answer.headers


def test_answers_carry_security_headers(served: Any) -> None:
    answer = served().get("a.test")

    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["x-frame-options"] == "SAMEORIGIN"
    assert "server" not in answer.headers


@pytest.mark.parametrize(
    ("allowed", "status"),
    [
        (["172.16.0.0/12"], 200),
        (["10.0.0.0/8", "172.16.0.0/12"], 200),
        (["0.0.0.0/0"], 200),
        (["10.0.0.0/8"], 403),
        (["::/0"], 403),
        (["2001:db8::/32"], 403),
    ],
)
def test_only_clients_of_these_networks_may_ask(served: Any, allowed: list[str], status: int) -> None:
    assert served(allowFrom=allowed).get("a.test").status == status


@pytest.mark.parametrize(
    ("client", "status"),
    [("2001:db8::1", 200), ("2001:db9::1", 403), ("2002:0a01:0203::1", 403), ("10.1.2.3", 200)],
)
def test_a_client_behind_a_trusted_proxy_is_the_one_that_is_judged(
    served: Any, client: str, status: int
) -> None:
    front = served(allowFrom=["2001:db8::/32", "10.1.0.0/16"])

    assert front.get("a.test", X_Forwarded_For=client).status == status


def test_networks_of_one_route_do_not_open_another(front: GatewayWorld, replicas: dict[str, Replica]) -> None:
    front.serve(
        {"hostnames": ["a.test"], "allowFrom": ["172.16.0.0/12"]},
        {"hostnames": ["b.test"], "allowFrom": ["10.0.0.0/8"]},
        {"hostnames": ["c.test"], "allowFrom": ["0.0.0.0/0"]},
        replicas=[replicas["one"]],
    )

    assert [front.get(host).status for host in ("a.test", "b.test", "c.test")] == [200, 403, 200]


def test_a_client_that_asks_too_often_is_told_when_to_come_back(served: Any) -> None:
    front = served(rateLimit={"requests": 3, "window": "10s"})
    asked = [front.get("a.test", X_Forwarded_For="9.9.1.1") for _ in range(5)]

    assert [answer.status for answer in asked] == [200, 200, 200, 429, 429]
    assert asked[4].headers["retry-after"] == "10"
    assert front.get("a.test", X_Forwarded_For="9.9.1.2").status == 200


def test_clients_of_one_ipv6_network_are_one_client(served: Any) -> None:
    front = served(rateLimit={"requests": 1, "window": "1m"})

    asked = [front.get("a.test", X_Forwarded_For=f"2001:db8:0:1::{host}").status for host in (1, 2)]
    assert asked == [200, 429]
    assert front.get("a.test", X_Forwarded_For="2001:db8:0:2::1").status == 200


def test_maintenance_is_a_page_with_or_without_replicas(served: Any, front: GatewayWorld) -> None:
    answer = served(maintenance=True).get("a.test")

    assert (answer.status, answer.headers["retry-after"]) == (503, "300")
    assert b"being maintained" in answer.body


def test_a_stopped_service_answers_at_once(front: GatewayWorld) -> None:
    front.serve({"hostnames": ["a.test"]}, hold=20.0, is_stopped=True)
    began = time.monotonic()
    answer = front.get("a.test")

    assert answer.status == 503
    assert b"The service is stopped" in answer.body
    assert time.monotonic() - began < 10


@pytest.mark.parametrize("auth", [{"basic": {"file": "x"}}, {"forward": {"service": "auth"}}])
def test_a_route_whose_login_cannot_be_checked_lets_nobody_in(served: Any, auth: dict[str, Any]) -> None:
    assert served(auth=auth).get("a.test", Authorization="Basic eDp5").status == 503


@pytest.mark.parametrize(
    ("redirect", "asked", "location", "status"),
    [
        ({"hostname": "b.test"}, "/x?y=1", "http://b.test/x?y=1", 308),
        ({"hostname": "b.test", "scheme": "https", "status": 301}, "/", "https://b.test/", 301),
        ({"scheme": "https", "status": 302}, "/x", "https://a.test/x", 302),
        ({"path": "/new", "status": 307, "hostname": "b.test"}, "/old?x", "http://b.test/new", 307),
    ],
)
def test_a_redirect_changes_what_it_names(
    served: Any, redirect: dict[str, Any], asked: str, location: str, status: int
) -> None:
    answer = served(redirect=redirect).get("a.test", asked)

    assert (answer.status, answer.headers["location"]) == (status, location)


def test_plain_http_goes_to_https_where_a_route_has_a_certificate(served: Any) -> None:
    front = served(tls={"certificate": "acme"})
    answer = front.get("a.test", "/x?y")

    assert (answer.status, answer.headers["location"]) == (308, f"https://a.test:{HTTPS}/x?y")
    assert front.get("a.test:8080", "/").headers["location"] == f"https://a.test:{HTTPS}/"
    assert front.get("a.test", X_Forwarded_Proto="https").status == 200


def test_browsers_are_told_to_use_https_by_https_only(served: Any) -> None:
    front = served(tls={"certificate": "acme", "redirect": False, "hsts": {"includeSubdomains": True}})

    assert "strict-transport-security" not in front.get("a.test").headers
    told = front.get("a.test", X_Forwarded_Proto="https").headers["strict-transport-security"]
    assert told == "max-age=15552000;includeSubDomains"


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        ({"body": b"1234"}, 200),
        ({"body": b"12345"}, 413),
        ({"body": b"1\r\nx\r\n0\r\n\r\n", "Transfer_Encoding": "chunked"}, 411),
    ],
)
def test_a_body_has_a_largest_size(served: Any, sent: dict[str, Any], status: int) -> None:
    assert served(maxBodySize=4).get("a.test", "/echo", method="POST", **sent).status == status


def cors(answer: Answer) -> dict[str, str]:
    return {
        name.removeprefix("access-control-"): value
        for name, value in answer.headers.items()
        if name.startswith("access-control-")
    }


def test_a_preflight_is_answered_without_a_replica(front: GatewayWorld) -> None:
    front.serve(
        {
            "hostnames": ["a.test"],
            "cors": {
                "origins": ["https://o.test"],
                "methods": ["PUT"],
                "headers": ["X-T"],
                "credentials": True,
            },
        },
        hold=0.0,
    )
    ask: dict[str, Any] = {"Access_Control_Request_Method": "PUT"}
    answer = front.get("a.test", method="OPTIONS", Origin="https://o.test", **ask)

    assert answer.status == 204
    assert cors(answer) == {
        "allow-origin": "https://o.test",
        "allow-credentials": "true",
        "allow-methods": "PUT",
        "allow-headers": "X-T",
        "max-age": "600",
    }
    assert not cors(front.get("a.test", method="OPTIONS", Origin="https://evil.test", **ask))


def test_answers_say_which_page_may_read_them(served: Any) -> None:
    front = served(cors={"origins": ["https://o.test"], "expose": ["ETag"]})

    assert cors(front.get("a.test", Origin="https://o.test")) == {
        "allow-origin": "https://o.test",
        "expose-headers": "ETag",
    }
    assert not cors(front.get("a.test", Origin="https://o.test.evil"))
    assert not cors(front.get("a.test"))
    assert front.get("a.test").headers["vary"] == "Origin"
    assert cors(served(cors={"origins": ["*"]}).get("a.test", Origin="https://any.test")) == {
        "allow-origin": "*"
    }


def test_a_sticky_route_keeps_a_client_at_its_replica(served: Any) -> None:
    front = served(sticky="cookie")
    first = front.get("a.test")
    cookie = first.headers["set-cookie"].partition(";")[0]

    assert {front.get("a.test", Cookie=cookie).headers["x-replica"] for _ in range(8)} == {
        first.headers["x-replica"]
    }
    assert {front.get("a.test").headers["x-replica"] for _ in range(8)} == {"one", "two"}


def test_a_route_that_is_not_sticky_sets_no_cookie(served: Any) -> None:
    assert "set-cookie" not in served().get("a.test").headers


def test_a_compressed_route_compresses_texts(served: Any) -> None:
    front = served(compression=True)

    assert front.get("a.test", Accept_Encoding="gzip").headers["content-encoding"] == "gzip"
    assert "content-encoding" not in front.get("a.test").headers
    assert "content-encoding" not in served().get("a.test", Accept_Encoding="gzip").headers


def test_a_route_has_a_timeout_of_its_own(served: Any) -> None:
    began = time.monotonic()
    answer = served(timeouts={"response": "1s"}).get("a.test", "/slow?ms=8000")

    assert answer.status == 504
    assert 1 <= time.monotonic() - began < 7


def test_a_request_waits_for_the_first_replica(front: GatewayWorld, replicas: dict[str, Replica]) -> None:
    front.serve({"hostnames": ["a.test"]})
    answers: list[Answer] = []
    client = threading.Thread(target=lambda: answers.append(front.get("a.test")))
    client.start()
    time.sleep(0.5)
    assert client.is_alive()

    front.serve({"hostnames": ["a.test"]}, replicas=[replicas["one"]])

    client.join(20)
    assert [answer.status for answer in answers] == [200]


def test_a_request_waits_no_longer_than_its_service_says(front: GatewayWorld) -> None:
    front.serve({"hostnames": ["a.test"]}, hold=0.3)
    began = time.monotonic()

    assert front.get("a.test").status == 503
    assert 0.3 <= time.monotonic() - began < 5


def test_https_has_the_certificate_that_is_there_from_the_start(front: GatewayWorld, served: Any) -> None:
    served()
    connection = HTTPSConnection(front.address, HTTPS, timeout=20, context=ssl._create_unverified_context())
    connection.request("GET", "/", headers={"Host": "a.test"})
    answer = connection.getresponse()
    seen = {name.lower(): value for name, value in json.loads(answer.read())["headers"].items()}
    connection.close()

    assert (seen["x-forwarded-proto"], seen["x-forwarded-port"]) == ("https", "443")


def test_a_client_cannot_choose_what_a_rule_looks_up(served: Any) -> None:
    front = served(cors={"origins": ["https://o.test"]}, allowFrom=["172.16.0.0/12"])

    for origin in ("*", "https://o.test|x", "s.0|https://o.test", ""):
        assert not cors(front.get("a.test", Origin=origin))
    for host in ("a.test|", "*.test", "", "a.test/", "a.test#", "[::1]", "a.test\x7f"):
        assert front.get(host).status in (400, 404)
