"""HTTP and WebSockets below the application: what Uvicorn reads from a connection, and its bounds.

Nobody has said who they are yet, so nothing here may cost much for long: not silence, not a head,
not a body, not a number of connections.
"""
