"""The embedded venue: the same sockets and REST calls as Polymarket, on loopback.

It is a process of its own; the engine reaches it only through the URLs that its first line of output names.
"""
