"""HAProxies on other nodes: a small agent beside them does what the loop does itself on its own machine.

The loop keeps writing a site's files into its own directory, and an agent has a copy of them; what is asked of a running
HAProxy goes to the agent as a *call*, one for each method of haproxy/reaching.py. An agent that does not answer is a
HAProxy that does not answer. Neither side trusts what it reads: every text is bounded and typed, here and there.
"""
