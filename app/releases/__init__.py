"""The release gate: it carries the schema forward, one table at a time, before every deploy.

``gate`` runs it and ``status`` reports on it. Below them are ``apply``, ``rehearsal``, ``lint``,
``plan``, ``ledger``, ``schema``, ``migrations``, ``sql`` and ``connection``. Only ``product``
knows Signalbook; the rest could serve any project with Alembic and PostgreSQL.
"""
