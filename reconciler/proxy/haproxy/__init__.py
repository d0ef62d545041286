"""HAProxy in front of the replicas: its files, its containers, its sockets, and what it says of its servers."""
