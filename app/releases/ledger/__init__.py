"""The gate's memory in its own ``release_…`` tables: runs, plans, decisions, soaks and signals.

``ledger`` reads and writes them, ``ledger_tables`` creates them, ``decisions`` and ``soak`` judge
by them. May import the rooms of ``app.releases`` below it. The gate comes in, the status, the
serving app with its signals, and whoever approves a plan.
"""
