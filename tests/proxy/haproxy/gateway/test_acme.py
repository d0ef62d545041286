"""Certificates from a real ACME server (pebble, its validation on) for a real HAProxy, without a reload.

`Gateway` does what a gateway's pass does with certificates; the rest of the world is real.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from reconciler.certificates.acme.client import Binding
from reconciler.certificates.errors import Why
from reconciler.certificates.wanted import Source, Want
from reconciler.proxy.haproxy.gateway.transactions import replace_map
from tests.certificates.pebble import Pebble, running
from tests.proxy.haproxy.gateway.conftest import HTTP, HTTPS, GatewayWorld
from tests.proxy.haproxy.gateway.issuing import curl, gateway, handshakes, s_client, wants

if TYPE_CHECKING:
    from tests.proxy.conftest import Replica

pytestmark = pytest.mark.docker


@pytest.fixture
def pebble(namespace: tuple[str, str], tmp_path: Path) -> Iterator[Pebble]:
    with running(tmp_path, namespace[1], HTTP, HTTPS) as made:
        yield made


def test_twenty_names_are_issued_and_renewed_under_load(
    front: GatewayWorld, pebble: Pebble, replicas: dict[str, Replica], tmp_path: Path
) -> None:
    names = [f"h{number:02}.example.org" for number in range(20)]
    front.serve({"hostnames": names}, replicas=[replicas["one"], replicas["two"]])
    root = tmp_path / "root.pem"
    root.write_text(pebble.root())
    with gateway(front, tmp_path, pebble.acme()) as gate:
        gate.wants = wants(*names)
        serving = gate.until(lambda now: now.secured >= set(names))
        assert serving.troubles == ()
        for name in (names[0], names[-1]):
            said = s_client(front, root, name)
            assert "Verify return code: 0 (ok)" in said
            assert said.count("BEGIN CERTIFICATE") == 2
            assert curl(front, root, name).returncode == 0
        assert "HTTP/2 200" in curl(front, root, names[0], "--http2", "--include").stdout

        before = {host: held.bundle.certificate.fingerprints[0] for host, held in serving.hosts.items()}
        with handshakes(front, root, names) as load:
            gate.keeper.renew(names)
            gate.until(
                lambda now: all(
                    held.bundle.certificate.fingerprints[0] != before[host]
                    for host, held in now.hosts.items()
                )
            )
        assert load.made > 60
        assert load.lost == []
        assert "Verify return code: 0 (ok)" in s_client(front, root, names[3])
    front.serve()


def test_a_name_that_fails_keeps_no_other_from_its_certificate(
    front: GatewayWorld, pebble: Pebble, replicas: dict[str, Replica], tmp_path: Path
) -> None:
    front.serve()
    elsewhere = replicas["one"].address.partition(":")[0]
    pebble.leads("bad.example.org", elsewhere)
    with gateway(front, tmp_path, pebble.acme()) as gate:
        gate.wants = (
            Want(Source.ACME, ("a.example.org", "bad.example.org"), "s.0"),
            *wants("b.example.org"),
        )
        serving = gate.until(lambda now: now.troubles and len(now.hosts) == 2)
        assert set(serving.hosts) == {"a.example.org", "b.example.org"}
        (trouble,) = serving.troubles
        assert (trouble.names, trouble.why) == (("bad.example.org",), Why.NOT_CHECKED)
        assert re.search(
            rf"could not check bad.example.org: .*{re.escape(elsewhere)}.*\(connection\); let port 80",
            trouble.message,
        )


def test_a_server_that_is_away_for_a_while_delays_and_takes_nothing(
    front: GatewayWorld, pebble: Pebble, tmp_path: Path
) -> None:
    front.serve()
    with gateway(front, tmp_path, pebble.acme()) as gate:
        gate.wants = wants("a.example.org")
        first = gate.until(lambda now: now.secured).hosts["a.example.org"]
        pebble.stop()
        gate.keeper.renew(["a.example.org"])
        serving = gate.until(lambda now: now.troubles)
        assert {each.why for each in serving.troubles} == {Why.ACME_AWAY}
        assert "Connection refused" in serving.troubles[0].message
        assert serving.hosts["a.example.org"].bundle == first.bundle
        # It comes back without any account or order.
        pebble.start()
        serving = gate.until(lambda now: now.hosts["a.example.org"].bundle != first.bundle)
        assert serving.secured == {"a.example.org"}


def test_external_account_binding(front: GatewayWorld, namespace: tuple[str, str], tmp_path: Path) -> None:
    front.serve()
    key = "zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12W"
    with running(tmp_path, namespace[1], HTTP, HTTPS, binding=True) as bound:
        with gateway(front, tmp_path, bound.acme()) as gate:
            gate.wants = wants("a.example.org")
            serving = gate.until(lambda now: now.troubles)
            assert serving.troubles[0].why is Why.REFUSED
            assert "set spec.acme.externalAccount of the gateway" in serving.troubles[0].message
        with gateway(
            front, tmp_path, bound.acme(contact=["a@example.org"]), binding=Binding("kid-1", key)
        ) as gate:
            gate.wants = wants("a.example.org")
            gate.until(lambda now: now.secured)


DNS_PROGRAM = """#!/bin/sh
case $1 in
present) curl -sf -d "{\\"host\\":\\"$2\\",\\"value\\":\\"$3\\"}" http://127.0.0.1:%d/set-txt ;;
cleanup) curl -sf -d "{\\"host\\":\\"$2\\"}" http://127.0.0.1:%d/clear-txt ;;
esac
"""


def test_a_wildcard_by_a_dns_program(front: GatewayWorld, pebble: Pebble, tmp_path: Path) -> None:
    front.serve()
    programs = tmp_path / "programs"
    programs.mkdir()
    port = pebble.dns_management
    (programs / "set-txt").write_text(DNS_PROGRAM % (port, port))
    (programs / "set-txt").chmod(0o755)
    root = tmp_path / "root.pem"
    root.write_text(pebble.root())
    acme = pebble.acme(challenge="dns-01", dns={"program": "set-txt"})
    with gateway(front, tmp_path, acme, programs=programs) as gate:
        gate.wants = wants("*.example.org")
        gate.until(lambda now: now.secured)
        assert "Verify return code: 0 (ok)" in s_client(front, root, "any.example.org")


def test_answers_pass_all_that_may_deny_a_request(front: GatewayWorld, replicas: dict[str, Replica]) -> None:
    """A redirect to https, a list of networks, a rate limit, a login and maintenance."""
    path = "/.well-known/acme-challenge/token-1"
    front.serve(
        {"hostnames": ["s.test"], "tls": {"certificate": "self-signed"}},
        {"hostnames": ["n.test"], "allowFrom": ["192.0.2.0/24"]},
        {"hostnames": ["l.test"], "rateLimit": {"requests": 1, "window": "1h"}},
        {"hostnames": ["m.test"], "maintenance": True},
        {"hostnames": ["d.test"], "auth": {"forward": {"url": "http://127.0.0.1:9/"}}},
        {"hostnames": ["r.test"], "redirect": {"hostname": "s.test"}},
        {"hostnames": ["own.test"]},
        replicas=[replicas["one"]],
    )
    replace_map(front.master(), "acme", {path: "token-1.thumb"})
    for host in ("s.test", "n.test", "l.test", "m.test", "d.test", "r.test", "unknown.test", "own.test"):
        for _ in range(2):
            answer = front.get(host, path)
            assert (host, answer.status, answer.body) == (host, 200, b"token-1.thumb")
    assert (
        front.get("own.test", f"{path}/more").status != 200
        or front.get("own.test", f"{path}/more").body != b"token-1.thumb"
    )
    assert front.get("n.test", "/.well-known/acme-challenge/token-2").status == 403
    assert front.get("m.test", "/.well-known/acme-challenge/token-2").status == 503
    replace_map(front.master(), "acme", {})
    assert front.get("unknown.test", path).status == 404
