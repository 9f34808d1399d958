"""How a run of the release gate ends: its exit codes, and the error that leads there.

The hosting platform deploys on 0 alone; every other code leaves the old version serving.
"""

from collections.abc import Mapping
from enum import IntEnum
from typing import Any


class MigrationError(RuntimeError):
    """A migration did not happen or stopped; the message says why and what to do."""


class MigrationContended(MigrationError):
    """Another migration holds the lock; nothing was changed, try again when it has finished."""


class Verdict(IntEnum):
    """The exit code of a run. docs/migrations.md has the table with what to do."""

    DONE = 0  # all is well: the image may be deployed, or what was asked is done
    FAILED = 1  # an unexpected error
    AWAITING_APPROVAL = 10  # a named operator must approve the plan's digest
    CONTENDED = 11  # others were in the way, or the time was over: run it again
    DRIFTED = 12  # the live schema is not what its revisions build
    BROKEN = 13  # the image's own migrations are wrong: mend the code
    AHEAD = 14  # a newer image has migrated the database
    STEP_DONE = 15  # a step was taken, and this image needs more of them
    REFUSED = 16  # a rule of the gate forbids it: soak, destruction, more than one table
    UNREACHABLE = 17  # the database does not answer
    EDITED = 18  # a revision was changed after it had been applied
    UNVERIFIED = 19  # applied, and then the schema was not what it should be
    UNADOPTED = 20  # an older service's database that must be adopted first
    MISCONFIGURED = 21  # the address of a database cannot be used: correct the setting


class Stopped(MigrationError):
    """The gate ends here with this verdict; ``evidence`` is stored with the stage."""

    def __init__(
        self, verdict: Verdict, words: str, evidence: Mapping[str, Any] | None = None
    ) -> None:
        super().__init__(words)
        self.verdict = verdict
        self.words = words
        self.evidence = dict(evidence or {})
