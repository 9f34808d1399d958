"""Migrations on the live database: nobody waits long for us, and every step is recorded.

``migration`` applies a plan or takes one back, under the ``executor``, which observes each
statement, and the ``watcher``, which cancels ours before others have waited too long; the
``journal`` writes the pages. May import the ledger and the rooms below it; the gate comes in.
"""
