"""A client at its bound gets 429, and another one its answer; what is over is counted no more."""

from __future__ import annotations

import asyncio
import http.client
import ssl
import threading
from contextlib import ExitStack, closing
from pathlib import Path

import httpx
import pytest
import yaml

from reconciler.web.kube.errors import ApiError
from reconciler.web.kube.fairness import MAX_OF_ONE, MAX_REQUESTS, Streaming, Turns
from tests.web.kube.cluster import Cluster, served
from tests.web.kube.in_process import InProcess

PATH = "/apis/vault.internal/v1alpha1/namespaces/default/vaultservices/files"
SECONDS = 30.0


def test_streams_are_limited_in_total_and_for_each_user() -> None:
    bound = Streaming(most=3, most_of_one=2)
    with bound.one_of("a"), bound.one_of("a"):
        with pytest.raises(ApiError) as caught, bound.one_of("a"):
            pass
        assert caught.value.code == 429
        assert caught.value.headers == {"Retry-After": "5"}
        with bound.one_of("b"), pytest.raises(ApiError), bound.one_of("c"):
            pass
    with bound.one_of("a"):
        pass


def test_a_flood_of_watches_leaves_other_users_of_the_same_address_theirs(tmp_path: Path) -> None:
    with served(tmp_path / "state", tmp_path) as cluster, ExitStack() as opened:
        flooding, other = (Watching(cluster, role, opened) for role in ("view", "admin"))
        codes = [flooding.open() for _ in range(MAX_OF_ONE + 5)]
        assert codes == [200] * MAX_OF_ONE + [429] * 5
        assert [other.open() for _ in range(5)] == [200] * 5
        assert cluster.kubectl("get", "vs", role="edit").returncode == 0


class Watching:
    """Watches of a role, each on a connection of its own."""

    def __init__(self, cluster: Cluster, role: str, opened: ExitStack) -> None:
        config = yaml.safe_load(cluster.kubeconfig(role).read_text())
        self._headers = {"Authorization": f"Bearer {config['users'][0]['user']['token']}"}
        self._address = cluster.url.removeprefix("https://")
        self._context = ssl.create_default_context(cafile=str(cluster.state / "api" / "ca.crt"))
        self._opened = opened

    def open(self) -> int:
        """The status of the answer to one more."""
        connection = http.client.HTTPSConnection(self._address, timeout=SECONDS, context=self._context)
        self._opened.callback(connection.close)
        connection.request("GET", f"{PATH.removesuffix('/files')}?watch=1", headers=self._headers)
        return self._opened.enter_context(closing(connection.getresponse())).status


def test_requests_of_one_user_take_turns_in_their_order() -> None:
    turns, order = Turns(most_of_one=2, patience=SECONDS), list[int]()

    async def ask(number: int) -> None:
        async with turns.one_of("a"):
            order.append(number)
            await asyncio.sleep(0)
            if number == 0:
                raise ZeroDivisionError

    async def run() -> list[BaseException | None]:
        return await asyncio.gather(*map(ask, range(9)), return_exceptions=True)

    ended = asyncio.run(run())
    assert order == list(range(9))
    assert [type(each) for each in ended] == [ZeroDivisionError, *[type(None)] * 8]
    assert turns._lanes == {}


def test_a_client_that_floods_starves_no_other(tmp_path: Path) -> None:
    """Its requests wait for a disk that hangs, while another client is answered."""
    with InProcess(tmp_path) as api:
        api.api.turns._patience = 0.2
        hanging, released = threading.Semaphore(0), threading.Event()
        collection = api.api.collections["VaultGateway"]
        document = collection.document

        def hang(name: str) -> object:
            hanging.release()
            assert released.wait(SECONDS)
            return document(name)

        collection.document = hang  # type: ignore[method-assign, assignment]
        transport = httpx.ASGITransport(api.app)

        async def flood() -> None:
            async with httpx.AsyncClient(
                transport=transport, base_url="https://vault", timeout=SECONDS
            ) as client:

                async def get(role: str, path: str = PATH) -> httpx.Response:
                    return await client.get(path, headers={"Authorization": f"Bearer {api.tokens[role]}"})

                slow = PATH.replace("vaultservices/files", "vaultgateways/front")
                tasks = [asyncio.create_task(get("view", slow)) for _ in range(MAX_REQUESTS)]
                for _ in range(MAX_REQUESTS):
                    await asyncio.to_thread(hanging.acquire)
                refused = await get("view")
                assert (refused.status_code, refused.headers["retry-after"]) == (429, "1")
                assert refused.json()["reason"] == "TooManyRequests"
                assert refused.json()["details"] == {"retryAfterSeconds": 1}
                assert (await get("admin")).status_code == 200
                released.set()
                assert {each.status_code for each in await asyncio.gather(*tasks)} == {200}
                assert (await get("view")).status_code == 200

        asyncio.run(flood())
