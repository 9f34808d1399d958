"""Who calls, what they may do, and what is noted of it.

A credential (a token, the session of a page, another issuer's token) becomes a ``Caller``; the
policies say which caller may call which route. It may import ``app.database``, ``app.sql`` and
below. ``app.api``, ``app.live`` and ``app.cli`` come in.
"""
