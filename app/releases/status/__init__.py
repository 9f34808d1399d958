"""The migration status, for the terminal, the API and a console.

``status`` reads it, ``schemas`` has its form on the wire, ``next_command`` says what to run next.
Nothing here waits for a lock. May import the ledger and the rooms below it; the command line and
the API come in.
"""
