"""HAProxy in front of a stack: its configuration, its sockets, and what it tells about its servers.

The controller knows `base.Proxy` alone; `haproxy.HAProxy` is the implementation that wiring picks.
"""
