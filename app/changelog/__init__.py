"""The change log: one entry for each write, read as feed (by number) and as history (by time).

``app.sql.writes`` writes the entries, in the statement of the write itself. Sync, push, the store
and the routes read them here. Below are SQL, database and declarations.
"""
