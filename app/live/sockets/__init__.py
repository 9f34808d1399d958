"""Socket.IO: sessions, rooms of productions, presence, and broadcasts between sockets.

Begin with ``socket_server``: sessions are opened and bounded in ``sessions``, events end in
``rooms``, and entries go out in ``room``. It may import ``app.live.feed``.
"""
