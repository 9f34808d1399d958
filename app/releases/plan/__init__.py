"""What a release would do: its statements in order, and the digest that an operator approves.

``render`` runs revisions in Alembic's offline mode and writes down what they would do. ``seals``
holds every revision to what it said when it was finished.
"""
