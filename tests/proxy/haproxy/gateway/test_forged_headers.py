"""The attacks of tests/proxy/test_forged_headers.py on a gateway, whose configuration is another one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest

from reconciler.api.traffic import CLIENT_ADDRESSES
from reconciler.api.vaultgateway import GatewaySpec, Listener
from tests.proxy import test_forged_headers
from tests.proxy.conftest import docker, new_name, start_replica
from tests.proxy.haproxy.gateway.conftest import HTTP, GatewayWorld, site_in
from tests.proxy.test_forged_headers import (
    HOST,
    test_a_client_cannot_have_the_next_hop_drop_a_header,
    test_a_connection_that_carries_a_body_is_closed_after_it,
    test_a_forged_header_reaches_no_application,
    test_a_second_request_id_is_not_joined_to_the_first,
    test_a_tunnel_to_a_replica_is_refused,
    test_an_upgrade_has_no_body,
    test_an_upgrade_names_nothing_else,
    test_an_upgrade_to_http_2_does_not_get_past_the_rules,
    test_events_are_sent_on_while_they_come,
    test_large_headers_pass_both_ways,
    test_larger_ones_are_the_clients_mistake,
    test_ordinary_headers_arrive_as_they_were_sent,
)

__all__ = [
    "test_a_client_cannot_have_the_next_hop_drop_a_header",
    "test_a_connection_that_carries_a_body_is_closed_after_it",
    "test_a_forged_header_reaches_no_application",
    "test_a_second_request_id_is_not_joined_to_the_first",
    "test_a_tunnel_to_a_replica_is_refused",
    "test_an_upgrade_has_no_body",
    "test_an_upgrade_names_nothing_else",
    "test_an_upgrade_to_http_2_does_not_get_past_the_rules",
    "test_events_are_sent_on_while_they_come",
    "test_large_headers_pass_both_ways",
    "test_larger_ones_are_the_clients_mistake",
    "test_ordinary_headers_arrive_as_they_were_sent",
]

pytestmark = pytest.mark.docker

SPEC: Final = GatewaySpec(
    listeners=(Listener(name="http", port=HTTP, protocol="HTTP"),),
    drop_headers=(*CLIENT_ADDRESSES, "Remote-User", "X-Auth-*"),
)
OF_ONE_SERVICE: Final = {"test_room_for_headers_is_a_setting_and_comes_with_a_reload"}
"""Tests of a setting that a gateway changes otherwise."""


@dataclass(frozen=True)
class GatewayDoor:
    """Where requests are sent to."""

    address: str
    port: int = HTTP


@pytest.fixture(scope="module")
def wsgi(namespace: tuple[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayDoor]:
    """A gateway before a WSGI server, which knows headers by the names of CGI."""
    made = GatewayWorld(site_in(tmp_path_factory.mktemp("wsgi")), *namespace, spec=SPEC)
    container = new_name("wsgi")
    program = Path(test_forged_headers.__file__).with_name("wsgi_replica.py").read_text()
    try:
        made.write(SPEC)
        made.start()
        made.serve({"hostnames": [HOST]}, replicas=[start_replica("wsgi", container, ["-c", program])])
        yield GatewayDoor(made.address)
    finally:
        made.stop()
        docker("rm", "--force", container, check=False)


def test_none_of_them_was_forgotten() -> None:
    there = {name for name in vars(test_forged_headers) if name.startswith("test_")}
    assert there == {*__all__} | OF_ONE_SERVICE
