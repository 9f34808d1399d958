"""Live push: what is written reaches the clients that watch, whichever process wrote it.

``feed`` reads the change log and delivers to subscribers. ``sockets`` (Socket.IO) and ``sse``
(server-sent events) subscribe for their clients. ``shutdown`` ends both before the service stops.
The application starts them; nothing below ``app.live`` knows of it.
"""
