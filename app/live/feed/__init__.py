"""Follows the change log: one LISTEN connection, and a subscription for each that follows.

Begin with ``hub``. It may import the change log and the database, and nothing of the other rooms of
``app.live``.
"""
