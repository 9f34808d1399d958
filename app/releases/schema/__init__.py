"""What a database's schema is, what it should be, and how the two differ.

``introspection`` reads the catalogue into a ``snapshot``; ``comparison`` compares two snapshots and
``repair_sql`` writes the SQL that mends a difference. What should be is built by the revisions
themselves in a ``scratch_database``: nobody keeps a list.
"""
