"""The gate's eleven stages, each a module with a ``NAME`` and ``run(release) -> StageResult``.

Each may be run again and again; one that must not go on raises ``Stopped`` with its verdict.
"""
