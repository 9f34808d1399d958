"""The gate's stages, each a module with a ``NAME`` and a coroutine ``run``.

``run`` names in its signature what it needs: the order, the ledger, the output, the statements,
or the results of earlier stages (``app.releases.gate.run``). It returns its own result, and
raises ``Stopped`` with its verdict where the release must not go on. Each may be run again.
"""
