"""Optimal transport between label distributions that share one small cost.

:func:`server.transport.solve.transport_cost` is the way in; one file per solver beside it.
"""
