"""The HTTP edge: turns requests into calls of the store, the feed and sync, and back.

``routes/`` holds the endpoints; the modules here hold what they share: dependencies, strict JSON
requests, responses, middleware. ``fast_path`` may be taken out without changing an answer.
Imports everything below it. Only ``app.main`` builds an application from it.
"""
