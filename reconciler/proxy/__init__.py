"""HAProxy in front of a stack: its configuration, its sockets, and the state of its servers.

The controller only uses `base.Proxy`; `haproxy.HAProxy` is the implementation that wiring picks.
"""
