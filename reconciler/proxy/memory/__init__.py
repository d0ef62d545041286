"""The proxies in memory: a fake of HAProxy, in front of a stack and as the front door of many services.

It models what decides whether a request is lost: several HAProxy containers, each with a current worker and old ones that
only finish their connections; files that are read at start; servers with checks, drains and sessions. A Network, such as
the machine in memory, tells which containers run.
"""

from reconciler.proxy.memory.gateways import Answer, MemoryGateways
from reconciler.proxy.memory.processes import BOOT, MemoryProcess, MemoryWorker, Network
from reconciler.proxy.memory.proxy import MemoryFile, MemoryProxy
from reconciler.proxy.memory.servers import SEES_DOWN_AFTER, SEES_UP_AFTER, MemoryServer

__all__ = [
    "BOOT",
    "SEES_DOWN_AFTER",
    "SEES_UP_AFTER",
    "Answer",
    "MemoryFile",
    "MemoryGateways",
    "MemoryProcess",
    "MemoryProxy",
    "MemoryServer",
    "MemoryWorker",
    "Network",
]
