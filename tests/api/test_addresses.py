"""Networks, addresses and origins: what is accepted, and that a refusal says what to write."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from reconciler.api.addresses import Address, Cidr, Origin, network_of


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        *((Cidr, text) for text in ("10.0.0.0/8", "10.0.0.1", "0.0.0.0/0", "2001:db8::/32", "::1", "::/0")),
        *((Address, text) for text in ("127.0.0.1", "::1")),
        *((Origin, text) for text in ("*", "https://a.test", "http://a.test:8080", "https://localhost:1")),
    ],
)
def test_proper_texts_pass_unchanged(kind: Any, text: str) -> None:
    assert TypeAdapter(kind).validate_python(text) == text


@pytest.mark.parametrize(
    ("kind", "text", "message"),
    [
        (Cidr, "10.0.0.1/8", "bits are set behind its prefix; write 10.0.0.0/8"),
        (Cidr, "2001:db8::1/32", "write 2001:db8::/32"),
        (Cidr, "fe80::1%eth0", "without a zone"),
        *(
            (Cidr, text, "such as 10.0.0.0/8")
            for text in ("", "10.0.0.0/33", "a", "10.0.0", "10.0.0.1\n", "010.0.0.1")
        ),
        *(
            (Address, text, "such as 127.0.0.1")
            for text in ("", "10.0.0.0/8", "localhost", "fe80::1%eth0", "1 ")
        ),
        (Origin, "https://a.test:443", "default port"),
        (Origin, "http://a.test:80", "default port"),
        (Origin, "https://a.test:65536", "a port from 1 to 65535"),
        *(
            (Origin, text, "such as https://app.example.org")
            for text in (
                "",
                "a.test",
                "https://A.test",
                "https://a.test/",
                "https://a.test\n",
                "https://*.test",
                "null",
            )
        ),
    ],
)
def test_others_are_refused_with_what_to_write(kind: Any, text: str, message: str) -> None:
    with pytest.raises(ValidationError) as refused:
        TypeAdapter(kind).validate_python(text)
    (finding,) = refused.value.errors(include_input=False)
    assert message in finding["msg"]


def test_a_single_address_is_a_network_of_one() -> None:
    assert str(network_of("10.0.0.1")) == "10.0.0.1/32"
