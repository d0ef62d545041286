import json
import time
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from reconciler.api.yaml_loader import MAX_ALIASES, MAX_DEPTH, MAX_NODES, YamlReader
from reconciler.api.yaml_nodes import MapNode, to_plain

FILE = Path("f.yaml")


def read(text: str) -> tuple[list[Any], list[str]]:
    reader = YamlReader(text, FILE)
    documents = [to_plain(root) for root in reader.documents()]
    return documents, [str(problem) for problem in reader.problems]


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("true", True),
        ("false", False),
        ("True", "True"),
        ("yes", "yes"),
        ("no", "no"),
        ("on", "on"),
        ("off", "off"),
        ("22:22", "22:22"),
        ("0", 0),
        ("-7", -7),
        ("+7", 7),
        ("010", "010"),
        ("0x1F", "0x1F"),
        ("0o17", "0o17"),
        ("1_000", "1_000"),
        ("1" * 18, int("1" * 18)),
        ("1" * 5000, "1" * 5000),
        ("1.10", 1.1),
        ("1e3", "1e3"),
        (".5", ".5"),
        (".inf", ".inf"),
        (".nan", ".nan"),
        ("2026-05-01", "2026-05-01"),
        ("~", None),
        ("null", None),
        ("", None),
        ("NULL", "NULL"),
        ("'true'", "true"),
        ('"8080"', "8080"),
        ("!!str 8080", "8080"),
        ("! 8080", "8080"),
        ("|\n  8080", "8080\n"),
    ],
)
def test_plain_values_mean_what_they_look_like(written: str, value: object) -> None:
    documents, problems = read(f"key: {written}\n")
    assert problems == []
    (read_value,) = [document["key"] for document in documents]
    assert read_value == value
    assert type(read_value) is type(value)


def test_places_count_from_one_and_in_characters() -> None:
    (root,) = YamlReader("a: 1\nüü: {b: [x, y]}\n", FILE).documents()
    assert isinstance(root, MapNode)
    inner = root.values["üü"]
    assert (root.keys["üü"].line, root.keys["üü"].column) == (2, 1)
    assert isinstance(inner, MapNode)
    items = inner.values["b"]
    assert (inner.line, inner.column, items.line, items.column) == (2, 5, 2, 9)


def test_documents_are_read_one_by_one_and_empty_ones_left_out() -> None:
    assert read("---\n---\na: 1\n---\n# nothing\n---\nb: 2\n...\n") == ([{"a": 1}, {"b": 2}], [])
    assert read("") == ([], [])


def test_the_documents_before_a_broken_one_are_still_read() -> None:
    documents, problems = read("a: 1\n---\nb: [\n")
    assert documents == [{"a": 1}]
    assert len(problems) == 1


def test_an_alias_stands_for_what_it_names_within_its_document() -> None:
    assert read("a: &x [1, &y two]\nb: *x\nc: *y\n") == ([{"a": [1, "two"], "b": [1, "two"], "c": "two"}], [])
    documents, problems = read("a: &x 1\n---\nb: *x\n")
    assert documents == [{"a": 1}]
    assert problems == ["f.yaml:3:4: b: is an alias of an anchor that is not defined above; define it first"]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("a: 1\nb: 2\na: 3\n", "f.yaml:3:1: a: is given twice; keep one of them; the first is on line 1"),
        ("a: {b: 1, b: 2}", "f.yaml:1:11: a.b: is given twice; keep one of them; the first is on line 1"),
        ("8080: x", "f.yaml:1:1: has a key that is not text; put the key in quotes"),
        ("a: {true: x}", "f.yaml:1:5: a: has a key that is not text; put the key in quotes"),
        ("a: {~: x}", "f.yaml:1:5: a: has a key that is not text; put the key in quotes"),
        ("? [a]\n: x", "f.yaml:1:3: has a key that is not text; put the key in quotes"),
        ("a: {<<: {b: 1}}", "f.yaml:1:5: a: uses a merge key (<<), which is not read; write the fields out"),
        ("a: !Ref b", "f.yaml:1:4: a: has a YAML tag (!...), which is not read; remove the tag"),
        ("a: !!int '1'", "f.yaml:1:4: a: has a YAML tag (!...), which is not read; remove the tag"),
        (
            "!!python/object/apply:os.system [x]",
            "f.yaml:1:1: has a YAML tag (!...), which is not read; remove the tag",
        ),
        ("a: !!set {b}", "f.yaml:1:4: a: has a YAML tag (!...), which is not read; remove the tag"),
        ("a: &x [*x]", "f.yaml:1:8: a[0]: is an alias of something around it; write the value out"),
        ("a: *b", "f.yaml:1:4: a: is an alias of an anchor that is not defined above; define it first"),
        (
            "a:\n\tb: 1",
            "f.yaml:2:1: is not valid YAML: while scanning for the next token, "
            "found character that cannot start any token; indent with spaces, not tabs",
        ),
        (
            "a: 'x",
            "f.yaml:1:6: is not valid YAML: while scanning a quoted scalar, "
            "found unexpected end of stream; check the indentation and the quotes near it",
        ),
        ("a: 1\nb: \x07", "f.yaml:2:1: holds a character that YAML forbids; remove it"),
    ],
)
def test_what_is_not_strict_yaml_is_refused_with_its_place(text: str, problem: str) -> None:
    assert read(text)[1] == [problem]


