"""What an entity declaration is written in, and the Pydantic models that follow from it.

It knows no single type and runs no SQL. ``app.entities`` is written with it, and every room above
reads declarations through it.
"""
