"""The directory of a gateway's configuration: what HAProxy reads when it starts, and who wrote which part of it.

The gateway writes its own files, the maps, the assignment, and pools that are spare; a service writes the file of its pool.
Whatever was edited manually, or left half written, reads as something that has to be written again.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import islice
from types import MappingProxyType
from typing import Final

from reconciler.api.vaultgateway import GatewaySpec
from reconciler.core.desired.stack import Site
from reconciler.proxy.haproxy.directory import opened, opened_below, remove
from reconciler.proxy.haproxy.files import Validate, prepare, read_files, validate_files, write_files
from reconciler.proxy.haproxy.gateway.maps import LEADING, MAPS, SEPARATOR, UNSET, Maps, entries_of, text_of
from reconciler.proxy.haproxy.gateway.pool_file import (
    PoolServer,
    PoolSettings,
    WrittenPool,
    head,
    read_pool,
    render_pool,
)
from reconciler.proxy.haproxy.gateway.pools import Need, assignment_text, kind_of, read_assignment
from reconciler.proxy.haproxy.gateway.render import (
    POOL_DIRECTORY,
    file_names,
    map_file,
    pool_file,
    read_structure,
    render,
)

__all__ = [
    "WrittenGateway",
    "read_gateway",
    "read_held",
    "read_places",
    "read_pools",
    "read_slots",
    "trial_files",
    "validate",
    "write_configuration",
    "write_gateway",
    "write_pool",
    "write_routes",
    "write_slots",
]

ASSIGNMENT_FILE: Final = "assignment.txt"
SLOTS_FILE: Final = "slots.txt"
MAX_SOCKETS: Final = 4096
"""Entries of the directory of sockets that are looked at: HAProxy can create any number there."""

_SLOT: Final = re.compile(r"(?P<slot>[1-9][0-9]{0,3})(?: (?P<node>[a-z0-9-]{1,63}))?")


_HERE: Final[Mapping[int, str]] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class WrittenGateway:
    """What is in the directory. `structure` and `image` are empty without a configuration; a pool is None when its file is
    not as it was rendered, a map is missing when its file is not. `held`: who has which pool.
    """

    structure: str = ""
    image: str = ""
    pools: Mapping[str, WrittenPool | None] = field(default_factory=dict)
    held: Mapping[Need, str] = field(default_factory=dict)
    maps: Maps = field(default_factory=dict)

    @property
    def known(self) -> Mapping[str, WrittenPool | None]:
        """The pools with those of which the file was removed while a service has them."""
        return {**dict.fromkeys(self.held.values()), **self.pools}

    @property
    def busy(self) -> frozenset[str]:
        """The pools that have a server, or may have one in a HAProxy that has read an earlier file: all but spare ones."""
        return frozenset(pool for pool, said in self.known.items() if said != WrittenPool())

    @property
    def led(self) -> Mapping[str, str]:
        """The pool that each route leads to, by the route's id."""
        targets = (target.split(SEPARATOR) for name in LEADING for target in self.maps.get(name, {}).values())
        return {route: pool for route, pool, *_ in targets if pool != UNSET}

    @property
    def settings(self) -> Mapping[str, PoolSettings]:
        """The settings of the pools that have some."""
        return {pool: said.settings for pool, said in self.pools.items() if said and said.settings}


def read_gateway(site: Site) -> WrittenGateway:
    """What is written. Raises OSError."""
    pools = _pools_in(site)
    names = [*file_names(), ASSIGNMENT_FILE, *map(map_file, MAPS), *map(pool_file, pools)]
    files = read_files(site.config, names)
    structure, image = read_structure(files, pools) or ("", "")
    maps = {name: entries_of(files[map_file(name)]) for name in MAPS if map_file(name) in files}
    return WrittenGateway(
        structure=structure,
        image=image,
        pools={pool: read_pool(pool, files.get(pool_file(pool), "")) for pool in pools},
        held=read_assignment(files.get(ASSIGNMENT_FILE, "")),
        maps={name: entries for name, entries in maps.items() if entries is not None},
    )


def read_held(site: Site) -> Mapping[Need, str]:
    """Who has which pool. Raises OSError."""
    return read_assignment(read_files(site.config, [ASSIGNMENT_FILE]).get(ASSIGNMENT_FILE, ""))


def write_gateway(
    site: Site, spec: GatewaySpec, pools: Collection[str], image: str, held: Mapping[Need, str], maps: Maps
) -> None:
    """Write the gateway's part: of pools those that are not there yet, and its own file last. Raises OSError, and
    ValueError for a value that HAProxy could read as something else.
    """
    write_routes(site, held, maps)
    write_configuration(site, spec, pools, image)


