"""The routes of access: tickets for event streams, and what else a caller asks of it.

They import the rest of ``app.api`` and ``app.access``. ``app.main`` puts them under /api.
"""
