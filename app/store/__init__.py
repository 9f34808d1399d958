"""Reading and writing rows: the only room that changes entities.

``read`` returns answers. ``create``, ``update`` and ``delete`` write one row in a ``WriteContext``,
which ``Writer`` provides; ``bulk``, ``renumber`` and ``history`` (restore) are made of those.
Routes, sync, the health check and the command line come in. Below are ``app.sql`` and
``app.changelog``.
"""