def write_routes(site: Site, held: Mapping[Need, str], maps: Maps) -> None:
    """Write the maps, and who has which pool. Raises OSError and ValueError."""
    files = {map_file(name): text_of(maps.get(name, {})) for name in MAPS}
    prepare(site)
    write_files(site.config, files | {ASSIGNMENT_FILE: assignment_text(held)}, site)


def write_configuration(site: Site, spec: GatewaySpec, pools: Collection[str], image: str) -> None:
    """Write what takes a reload: of pools those that are not there yet, and the gateway's own file last. Raises OSError and
    ValueError.
    """
    new = {pool_file(pool): head(pool) for pool in sorted(set(pools) - set(_pools_in(site)))}
    prepare(site)
    write_files(site.config, new | render(spec, pools, image), site)


def trial_files(spec: GatewaySpec, pools: Collection[str], image: str) -> dict[str, str]:
    """A whole directory without routes and servers, for HAProxy to judge. Raises ValueError."""
    empty = {map_file(name): "" for name in MAPS} | {pool_file(pool): head(pool) for pool in pools}
    return empty | render(spec, pools, image)


def validate(site: Site, image: str, files: Mapping[str, str], judge: Validate) -> None:
    """Let an image judge these files before they are used. Raises OSError, and what `judge` raises."""
    prepare(site)
    validate_files(site, image, files, judge)


def write_pool(site: Site, pool: str, servers: Collection[PoolServer], settings: PoolSettings | None) -> None:
    """Write the file of a pool, as the service that has it; without settings it is a spare one. Raises OSError and
    ValueError.
    """
    write_files(site.config, {pool_file(pool): render_pool(pool, servers, settings)}, site)


def read_slots(site: Site) -> tuple[int, ...]:
    """The slots that have a HAProxy, or are about to get one, in order: all that a service has to ask. Raises OSError."""
    return tuple(_places(site))


def read_places(site: Site) -> Mapping[int, str]:
    """The nodes of those of these slots that an agent serves. Raises OSError."""
    return {slot: node for slot, node in _places(site).items() if node}


def _places(site: Site) -> Mapping[int, str]:
    lines = read_files(site.config, [SLOTS_FILE]).get(SLOTS_FILE, "").splitlines()
    found = (_SLOT.fullmatch(line) for line in lines)
    return dict(sorted((int(each["slot"]), each["node"] or "") for each in found if each))


def write_slots(site: Site, slots: Collection[int], nodes: Mapping[int, str] = _HERE) -> None:
    """Say which slots have a HAProxy, and on which of the `nodes` with an agent; a new one has to be named before it is
    created. Raises OSError.
    """
    prepare(site)
    _free(site, set(slots).difference(read_slots(site)))
    lines = (f"{slot} {nodes[slot]}\n" if slot in nodes else f"{slot}\n" for slot in sorted(slots))
    write_files(site.config, {SLOTS_FILE: "".join(lines)}, site)


def _free(site: Site, slots: Collection[int]) -> None:
    """Remove the sockets that a HAProxy of another user has left in these slots: the next one could not replace them, and
    would not start. So it is after a change of `network`.
    """
    starter = site.uid if site.starter is None else site.starter
    endings = tuple(f"-{slot}.sock" for slot in slots)
    with opened(site.run) as run, os.scandir(run) as entries:
        for entry in islice(entries, MAX_SOCKETS):
            if endings and entry.name.endswith(endings):
                found = entry.stat(follow_symlinks=False)
                if stat.S_ISSOCK(found.st_mode) and found.st_uid != starter:
                    remove(run, entry.name)


def read_pools(site: Site, pools: Collection[str]) -> Mapping[str, WrittenPool | None]:
    """What the files of these pools say; None for one that is not as it was rendered, or not there. Raises OSError."""
    files = read_files(site.config, map(pool_file, pools))
    return {pool: read_pool(pool, files.get(pool_file(pool), "")) for pool in pools}


def _pools_in(site: Site) -> tuple[str, ...]:
    """The pools that have a file. HAProxy reads all files there: one that is no pool's was added manually."""
    found: list[str] = []
    with (
        suppress(FileNotFoundError),
        opened(site.config) as config,
        opened_below(config, POOL_DIRECTORY) as directory,
        os.scandir(directory) as entries,
    ):
        for entry in entries:
            pool, dot, ending = entry.name.partition(".")
            with suppress(ValueError):
                if dot and ending == "cfg" and kind_of(pool):
                    found.append(pool)
    return tuple(sorted(found))
