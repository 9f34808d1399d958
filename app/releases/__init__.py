"""The gated migration step: from here the schema is carried forward, one table at a time.

- ``migrate`` runs Alembic from code; ``revisions`` tells what this image needs;
- ``recipe`` is the phased change of one table, built of ``ddl``, ``sync`` and ``backfill``;
- ``steps`` runs each statement on a connection of its own; ``session`` sets connections up.
"""
