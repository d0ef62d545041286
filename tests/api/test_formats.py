from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from reconciler.api.formats import (
    EnvName,
    FilePath,
    HeaderName,
    HeaderText,
    Hostname,
    HttpUrl,
    ImageReference,
    LabelKey,
    LabelValue,
    ListenerName,
    PathPrefix,
    PluginSlug,
    Realm,
    Reason,
    RouteHostname,
    ServiceName,
    UrlPath,
)

GOOD: list[tuple[Any, list[str]]] = [
    (ServiceName, ["a", "files", "a-1", "a" * 40]),
    (PluginSlug, ["whoami", "my-service", "a1"]),
    (Hostname, ["localhost", "example.org", "10.0.0.1", "A-b.c"]),
    (UrlPath, ["/", "/healthz", "/a/b?c=d&e=%20", "/~x/@y", "/a" * 128]),
    (
        ImageReference,
        ["haproxy:3.0", "haproxy", "a/b/c:1", "localhost:5000/x:y", "h.io/a@sha256:" + "0" * 64],
    ),
    (LabelKey, ["team", "example.org/team", "a_b.c"]),
    (LabelValue, ["", "x", "a_b-c.d", "x" * 63]),
    (EnvName, ["A", "_a", "PAPERLESS_URL", "a.b-c"]),
    (FilePath, ["files.env", "../secrets/files.env", "with space.env", "ü.env"]),
    (Reason, ["Ready", "RolloutComplete", "A"]),
    (
        RouteHostname,
        ["localhost", "a.example.org", "*.example.org", "*.localhost", "xn--bcher-kva.example", "10.0.0.1"],
    ),
    (PathPrefix, ["/", "/api", "/api/", "/a/b.c/~d", "/.well-known/x", "/..a", "/@user:x,y"]),
    (HeaderName, ["Host", "X-Frame-Options", "a"]),
    (
        HeaderText,
        ["", "x", "a b", "default-src 'self'; img-src *", '"quoted" \\ %41 ${X} %[src]', "x" * 4096],
    ),
    (HttpUrl, ["http://auth", "http://auth.example.org:9091/verify?a=b", "http://[::1]:80/"]),
    (Realm, ["Restricted", "Area 51", "a"]),
    (ListenerName, ["http", "a1", "a" * 20]),
]
BAD: list[tuple[Any, list[str]]] = [
    (ServiceName, ["", "A", "1a", "-a", "a-", "a_b", "a.b", "a" * 41, "a\n", "ä"]),
    (PluginSlug, ["", "A", "../x", "a/b", "a.b", "1a", "a\n"]),
    (Hostname, ["", "a b", "http://x", "x:80", "-x", "x-", "a..b", "x\n", "${X}", "%[env(X)]", "a" * 64]),
    (
        UrlPath,
        [
            "",
            "healthz",
            "/a b",
            "/a\n",
            "/$X",
            "/${X}",
            "/%[env(X)]",
            '/"',
            "/'",
            "/a#b",
            "/\\",
            "/%zz",
            "/ä",
        ],
    ),
    (
        ImageReference,
        ["", " ", "Haproxy", "a:b:c", "a b", "a\n", "$X", "a/", "/a", "a@sha256:0", "a:" + "x" * 129],
    ),
    (LabelKey, ["", "-a", "a/b/c", "a b", "/a", "a/"]),
    (LabelValue, ["-", "a b", "x" * 64, "a\n"]),
    (EnvName, ["", "1A", "A B", "A=B", "A\n", "ä"]),
    (FilePath, ["", "a\nb", "a\0b", "\x7f", "x" * 1025]),
    (Reason, ["", "two words", "1A", "A!"]),
    (
        RouteHostname,
        [
            *(
                "",
                "A.test",
                "*",
                "*.",
                "a.*.test",
                "**.test",
                "a_b",
                "a.test.",
                "a.test:80",
                "a.test/x",
                "ä.test",
            ),
            *("a\n", "a b", "${X}", "%[env(X)]", "-a.test", "a..b", "a|b", "a#b"),
        ],
    ),
    (
        PathPrefix,
        [
            *(
                "",
                "docs",
                "//",
                "/a//b",
                "/.",
                "/..",
                "/a/../b",
                "/a/./b",
                "/a/.",
                "/%61",
                "/a?b",
                "/a#b",
                "/a;b",
            ),
            *("/a b", "/a\n", "/\\a", "/ä", "/$X", "/|", "/'", '/"', "/*", "/[a]", "/" + "a" * 200),
        ],
    ),
    (HeaderName, ["", "A B", "A:", "A_B", "-A", "A-", "A--B", "A\n", "X-*", "ä", "a" * 65]),
    (HeaderText, [" a", "a ", "a\nb", "a\r", "\t", "\0", "ä", "\x7f", "x" * 4097]),
    (
        HttpUrl,
        [
            "",
            "https://a",
            "http:///x",
            "http://a:0",
            "http://a b",
            "http://a/\n",
            "http://a@b",
            "http://a/#x",
            "ftp://a",
        ],
    ),
    (Realm, ["", '"', "a\\", "a\n", "ä", " a", "a ", "%[env(X)]", "x" * 65]),
    (ListenerName, ["", "A", "1a", "a-", "a" * 21, "a\n"]),
]


@pytest.mark.parametrize(("kind", "text"), [(kind, text) for kind, texts in GOOD for text in texts])
def test_ordinary_texts_pass_unchanged(kind: Any, text: str) -> None:
    assert TypeAdapter(kind).validate_python(text) == text


@pytest.mark.parametrize(("kind", "text"), [(kind, text) for kind, texts in BAD for text in texts])
def test_others_are_refused_with_the_rule_and_without_the_text(kind: Any, text: str) -> None:
    with pytest.raises(ValidationError) as refused:
        TypeAdapter(kind).validate_python(text)
    (finding,) = refused.value.errors(include_input=False)
    assert finding["msg"].startswith("must be ")
    assert len(text) < 3 or text not in finding["msg"]


@given(st.text(max_size=12) | st.text(alphabet="/a%[]{}()$\"'\\#\r\n\t 0", max_size=12))
def test_nothing_that_haproxy_could_expand_or_split_gets_through(text: str) -> None:
    for kind in (ServiceName, Hostname, UrlPath, ImageReference):
        try:
            TypeAdapter(kind).validate_python(text)
        except ValidationError:
            continue
        assert not set(text) & set("$\"'\\#{}[]() \t\r\n\0")
