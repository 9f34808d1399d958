"""One run of the gate: what was ordered, and what the stages have found out so far."""

from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Any, Final

from app.database.url import DatabaseUrl
from app.releases.ledger.ledger import Ledger
from app.releases.migrations.revisions import history, needed
from app.releases.output import GateOutput, NoOutput
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


@dataclass
class Release:
    """The state that the stages of one run share."""

    order: Order
    stack: AsyncExitStack
    tell: GateOutput = field(default_factory=NoOutput)
    statements: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """What this image's code demands of the database, by collection."""
    ledger: Ledger | None = None
    current: str | None = None
    empty: bool = False
    resumed: Plan | None = None
    making: frozenset[str] = frozenset()
    """Tables in which a release that was begun may have left its work half done."""
    decision: int | None = None
    """The number of the approval."""
    inspection: Inspection | None = None
    plan: Plan | None = None
    rehearsal: int | None = None
    predicted: Mapping[str, float] = field(default_factory=dict)
    applied: bool = False
    shown: Plan | None = None
    """The plan that this run is about, taken on or put off."""
    put_off: str | None = None
    """Why a release that may wait is not taken on by this run."""
    arrival: str | None = None
    """The last words of a run that was not about taking the next step."""

    @property
    def book(self) -> Ledger:
        """The ledger, once the first stage has opened it."""
        assert self.ledger is not None
        return self.ledger

    def wait(self, words: str, evidence: Mapping[str, Any] | None = None) -> "StageResult":
        """Put the pending release off: the image serves without it. The rest is still verified."""
        assert self.plan is not None
        self.put_off = f"{self.plan.target} stays pending: {words}"
        self.plan = None
        return StageResult(self.put_off, evidence or {}, skipped=True)

    @property
    def deployable(self) -> bool:
        """Whether this image can serve on the database as it is."""
        names = [revision.name for revision in history()]
        return self.current in names and names.index(str(self.current)) >= names.index(needed())

    @property
    def optional(self) -> bool:
        """Whether the pending release may wait: the image serves without it."""
        return self.deployable and not self.order.contract and self.resumed is None


@dataclass(frozen=True)
class StageResult:
    """How a stage ended: "done" or "skipped", in words, with what it found out."""

    words: str
    evidence: Mapping[str, Any] = field(default_factory=dict)
    skipped: bool = False


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
        """Give it as JSON values, as ``--json`` prints it."""
        return {
            "verdict": self.verdict.name,
            "exitCode": int(self.verdict),
            "words": self.words,
            "run": self.run,
            "digest": self.digest,
            "plan": self.plan.as_json() if self.plan else None,
            "revision": self.revision,
            "stages": list(self.stages),
        }
