"""What `docker compose` reads from the text is the document, whatever its values hold."""

from __future__ import annotations

import json
import subprocess
from dataclasses import replace
from itertools import product
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from reconciler.core.assess.cause import Cause
from reconciler.core.plan.operations import CreateProxy
from reconciler.core.redaction import MASK
from reconciler.engines.compose.file import dump, proxy_overlay, without_values

HOSTILE = [
    "$HOME ${HOME} $$ ${X:-y} ${X:?z} ${",
    "line\nservices:\n  evil: {image: x}\n",
    "'\"` $(id) ; # & | \\",
    "no: [1, 2] # 012",
    "*alias &anchor !!python/object:os.system {{ 7*7 }}",
    "\x1b[2J\t\u202e💥",
    "~",
    "",
]


@pytest.mark.docker
@pytest.mark.parametrize("field", ["labels", "environment"])
def test_a_name_that_looks_like_an_extension_is_kept(field: str) -> None:
    values = {"x-a": "b=c", "c": "$d"}
    services = compose_reads({"name": "t-x", "services": {"web": {"image": "x", field: values}}})["services"]
    assert services["web"][field] == values


NUMBER_LIKE = sorted(
    {
        f"{sign}{whole}{rest}"
        for sign, whole, rest in product(
            ("", "-", "+"),
            (
                "",
                "0",
                "1",
                "00",
                "08",
                "12",
                "089",
                "0x1F",
                "0o17",
                "0b11",
                "1_000",
                "_1",
                "25921",
                "2001-01-01",
                "12:30:45",
            ),
            (
                "",
                ".",
                ".5",
                "e3",
                "E5",
                "e+3",
                "e-3",
                "e05",
                "e999",
                ".5e1",
                "_",
                "_0",
                ":00",
                "L",
                "n",
                "f",
                "%",
            ),
        )
    }
    | {
        f"{prefix}{word}{form}"
        for prefix in ("", ".", "+.", "-.", "+")
        for word in ("inf", "nan")
        for form in ("", "inity")
    }
    | {
        form(word)
        for word in ("y", "n", "yes", "no", "on", "off", "true", "false", "null", "nan", "inf", "t", "f")
        for form in (str.lower, str.upper, str.title)
    }
    | {
        "~",
        "=",
        "<<",
        "-",
        "--",
        "---",
        "...",
        ".",
        "..",
        "?",
        ":",
        "!x",
        "- a",
        "a: b",
        "a #b",
        " a",
        "a ",
        "",
        "0 ",
        "1,000",
    }
)


@pytest.mark.docker
def test_no_text_that_looks_like_something_else_becomes_it() -> None:
    by_name = {f"V{number}": text for number, text in enumerate(NUMBER_LIKE)}
    web = {"image": "x", "environment": by_name, "labels": by_name, "command": NUMBER_LIKE}
    read = compose_reads({"name": "t-numbers", "services": {"web": web}})["services"]["web"]
    assert {field: read[field] for field in ("environment", "labels", "command")} == {
        "environment": by_name, "labels": by_name, "command": NUMBER_LIKE,
    }  # fmt: skip
    assert len(NUMBER_LIKE) > 700


@pytest.mark.parametrize("word", [*NUMBER_LIKE[::7], "no", "yes", "25921e05", "0089"])
def test_a_key_that_looks_like_something_else_stays_a_text(word: str) -> None:
    assert yaml.safe_load(dump({"x": {word: word}})) == {"x": {word: word}}


@pytest.mark.docker
@pytest.mark.parametrize("field", ["labels", "environment", "command"])
def test_compose_itself_reads_each_value_as_it_is(field: str) -> None:
    by_name = {f"example.{number}": value for number, value in enumerate(HOSTILE)}
    value: Any = HOSTILE if field == "command" else by_name
    document = {"name": "t-hostile", "services": {"web": {"image": "x", field: value}}}
    services = compose_reads(document)["services"]
    assert list(services) == ["web"]
    assert services["web"][field] == value


def compose_reads(document: dict[str, Any]) -> dict[str, Any]:
    """What `docker compose config` makes of what we write."""
    done = subprocess.run(
        ["docker", "compose", "--file", "-", "config", "--format", "json"],
        input=dump(document),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    # Compose prints each dollar doubled, so that its output can be read again.
    read: dict[str, Any] = json.loads(done.stdout.replace("$$", "$"))
    return read


@given(st.dictionaries(st.text(min_size=1), st.text() | st.lists(st.text()), max_size=4))
def test_what_was_written_is_what_is_read_with_every_dollar_doubled(values: dict[str, Any]) -> None:
    def doubled(value: Any) -> Any:
        return (
            value.replace("$", "$$")
            if isinstance(value, str)
            else [each.replace("$", "$$") for each in value]
        )

    read = yaml.safe_load(dump({"services": {"web": {"logging": values}}}))
    assert read["services"]["web"]["logging"] == {key: doubled(each) for key, each in values.items()}


def test_a_haproxy_may_be_made_from_the_image_of_the_other_one() -> None:
    request = CreateProxy(workload="haproxy", existing=1, slot=2, gateway="g" * 64, cause=Cause.MISSING)
    own = proxy_overlay(request)["services"]["haproxy"]
    assert "image" not in own
    pinned = proxy_overlay(replace(request, image="sha256:a"))["services"]["haproxy"]
    assert pinned == own | {"image": "sha256:a"}


SECRETS = ["correct-horse", "pa$$word\nof two lines", "17", "424242"]


def test_a_document_for_people_has_no_secret() -> None:
    document = {
        "name": "t-x",
        "services": {
            "web": {
                "image": "x:17",
                "environment": {
                    "A": "correct-horse",
                    "B": "17",
                    "C": 424242,
                    "URL": "db://u:correct-horse@db",
                    "D": "other",
                },
                "command": ["--key", "pa$$word\nof two lines"],
                "labels": {"correct-horse": "x"},
            }
        },
    }
    hidden = without_values(document, SECRETS)
    (web,) = hidden["services"].values()
    assert web["image"] == "x:17", "a short setting is hidden where it is the whole value only"
    assert web["environment"] == {"A": MASK, "B": MASK, "C": MASK, "URL": f"db://u:{MASK}@db", "D": "other"}
    assert web["command"] == ["--key", MASK]
    assert web["labels"] == {MASK: "x"}
    assert not [each for each in ("horse", "two lines", "424242") if each in dump(hidden)]


def test_a_document_without_secrets_stays_as_it_is() -> None:
    document = {
        "name": "t-x",
        "services": {"web": {"environment": {"A": "", "B": None}, "init": True, "cpus": 0.5}},
    }
    assert without_values(document, ["", "correct-horse"]) == document
