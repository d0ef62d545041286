"""A route as its author writes it: defaults, what is refused and why, and that no text gets through that says more."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from reconciler.api.model import AS_STORED
from reconciler.api.protection import RateLimit
from reconciler.api.route import Route
from reconciler.api.tcp import TcpRoute, UdpPort

WHOLE: dict[str, Any] = {
    "gateway": "main",
    "hostnames": ["app.example.org", "*.example.org"],
    "path": "/api",
    "stripPath": True,
    "port": 9000,
    "headers": {
        "request": {"set": {"X-Tenant": "a b"}, "remove": ["X-Debug"]},
        "response": {"set": {"Content-Security-Policy": "default-src 'self'"}, "remove": ["Server"]},
    },
    "cors": {
        "origins": ["https://o.test"],
        "methods": ["GET", "PUT"],
        "headers": ["X-Token"],
        "expose": ["ETag"],
        "credentials": True,
        "maxAge": "1h",
    },
    "compression": True,
    "maxBodySize": "10Mi",
    "timeouts": {"response": "5m", "tunnel": "1h"},
    "sticky": "cookie",
    "auth": {"basic": {"file": "users.htpasswd", "realm": "Area 51"}},
    "allowFrom": ["10.0.0.0/8", "::1"],
    "rateLimit": {"requests": 100, "window": "1m"},
    "maintenance": True,
    "tls": {"certificate": "acme", "redirect": True, "hsts": {"maxAge": "180d", "includeSubdomains": True}},
}


def route(**fields: Any) -> Route:
    return Route.model_validate({"hostnames": ["a.test"], **fields}, by_name=False, by_alias=True)


def test_a_hostname_is_enough() -> None:
    made = route()
    assert (made.gateway, made.path, made.strip_path, made.port) == (None, "/", False, None)
    assert (made.auth, made.allow_from, made.rate_limit, made.maintenance) == (None, (), None, False)
    assert (made.tls.certificate, made.tls.redirect, made.tls.hsts) == (None, True, None)


@pytest.mark.parametrize(
    "fields",
    [
        {},
        WHOLE,
        {"redirect": {"hostname": "b.test"}},
        {"auth": {"forward": {"url": "http://auth.test/"}}},
        {"auth": {"forward": {"service": "auth", "path": "/check"}}},
        {"tls": {"files": {"chain": "a.pem", "key": "a.key"}}},
        {"headers": {"request": {"remove": ["X-A"]}}},
    ],
    ids=lambda fields: next(iter(fields), "none"),
)
def test_a_route_is_read_as_it_was_stored(fields: dict[str, Any]) -> None:
    """In the store every field is there, also those that its author left out."""
    made = route(**fields)
    stored = made.model_dump_json(by_alias=True, exclude_none=True)

    assert Route.model_validate_json(stored, context=AS_STORED) == made


def test_a_whole_route_survives_being_written() -> None:
    made = route(**WHOLE)
    document = made.to_document()

    assert document["maxBodySize"] == "10Mi"
    assert document["cors"]["maxAge"] == "1h"
    assert {name: document[name] for name in WHOLE if name not in ("tls", "auth")} == {
        name: value for name, value in WHOLE.items() if name not in ("tls", "auth")
    }
    assert Route.model_validate_json(json.dumps(document)) == made


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"hostnames": []}, "at least 1 item"),
        ({"hostnames": ["a.test", "a.test"]}, "only once"),
        ({"hostnames": "a.test"}, "valid tuple"),
        ({"path": "/a/../b"}, "must be a path"),
        ({"stripPath": True}, "stripPath needs a path"),
        ({"appProtocol": "kubernetes.io/wss"}, "kubernetes.io/h2c"),
        ({"appProtocol": "kubernetes.io/h2c", "sticky": "cookie"}, "neither sticky nor compression"),
        ({"appProtocol": "kubernetes.io/h2c", "compression": True}, "neither sticky nor compression"),
        ({"port": 0}, "greater than or equal to 1"),
        ({"redirect": {}}, "must change the scheme, the hostname or the path"),
        ({"redirect": {"hostname": "a.test"}}, "must lead to another address"),
        ({"redirect": {"path": "/x"}}, "must lead to another address"),
        ({"redirect": {"hostname": "*.test"}}, "without '*'"),
        ({"redirect": {"hostname": "b.test"}, "sticky": "cookie"}, "sticky has no effect beside it"),
        (
            {"redirect": {"hostname": "b.test"}, "appProtocol": "kubernetes.io/h2c"},
            "app_protocol has no effect",
        ),
        ({"redirect": {"hostname": "b.test", "status": 303}}, "301, 302, 307 or 308"),
        ({"headers": {"request": {"set": {"Host": "x"}}}}, "must not change host"),
        ({"headers": {"request": {"set": {"X-Forwarded-For": "x"}}}}, "must not change x-forwarded-for"),
        ({"headers": {"response": {"remove": ["Transfer-Encoding"]}}}, "must not change transfer-encoding"),
        ({"headers": {"request": {"set": {"A": "x"}, "remove": ["a"]}}}, "every header only once"),
        ({"headers": {"request": {"set": {"A": "x\r\nB: y"}}}}, "printable ASCII"),
        ({"headers": {"request": {"set": {"A": 1}}}}, "valid string"),
        (
            {"headers": {"request": {"set": {"A": "x" * 3000}}, "response": {"set": {"B": "x" * 1100}}}},
            "at most 4096",
        ),
        ({"cors": {"origins": []}}, "at least 1 item"),
        ({"cors": {"origins": ["*"], "credentials": True}}, "without credentials"),
        ({"cors": {"origins": ["*", "https://a.test"]}}, "or a list of origins"),
        ({"cors": {"origins": ["*"], "methods": ["get"]}}, "'GET'"),
        ({"maxBodySize": "10 MB"}, 'such as "10Mi"'),
        ({"maxBodySize": 0}, "from 1 byte"),
        ({"timeouts": {"response": "100ms"}}, "between 1s and 24h"),
        ({"sticky": "ip"}, "'cookie'"),
        ({"auth": {}}, "either basic or forward"),
        ({"auth": {"basic": {"file": "x", "realm": '"'}}}, "a realm"),
        ({"auth": {"forward": {}}}, "either service or url"),
        ({"auth": {"forward": {"service": "auth", "url": "http://a"}}}, "either service or url"),
        ({"auth": {"forward": {"url": "http://a", "path": "/x"}}}, "write it into url"),
        ({"auth": {"forward": {"url": "https://a"}}}, "http:// address"),
        *(
            ({"auth": {"forward": {"url": "http://a", "responseHeaders": [name]}}}, "must not change")
            for name in ("Host", "content-length", "Transfer-Encoding", "X-Forwarded-For", "X-Request-ID")
        ),
        ({"auth": {"forward": {"url": "http://a", "responseHeaders": ["X-A", "x-a"]}}}, "only once"),
        ({"auth": {"forward": {"url": "http://a", "responseHeaders": ["X-A\n"]}}}, "name of a header"),
        ({"auth": {"forward": {"service": "auth", "timeout": "2m"}}}, "between 100ms and 1m"),
        ({"allowFrom": ["10.0.0.1/8"]}, "write 10.0.0.0/8"),
        ({"allowFrom": ["::1", "::1"]}, "only once"),
        ({"rateLimit": {"window": "1m"}}, "Field required"),
        ({"rateLimit": {"requests": 0}}, "greater than or equal to 1"),
        ({"rateLimit": {"requests": 1, "window": "5s"}}, "'10s'"),
        ({"maintenance": "yes"}, "valid boolean"),
        ({"tls": {"certificate": "files"}}, "needs files"),
        (
            {"tls": {"certificate": "acme", "files": {"chain": "c", "key": "k"}}},
            "not used with certificate: acme",
        ),
        ({"tls": {"certificate": "none", "hsts": {}}}, "needs a certificate"),
        ({"tls": {"hsts": {"preload": True}}}, "includeSubdomains"),
        ({"unknown": 1}, "not permitted"),
    ],
    ids=lambda value: json.dumps(value) if isinstance(value, dict) else "",
)
def test_what_a_route_cannot_mean_is_refused(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError) as refused:
        route(**fields)
    assert message in str(refused.value)


def test_a_redirect_may_go_to_another_path_host_or_scheme() -> None:
    assert route(redirect={"hostname": "b.test"}).redirect
    assert route(redirect={"scheme": "https"}).redirect
    assert route(path="/old", redirect={"path": "/new"}).redirect


def test_header_values_stay_out_of_logs() -> None:
    assert "hunter2" not in repr(route(headers={"request": {"set": {"Authorization": "hunter2"}}}))


def test_a_window_is_a_number_of_seconds() -> None:
    assert [RateLimit(requests=1, window=window).seconds for window in ("1s", "10s", "1m", "10m", "1h")] == [
        *(1, 10, 60, 600, 3600)
    ]


@pytest.mark.parametrize(
    "bad",
    [
        {},
        {"port": 2222},
        {"port": 0, "target": 22},
        {"port": 2222, "target": 22, "hostnames": ["A"]},
        {"port": 2222, "target": 22, "hostnames": ["a", "a"]},
        {"port": 2222, "target": 22, "allowFrom": ["x"]},
    ],
    ids=json.dumps,
)
def test_what_a_tcp_route_cannot_mean_is_refused(bad: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        TcpRoute.model_validate(bad, by_name=False, by_alias=True)


def test_tcp_and_udp_need_a_port_and_a_target() -> None:
    assert TcpRoute(port=2222, target=22).to_document()["target"] == 22
    assert UdpPort(port=53, target=5353).to_document() == {"port": 53, "target": 5353}


HOSTILE = st.text(st.characters(codec="utf-8"), max_size=40) | st.sampled_from(
    [
        "a\nserver x 1.2.3.4:80",
        "%[env(HOME)]",
        "${HOME}",
        "a;b",
        "a|b",
        "a b",
        '"',
        "'",
        "\\",
        "#",
        "\0",
        "<<",
        "a\r\nX: y",
    ]
)


@given(HOSTILE)
def test_no_text_reaches_a_map_that_is_more_than_one_word(text: str) -> None:
    """Of the fields that are written plainly; values of headers are encoded."""
    for field in ("hostnames", "path", "allowFrom"):
        try:
            made = route(**{field: text if field == "path" else [text]})
        except ValidationError:
            continue
        (value,) = (
            [made.path]
            if field == "path"
            else getattr(made, "hostnames" if field == "hostnames" else "allow_from")
        )
        assert value == text
        assert value.isascii()
        assert value.isprintable()
        assert not set(value) & set(" |;\"'\\#%$[]{}<>`")
