"""Reads PostgreSQL's catalogue into a snapshot of the schema.

``introspect`` is the entrance. The other modules hold the queries for what is read beside tables:
rights, storage, settings, search paths, and objects that act on every statement.
"""
