"""What the gate needs only while an older service's database is carried over.

Its adoption, its own migration history, its statements for rehearsals, and its recent writes.
It may import ``app.releases`` below the gate. Only ``app.releases.product`` comes in, by the
functions named here. Once the older service is retired, this folder is removed.
"""

from app.older_service.adoption import adopt
from app.older_service.migration_history import explain_drift
from app.older_service.probe import make_probe
from app.older_service.recent_writes import tables_written_by_older

__all__ = ["adopt", "explain_drift", "make_probe", "tables_written_by_older"]
