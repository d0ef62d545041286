"""HAProxy in front of the replicas: its files, its containers, its sockets, and the state of its servers."""
