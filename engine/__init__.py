"""The trading engine: from the venue's sockets to a snapshot, in one straight line.

It does not know that a console exists. Start reading at ``engine.core.step``.
"""

__version__ = "0.2.0"
