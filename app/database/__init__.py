"""PostgreSQL: its address, connections and errors, and the embedded server of development.

``database`` is what the service uses, through ``pool``. ``driver_errors`` translates what asyncpg
raises. It knows nothing of tables. Everything above ``app.errors`` and ``app.settings`` may use it.
"""
