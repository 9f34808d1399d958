"""One run of the gate: what was ordered, what each stage returns, and how the run ended."""

from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass, field
from typing import Any, Final

from app.database.url import DatabaseUrl
from app.releases.apply.executor import MigrationLimits
from app.releases.ledger.ledger import Ledger
from app.releases.migrations import revisions
from app.releases.plan.plan import Plan
from app.releases.schema.drift import Inspection
from app.releases.verdict import Verdict

# Who runs the gate when no person does.
NOBODY: Final = "deploy"


@dataclass(frozen=True, kw_only=True)
class Order:
    """What somebody asked of the gate.

    ``url`` is how the gate connects, ``service_url`` how the service does. Times in seconds.
    ``contract``: take the next contract too, and fail where it may not be taken. ``override``: the
    reason for which an unfinished or red soak is passed over. ``supersede``: the reason for which
    a release that was begun is planned anew. ``whole``: take all expands and switches together,
    or all contracts, on a database whose rehearsal takes at most ``small_seconds``.
    ``quiet_seconds``: how long no older service may have written before a contract.
    ``harmless_sessions`` are application names that do not stand in its way. ``new``: in production
    the database is meant to be empty.
    """

    url: str
    service_url: str
    word: str = "release"
    who: str = NOBODY
    why: str | None = None
    contract: bool = False
    anew: bool = False
    override: str | None = None
    allow_ahead: bool = False
    supersede: str | None = None
    stall_budget: float = 0.5
    wall_clock: float = 3_600.0
    connect_patience: float = 90.0
    patience: float = 600.0
    soak_seconds: float = 86_400.0
    whole: bool = False
    small_seconds: float = 60.0
    quiet_seconds: float = 3_600.0
    harmless_sessions: tuple[str, ...] = ()
    production: bool = False
    new: bool = False

    @property
    def service_role(self) -> str | None:
        """The service's role where it is another than the gate's."""
        role = DatabaseUrl.parse(self.service_url).user
        return None if role == DatabaseUrl.parse(self.url).user else role

    @property
    def limits(self) -> MigrationLimits:
        """The limits of the work on the live database."""
        return MigrationLimits(stall_budget=self.stall_budget, wall_clock=self.wall_clock)


def serves_at(revision: str | None) -> bool:
    """Return whether this image can serve on a database at the revision."""
    return revisions.state(revision) in {"ready", "head"}


@dataclass(frozen=True)
class StageResult:
    """How a stage ended: in words for its page, with the evidence, and what other stages need.

    ``postponed`` says why a release that may wait is not taken on by this run. ``final_words``
    are the last words of a run that was not about taking the next step.
    """

    words: str
    _: KW_ONLY
    evidence: Mapping[str, Any] = field(default_factory=dict)
    skipped: bool = False
    postponed: str | None = None
    final_words: str | None = None


@dataclass(frozen=True, kw_only=True)
class Connected(StageResult):
    """This run is the only gate, and has its ledger."""

    ledger: Ledger


@dataclass(frozen=True, kw_only=True)
class Position(StageResult):
    """The database's revision. ``unfinished`` is a release that was begun.

    ``in_progress`` are the tables in which a release that was begun may have left work half done.
    """

    revision: str | None
    unfinished: Plan | None = None
    in_progress: frozenset[str] = frozenset()

    def may_wait(self, order: Order) -> bool:
        """Return whether the pending release may wait: the image serves without it."""
        return serves_at(self.revision) and not order.contract and self.unfinished is None


@dataclass(frozen=True, kw_only=True)
class Inspected(StageResult):
    """The live schema compared with what it should be; None where nothing was built yet."""

    inspection: Inspection | None = None


@dataclass(frozen=True, kw_only=True)
class Planned(StageResult):
    """The release that this run takes on; ``plan`` is None for none. ``empty``: no row to lose."""

    empty: bool
    plan: Plan | None = None


@dataclass(frozen=True, kw_only=True)
class Rehearsed(StageResult):
    """The number of the rehearsal, and the seconds that each statement took in it, by its text."""

    number: int | None = None
    predicted: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Approved(StageResult):
    """The number of the decision that approves the plan; None where none was needed."""

    decision: int | None = None


@dataclass(frozen=True, kw_only=True)
class Applied(StageResult):
    """The database's revision now; ``changed`` where this run brought it there.

    ``new``: this run built the schema of an empty database.
    """

    revision: str | None
    changed: bool = False
    plan: Plan | None = None
    new: bool = False


def postponed(plan: Plan, reason: str, evidence: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Return the members of a stage's result that put the release off: the image serves without."""
    words = f"{plan.target} stays pending: {reason}"
    return {"words": words, "evidence": evidence or {}, "skipped": True, "postponed": words}


@dataclass(frozen=True)
class Ended:
    """How a run ended."""

    verdict: Verdict
    words: str
    run: int | None = None
    plan: Plan | None = None
    revision: str | None = None
    stages: tuple[dict[str, Any], ...] = ()

    @property
    def digest(self) -> str | None:
        """The digest of the plan it was about."""
        return self.plan.digest if self.plan else None

    def as_json(self) -> dict[str, Any]:
        """Return it as JSON values, as ``--json`` prints it."""
        return {
            "verdict": self.verdict.name, "exitCode": int(self.verdict), "words": self.words,
            "run": self.run, "digest": self.digest,
            "plan": self.plan.as_json() if self.plan else None,
            "revision": self.revision, "stages": list(self.stages),
        }  # fmt: skip
