"""Whether the service can serve: what ``/health`` examines.

``check`` makes the whole examination, and ``write_trial`` tries a write. The look at a session is
``app.sql.session_fitness``, which the gate uses, too.
``incidents`` counts errors of real requests, and ``soak_recorder`` records them for the gate.
"""