def test_every_duplicate_is_reported_and_the_first_value_kept() -> None:
    documents, problems = read("a: 1\na: 2\nb: 3\nb: 4\na: 5\n")
    assert documents == [{"a": 1, "b": 3}]
    assert [problem.split(":")[1] for problem in problems] == ["2", "4", "5"]


@pytest.mark.parametrize(("opening", "closing"), [("[", "]"), ("{a: ", "}")])
def test_depth_is_bounded(opening: str, closing: str) -> None:
    within = MAX_DEPTH - 1
    assert read(f"{opening * within}x{closing * within}")[1] == []
    _, problems = read(f"{opening * MAX_DEPTH}x{closing * MAX_DEPTH}")
    assert [problem.partition("is nested")[2] for problem in problems] == [
        " deeper than 32 levels; flatten it"
    ]


def test_aliases_cannot_hide_depth() -> None:
    half = MAX_DEPTH // 2
    deep = f"{'[' * half}x{']' * half}"
    assert read(f"a: &x {deep}\nb: {'[' * (half - 2)}*x{']' * (half - 2)}")[1] == []
    _, problems = read(f"a: &x {deep}\nb: {'[' * half}*x{']' * half}")
    assert "is nested deeper than 32 levels" in problems[0]


def test_the_number_of_aliases_is_bounded() -> None:
    text = "a: &x 1\nb: [" + ", ".join(["*x"] * MAX_ALIASES) + "]"
    assert read(text)[1] == []
    assert "is alias number 65" in read(text.replace("]", ", *x]"))[1][0]


def test_an_alias_bomb_is_stopped_before_it_grows() -> None:
    # Each level contains the previous one twice: 2**30 values from thirty lines, within the limit of aliases.
    lines = ["l0: &l0 [boom, boom]", *(f"l{n}: &l{n} [*l{n - 1}, *l{n - 1}]" for n in range(1, 31))]
    started = time.process_time()
    _, problems = read("\n".join(lines))
    assert time.process_time() - started < 5
    assert f"takes the file beyond {MAX_NODES} values" in problems[0]


@pytest.mark.parametrize(
    "text", ["[" * 1_000_000, "{" * 1_000_000, "- " * 500_000, "a: " * 300_000, "? " * 500_000]
)
def test_a_megabyte_of_openings_is_refused_in_a_moment(text: str) -> None:
    started = time.process_time()
    assert read(text)[1]
    assert time.process_time() - started < 5


@given(st.text() | st.text(alphabet="a1:-?[]{}&*!|>'\"#%@`~<,. \t\n\r\\", max_size=60))
def test_any_text_is_read_or_refused(text: str) -> None:
    documents, problems = read(text)
    assert problems or all(document is not None for document in documents)


# JSON writes characters beyond U+FFFF as two escapes, which YAML does not know.
words = st.text(st.characters(max_codepoint=0xFFFF, exclude_categories=["Cs"]), max_size=8).filter(
    lambda text: text != "<<"
)
lookalikes = st.from_regex(r"[-+]?[0-9.:xoe_]{1,6}|~|[tT]rue|[nN]ull|[nN]o", fullmatch=True)
json_like = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**17), 10**17) | words | lookalikes,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words | lookalikes, inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(words | lookalikes, json_like, max_size=4))
def test_what_other_tools_write_is_read_as_they_meant_it(value: dict[str, Any]) -> None:
    for text in (yaml.safe_dump(value), json.dumps(value)):
        assert read(text) == ([value], [])
