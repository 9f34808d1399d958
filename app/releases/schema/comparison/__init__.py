"""Compares two snapshots of one server's schemas: what should be with what is there.

Pure: no database is asked. ``compare_snapshots`` is the entrance; each other module compares one
sort of object and yields a ``Finding`` for each difference.
"""
