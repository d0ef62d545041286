"""The ACME account of a gateway as its author writes it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from pydantic import ValidationError

from reconciler.api.acme import Acme
from reconciler.api.vaultgateway import GatewaySpec, Listener

PLAIN = {"acceptTerms": True}


def acme(**more: Any) -> Acme:
    return Acme.model_validate({**PLAIN, **more}, by_name=False, by_alias=True)


def test_accepting_the_terms_is_enough() -> None:
    made = acme()
    assert made.server == "https://acme-v02.api.letsencrypt.org/directory"
    assert (made.challenge, made.certificates, made.contact) == ("http-01", "route", ())


def test_a_whole_account_survives_being_written() -> None:
    made = acme(
        server="https://ca.example.org:9000/acme/directory",
        contact=["admin@example.org"],
        challenge="dns-01",
        certificates="gateway",
        externalAccount={"keyId": "kid-1", "keyFile": "eab.key"},
        dns={
            "program": "nsupdate",
            "arguments": ["-v"],
            "environment": {"TTL": "60"},
            "timeout": "2m",
            "delay": "30s",
        },
        caFile="ca.pem",
        profile="shortlived",
    )
    assert Acme.model_validate_json(json.dumps(made.to_document())) == made


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"acceptTerms": False}, "must be true: without it the server gives no account"),
        ({"server": "http://ca.example.org/dir"}, "the https:// address"),
        ({"server": "https://ca.example.org/dir\nuser root"}, "the https:// address"),
        ({"contact": ["not an address"]}, "an e-mail address"),
        ({"contact": ["a@b.org\r\nBcc: c@d.org"]}, "an e-mail address"),
        ({"challenge": "dns-01"}, "dns-01 needs dns: {program: ...}"),
        ({"dns": {"program": "x"}}, "dns is not used with challenge: http-01"),
        ({"challenge": "dns-01", "dns": {"program": "../x"}}, "without '/'"),
        ({"challenge": "dns-01", "dns": {"program": "/bin/sh"}}, "without '/'"),
        ({"challenge": "dns-01", "dns": {"program": "x", "timeout": "1h"}}, "between 1s and 30m"),
        ({"challenge": "dns-01", "dns": {"program": "x", "delay": "1h"}}, "at most 30m"),
        ({"challenge": "dns-01", "dns": {"program": "x", "arguments": ["a\nb"]}}, "printable ASCII"),
        ({"challenge": "dns-02"}, "'http-01'"),
        ({"externalAccount": {"keyId": "a b", "keyFile": "x"}}, "the key identifier"),
        ({"profile": "a b"}, "a profile"),
    ],
)
def test_what_is_wrong_is_said(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError) as caught:
        acme(**fields)
    assert message in str(caught.value)


def test_without_accepting_the_terms_there_is_no_account() -> None:
    with pytest.raises(ValidationError, match="acceptTerms"):
        Acme.model_validate({})


def test_the_environment_of_a_program_is_not_shown() -> None:
    made = acme(challenge="dns-01", dns={"program": "x", "environment": {"TOKEN": "hunter2"}})
    assert "hunter2" not in repr(made)


@pytest.mark.parametrize(
    ("challenge", "protocol", "is_right"),
    [
        ("http-01", "HTTP", True),
        ("http-01", "HTTPS", False),
        ("tls-alpn-01", "HTTPS", True),
        ("tls-alpn-01", "HTTP", False),
    ],
)
def test_the_challenge_has_a_listener(challenge: str, protocol: Any, is_right: bool) -> None:
    listeners = (Listener(name="one", port=443, protocol=protocol),)
    if is_right:
        GatewaySpec(listeners=listeners, acme=acme(challenge=challenge))
        return
    with pytest.raises(ValidationError, match=f"acme.challenge {challenge} needs a listener of protocol"):
        GatewaySpec(listeners=listeners, acme=acme(challenge=challenge))
