"""Paths, Accept headers and options are read as Kubernetes reads them; nonsense is refused with a Status."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.web.kube.asked import Place, form_of, list_options, place_of, position
from reconciler.web.kube.errors import ApiError

OPTIONS = [
    "labelSelector",
    "fieldSelector",
    "limit",
    "continue",
    "resourceVersion",
    "timeoutSeconds",
    "watch",
]


@pytest.mark.parametrize(
    ("path", "place"),
    [
        ("apis/g/v1/things", Place("g", "v1", "things")),
        ("apis/g/v1/things/a", Place("g", "v1", "things", None, "a")),
        ("apis/g/v1/namespaces/n/things", Place("g", "v1", "things", "n")),
        ("apis/g/v1/namespaces/n/things/a", Place("g", "v1", "things", "n", "a")),
        ("apis/g/v1/namespaces/n/things/a/scale", Place("g", "v1", "things", "n", "a", "scale")),
        ("api/v1/namespaces", Place("", "v1", "namespaces")),
        ("api/v1/namespaces/n", Place("", "v1", "namespaces", None, "n")),
        ("api/v1/namespaces/n/status", Place("", "v1", "namespaces", None, "n", "status")),
        ("api/v1/namespaces/n/pods/p/log", Place("", "v1", "pods", "n", "p", "log")),
        ("api/v1", None),
        ("apis/g/v1", None),
        ("apis/g/v1/namespaces/n/things/a/b/c", None),
        ("version", None),
    ],
)
def test_a_path_is_a_place(path: str, place: Place | None) -> None:
    assert place_of(tuple(path.split("/"))) == place


@pytest.mark.parametrize(
    ("accept", "form"),
    [
        ("", "plain"),
        ("*/*", "plain"),
        ("application/json", "plain"),
        ("application/json;as=Table;v=v1;g=meta.k8s.io,application/json", "table"),
        ("application/json;as=Table;v=v1beta1;g=meta.k8s.io,application/json", "plain"),
        ("application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1", "partial"),
        ("application/vnd.kubernetes.protobuf,application/json", "plain"),
        ("application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList", "aggregated"),
    ],
)
def test_the_first_served_form_is_chosen(accept: str, form: str) -> None:
    assert form_of(accept) == form


def test_a_form_that_is_not_served_is_406() -> None:
    with pytest.raises(ApiError) as caught:
        form_of("application/vnd.kubernetes.protobuf")
    assert caught.value.code == 406


@pytest.mark.parametrize(
    ("query", "code", "said"),
    [
        ({"labelSelector": "a in"}, 400, "selector"),
        ({"fieldSelector": "spec.plugin=x"}, 400, "field label not supported: spec.plugin"),
        ({"limit": "-1"}, 400, "limit"),
        ({"resourceVersion": "1e3"}, 400, "resourceVersion"),
        ({"resourceVersion": "²"}, 400, "resourceVersion"),
        ({"continue": "nonsense"}, 400, "continue key is not valid"),
        ({"continue": position(5, "a"), "resourceVersion": "5"}, 400, "together with continue"),
        ({"resourceVersionMatch": "Exact"}, 422, "unless resourceVersion is given"),
        ({"resourceVersionMatch": "Newer", "resourceVersion": "1"}, 422, "supported values"),
        ({"sendInitialEvents": "true", "watch": "1"}, 422, "must be NotOlderThan"),
        ({"sendInitialEvents": "true", "resourceVersionMatch": "NotOlderThan"}, 422, "forbidden for list"),
    ],
)
def test_options_that_are_not_valid_are_named(query: dict[str, str], code: int, said: str) -> None:
    with pytest.raises(ApiError, match=said) as caught:
        list_options(query)
    assert caught.value.code == code


def test_a_page_goes_on_where_the_one_before_ended() -> None:
    options = list_options({"continue": position(7, "b"), "limit": "2"})
    assert (options.number, options.after, options.limit) == (7, "b", 2)


@given(
    st.dictionaries(
        st.sampled_from(
            [
                "labelSelector",
                "fieldSelector",
                "limit",
                "continue",
                "resourceVersion",
                "timeoutSeconds",
                "watch",
            ]
        ),
        st.text(max_size=40),
    ),
    st.text(max_size=80),
    st.lists(st.text(max_size=10), max_size=8),
)
def test_whatever_is_sent_is_understood_or_refused(
    query: dict[str, str], accept: str, path: list[str]
) -> None:
    place_of(tuple(path))
    for ask in (lambda: list_options(query), lambda: form_of(accept)):
        with suppress(ApiError):
            ask()
