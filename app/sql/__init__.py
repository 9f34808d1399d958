"""All SQL on entities, derived from their declarations, and the registry of every statement.

Rooms above run these statements; here only ``session_fitness`` asks, and ``registry`` prepares.
Below are the declarations alone. Any module that runs SQL registers it with ``registry.statement``.
"""
