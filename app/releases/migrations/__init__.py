"""Running revisions, and what revisions are written with.

Revisions in ``alembic/versions`` import ``phased_change``, ``ddl``, ``column_sync`` and ``steps``;
they are sealed, so names they use stay. ``alembic_runner`` starts Alembic, ``guard`` decides who
may, an ``observer`` sees every statement, and ``revisions`` says what this image knows.
"""
