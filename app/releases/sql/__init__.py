"""SQL as text and as PostgreSQL's own parser reads it.

``parser`` is the only module that knows the binding of libpg_query. ``effects`` predicts what a
statement locks and destroys. ``text`` normalises statements for hashes and ledgers. Imports nothing
else of the application.
"""
