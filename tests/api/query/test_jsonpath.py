"""kubectl's JSONPath: every form of its documentation, its corner cases, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.api.query.errors import QueryError
from reconciler.api.query.jsonpath import find, parse, relaxed, render, template

HOSTS: dict[str, Any] = {
    "kind": "List",
    "items": [
        {
            "metadata": {"name": "north", "labels": {"example.org/rack": "r1"}},
            "status": {"capacity": {"cpu": "4"}, "addresses": [{"type": "inner", "address": "10.0.0.1"}]},
            "port": 80,
            "ready": True,
        },
        {
            "metadata": {"name": "south"},
            "status": {
                "capacity": {"cpu": "8"},
                "addresses": [
                    {"type": "inner", "address": "10.0.0.2"},
                    {"type": "outer", "address": "192.0.2.1"},
                ],
            },
            "port": 8080,
            "ready": False,
        },
    ],
    "users": [{"name": "me", "user": {}}, {"name": "it", "user": {"login": "admin"}}],
    "dotted.name": {"x": 1},
    "weight": 1.5,
    "nothing": None,
    "empty": [],
}

FORMS = {
    "text around a path": ("kind is {.kind}", "kind is List"),
    "the document": ("{@.kind} {$.kind} {.kind}", "List List List"),
    "brackets": ("{['kind']}", "List"),
    "double quotes": ('{["kind"]}', "List"),
    "a dot in brackets needs a backslash": (r"{['dotted\.name'].x}", "1"),
    "a path in brackets": ("{.items[0]['metadata.name']}", "north"),
    "recursive": ("{..name}", "north south me it"),
    "all items": ("{.items[*].metadata.name}", "north south"),
    "all values": ("{.items[0].status.capacity.*}", "4"),
    "one item": ("{.users[0].name}", "me"),
    "the last item": ("{.users[-1].name}", "it"),
    "a slice": ("{.items[0:2].metadata.name}", "north south"),
    "an open slice": ("{.items[1:].metadata.name}", "south"),
    "a slice from the end": ("{.items[-2:-1].metadata.name}", "north"),
    "a slice with a step": ("{.items[::2].metadata.name}", "north"),
    "an empty slice": ("{.items[1:1].metadata.name}", ""),
    "a union of indices": ("{.users[1,0].name}", "it me"),
    "a union of names": (
        "{.items[*]['metadata.name', 'status.capacity']}",
        'north south {"cpu":"4"} {"cpu":"8"}',
    ),
    "a filter": ('{.users[?(@.name=="it")].user.login}', "admin"),
    "a filter in single quotes": ("{.users[?(@.name=='it')].user.login}", "admin"),
    "a filter that excludes": ('{.users[?(@.name!="it")].name}', "me"),
    "a filter on numbers": ("{.items[?(@.port>80)].metadata.name}", "south"),
    "at least": ("{.items[?(@.port>=80)].metadata.name}", "north south"),
    "less": ("{.items[?(@.port<81)].metadata.name}", "north"),
    "at most": ("{.items[?(@.port<=8080)].metadata.name}", "north south"),
    "a filter on booleans": ("{.items[?(@.ready==true)].metadata.name}", "north"),
    "a filter on existence": ("{.users[?(@.user.login)].name}", "it"),
    "a filter that no item passes": ('{.users[?(@.name=="x")].name}', ""),
    "a parenthesis in a filter's text": ('{.users[?(@.name==")")].name}', ""),
    "a filter in a filter": (
        '{.items[?(@.status.addresses[?(@.type=="outer")])].metadata.name}',
        "south",
    ),
    "a range": (
        '{range .items[*]}[{.metadata.name}, {.status.capacity}] {end}',
        '[north, {"cpu":"4"}] [south, {"cpu":"8"}] ',
    ),
    "a range in a range": (
        '{range .items[*]}{.metadata.name}:{range .status.addresses[*]} {.address}{end}{"\\n"}{end}done',
        "north: 10.0.0.1\nsouth: 10.0.0.2 192.0.2.1\ndone",
    ),
    "a range over nothing": ("{range .empty[*]}x{.y}{end}after", "after"),
    "a range without an end": ("{range .users[*]}{.name};", "me;it;"),
    "quoted text": ("{.kind}{'\\t'}{\"a\\\"b\\\\\"}", 'List\ta"b\\'),
    "an escaped code": ("{'\\u00e9\\x41'}", "éA"),
    "a backslash in a name": (r"{.items[0].metadata.labels.example\.org/rack}", "r1"),
    "a missing field": ("<{.a.b.c}>", "<>"),
    "a field of a text": ("<{.kind.x}>", "<>"),
    "an item of nothing": ("<{.nothing[0]}>", "<>"),
    "booleans and numbers": ("{.items[0].ready} {.items[0].port} {.weight}", "true 80 1.5"),
    "null": ("{.nothing}", "null"),
    "a mapping": ("{.users[1]}", '{"name":"it","user":{"login":"admin"}}'),
    "spaces in braces": ("{ .kind }", "List"),
    "only text": ("no path", "no path"),
    "nothing": ("", ""),
}  # fmt: skip


@pytest.mark.parametrize("form", FORMS)
def test_forms(form: str) -> None:
    template, text = FORMS[form]
    assert render(parse(template), HOSTS) == text


def test_recursive_gives_each_mapping_and_list_once_and_parents_first() -> None:
    found = find(relaxed("{..}"), {"a": [{"b": 1}], "c": 2})
    assert found == [{"a": [{"b": 1}], "c": 2}, [{"b": 1}], {"b": 1}]


WRONG = {
    "an open brace": ("{.kind", "not closed by }"),
    "a line end in braces": ("{.kind\n}", "not closed by }"),
    "an open bracket": ("{.items[0}", "not closed by ]"),
    "an open filter": ("{.users[?(@.name}", "not closed by )]"),
    "no bracket after a filter": ("{.users[?(@.name)}", "not closed by )]"),
    "an open quote": ('{"abc}', "quote is not closed"),
    "a word": ("{kind}", "'kind' is no path; write .kind"),
    "a bad index": ("{.items[a]}", "[a] is no index"),
    "an empty index": ("{.items[]}", "[] is no index"),
    "a bad operator": ("{.items[?(@.a=~'b')]}", "no operator"),
    "an empty side": ("{.items[?(==1)]}", "filter"),
    "an end alone": ("{end}", "{end} without a {range"),
    "recursion twice": ("{....name}", ".. is given twice"),
    "an escape that is none": (r"{'\q'}", "is no escape sequence"),
    "a foreign sign": ("{.a|b}{%}", "'%'"),
    "much nesting": ("{" + ".a[?(@" * 25 + ")]" * 25 + "}", "nested deeper"),
    "many ranges": ("{range .a}" * 25, "nested deeper"),
    "much text": ("x" * 10_001, "more than 10000"),
}


@pytest.mark.parametrize("what", WRONG)
def test_what_cannot_be_read(what: str) -> None:
    template, message = WRONG[what]
    with pytest.raises(QueryError) as error:
        parse(template)
    assert message in str(error.value)


UNSUITED = {
    "an index beyond the list": ("{.users[2]}", "[2] is beyond the list, which has 2 items"),
    "an index before the list": ("{.users[-3]}", "[-3] is beyond the list"),
    "a slice beyond the list": ("{.users[0:3]}", "is beyond the list"),
    "a slice that runs backwards": ("{.users[1:0]}", "ends before it starts"),
    "a step of nothing": ("{.users[0:2:0]}", "step"),
    "an index of a mapping": ("{.users[0][0]}", "a mapping is no list and cannot be indexed"),
    "a filter on a text": ("{.kind[?(@.x)]}", "a text is no list and cannot be filtered"),
    "a text and a number": ('{.items[?(@.port=="80")]}', "cannot be compared"),
    "an order of booleans": ("{.items[?(@.ready<true)]}", "cannot be compared"),
    "several values": ("{.users[?(@.*==1)]}", "one value at a time"),
}


@pytest.mark.parametrize("what", UNSUITED)
def test_what_does_not_suit_the_document(what: str) -> None:
    template, message = UNSUITED[what]
    with pytest.raises(QueryError) as error:
        render(parse(template), HOSTS)
    assert message in str(error.value)


def test_an_error_repeats_no_value_of_the_document() -> None:
    with pytest.raises(QueryError) as error:
        render(parse("{.env[?(@.PASSWORD==1)]}"), {"env": [{"PASSWORD": "hunter2"}]})
    assert "hunter2" not in str(error.value)


@pytest.mark.parametrize("written", [".kind", "kind", "{.kind}", "{kind}", " {.kind} ", "$.kind", "@.kind"])
def test_options_take_a_path_in_several_forms(written: str) -> None:
    assert find(relaxed(written), HOSTS) == ["List"]


@pytest.mark.parametrize("written", ["", "{}", "a}{b", "{.a}{.b}", ".a}x{.b"])
def test_an_option_takes_one_path(written: str) -> None:
    with pytest.raises(QueryError):
        relaxed(written)


@given(st.text(alphabet="{}[]().*'\"\\?@$,:=<>! \nabn0-1" + "range end", max_size=40))
def test_any_text_is_read_or_refused(template: str) -> None:
    try:
        render(parse(template), HOSTS)
    except QueryError:
        return


@pytest.mark.parametrize(
    ("written", "text"),
    [
        (".kind", "List"),
        ("$.kind", "List"),
        ("['kind']", "List"),
        ("{.kind}", "List"),
        ("kind", "kind"),
        ("", ""),
    ],
)
def test_a_path_alone_is_a_template(written: str, text: str) -> None:
    assert render(template(written), HOSTS) == text
