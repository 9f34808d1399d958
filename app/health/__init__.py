"""Whether the service can serve: what ``/health`` and the release gate examine.

``check`` makes the whole examination; the parts below it look at a session and try a write.
``incidents`` counts errors of real requests, and ``soak_recorder`` records them for the gate.
"""
