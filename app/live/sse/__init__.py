"""Server-sent events: a production's changes for clients without Socket.IO.

It may import ``app.live.feed``; the route is ``app.api.routes.changes``.
"""
