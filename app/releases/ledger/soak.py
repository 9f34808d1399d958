"""The soak: after a release, the service runs on it for a time before the next may follow.

A soak is green when its time is over and there was no signal in it. A signal is stored by the
serving app: an error by which code and schema disagree, or a drift. A red soak stays red until
somebody overrides it with a reason, or the release is taken back.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Final, Literal

from app.releases.ledger.ledger import Ledger
from app.releases.plan.plan import Plan
from app.releases.verdict import Stopped, Verdict

Clock = Callable[[], datetime]
State = Literal["running", "green", "red", "overridden"]

_OVERRIDDEN: Final = "overridden"
_UNWATCHED: Final = ", but nobody looked at it: its version did not serve meanwhile, or could not"
# A soak that ended otherwise is of a release that was taken back.
_CURRENT: Final = f"""SELECT * FROM release_soaks
  WHERE ended_at IS NULL OR ended LIKE '{_OVERRIDDEN} by %' ORDER BY started_at DESC LIMIT 1"""
_SIGNALS: Final = """SELECT kind, code, words, source, count, at, last_at FROM release_signals
  WHERE last_at >= $1 AND at < $2 ORDER BY id LIMIT 100"""
_LOOKED: Final = "SELECT value ->> 'at' FROM release_looks WHERE name = 'recheck'"
_HOW: Final = "python -m app release --override-soak REASON --who NAME"


def utc_now() -> datetime:
    """Return this machine's time."""
    return datetime.now(UTC)


async def time(ledger: Ledger, clock: Clock | None) -> datetime:
    """Return the clock's time; without one the database's, which is the same for every machine."""
    now: datetime = clock() if clock else await ledger.fetch_value("SELECT clock_timestamp()")
    return now


@dataclass(frozen=True, kw_only=True)
class Signal:
    """What the serving app stored: a "schema error" or a "drift", first and last seen when."""

    kind: str
    code: str
    words: str
    source: str
    count: int
    at: datetime
    last_at: datetime

    def in_words(self) -> str:
        """Return it as one reason."""
        if self.kind == "drift":
            return self.words
        times = "once" if self.count == 1 else f"{self.count} times"
        return f"{self.source} met {self.code} {times}: {self.words}"


@dataclass(frozen=True, kw_only=True)
class Soak:
    """The watch over one release, ``seconds`` long. ``ended`` says who overrode it and why."""

    digest: str
    table: str | None
    phase: str
    revisions: tuple[str, ...]
    started_at: datetime
    seconds: float
    ended_at: datetime | None = None
    ended: str | None = None

    @property
    def due(self) -> datetime:
        """When it turns green."""
        return self.started_at + timedelta(seconds=self.seconds)

    @property
    def name(self) -> str:
        """What it is the soak of."""
        return self.table or self.revisions[-1]

    def covers(self, signal: Signal) -> bool:
        """Return whether a signal came within the soak."""
        return signal.last_at >= self.started_at and signal.at < self.due


@dataclass(frozen=True, kw_only=True)
class Standing:
    """The state of a soak. ``remaining`` is in seconds, 0 when no time is waited for.

    ``looked_at`` is when the serving app last finished a look for drift, whatever soak it was in.
    """

    soak: Soak
    state: State
    remaining: float
    signals: tuple[Signal, ...]
    looked_at: datetime | None = None

    @property
    def unwatched(self) -> bool:
        """Whether no serving app looked for drift during the soak."""
        was_watched = self.looked_at is not None and self.looked_at >= self.soak.started_at
        return self.soak.seconds > 0 and not was_watched

    def watched(self, now: datetime) -> bool:
        """Whether the serving app still looks: an override does not cover later signals."""
        is_early = self.state == "overridden" and now < self.soak.due
        return is_early or self.state in {"running", "red"}

    @property
    def reasons(self) -> tuple[str, ...]:
        """Why it is in this state, where that is more than time."""
        why = [self.soak.ended] if self.soak.ended else []
        return (*why, *(signal.in_words() for signal in self.signals))


def state(soak: Soak, signals: Iterable[Signal], now: datetime) -> Standing:
    """Return the state of a soak by its signals."""
    covered = tuple(signal for signal in signals if soak.covers(signal))
    remaining = max(0.0, (soak.due - now).total_seconds())
    # An override covers the signals until then, not those after it.
    until = soak.ended_at if soak.ended is not None else None
    word: State = "running" if remaining else "green"
    if until is not None and all(signal.last_at <= until for signal in covered):
        word = "overridden"
    elif covered:
        word = "red"
    waits = remaining if word == "running" else 0.0
    return Standing(soak=soak, state=word, remaining=waits, signals=covered)


async def begin(ledger: Ledger, plan: Plan, seconds: float, clock: Clock | None = None) -> None:
    """Start the soak of a release; one that was taken back and comes again has a new soak."""
    await ledger.execute(
        'INSERT INTO release_soaks (digest, "table", phase, revisions, started_at, seconds)'
        " VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (digest) DO UPDATE SET"
        " started_at = excluded.started_at, seconds = excluded.seconds,"
        " ended_at = NULL, ended = NULL",
        plan.digest, plan.table, plan.phase, list(plan.revisions),
        await time(ledger, clock), float(seconds),
    )  # fmt: skip


async def current(ledger: Ledger, clock: Clock | None = None) -> Standing | None:
    """Return the state of the last soak; None for none, or when the release was taken back."""
    row = await ledger.fetch_row(_CURRENT)
    if row is None:
        return None
    soak = Soak(**row | {"revisions": tuple(row["revisions"])})
    rows = await ledger.fetch_rows(_SIGNALS, soak.started_at, soak.due)
    standing = state(soak, [Signal(**signal) for signal in rows], await time(ledger, clock))
    looked = await ledger.fetch_value(_LOOKED)
    return replace(standing, looked_at=datetime.fromisoformat(looked) if looked else None)


async def raise_unless_green(ledger: Ledger, clock: Clock | None = None) -> str:
    """Return in words that no soak is waited for. Raise Stopped while one runs or is red.

    A soak in which nobody looked, as another version served, is green too: the words say so.
    """
    standing = await current(ledger, clock)
    if standing is None:
        return "no soak is waited for"
    name = standing.soak.name
    if standing.state == "green":
        return f"the soak of {name} is green{_UNWATCHED if standing.unwatched else ''}"
    if standing.state == "overridden":
        return f"the soak of {name} was {standing.soak.ended}"
    evidence = {
        "soak": standing.soak.digest, "state": standing.state,
        "remainingSeconds": standing.remaining, "reasons": standing.reasons,
        "lastLookAt": standing.looked_at,
    }  # fmt: skip
    raise Stopped(Verdict.REFUSED, _refusal(standing), evidence)


async def override(ledger: Ledger, who: str, why: str, clock: Clock | None = None) -> None:
    """Override the soak that is in the way; who did it and why are stored for ever."""
    await ledger.overridden("soak", who, why)
    standing = await current(ledger, clock)
    if standing is not None and standing.state in {"running", "red"}:
        await ledger.execute(
            "UPDATE release_soaks SET ended_at = $2, ended = $3 WHERE digest = $1",
            standing.soak.digest, await time(ledger, clock), f"{_OVERRIDDEN} by {who}: {why}",
        )  # fmt: skip


def _refusal(standing: Standing) -> str:
    soak = standing.soak
    if standing.state == "red":
        more = f" and {len(standing.reasons) - 1} more" if len(standing.reasons) > 1 else ""
        return (
            f"The soak of {soak.name} is red: {standing.reasons[0]}{more}. Mend it, or take the "
            "release back (python -m app release rollback), or pass over it with a reason: "
            f"{_HOW}."
        )
    return (
        f"The soak of {soak.name} runs for another {_in_words(standing.remaining)}, until "
        f"{soak.due.astimezone(UTC):%Y-%m-%d %H:%M} UTC: run the release again then, or pass over "
        f"it with a reason: {_HOW}."
    )


def _in_words(seconds: float) -> str:
    hours, minutes = divmod(round(seconds / 60), 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min" if minutes else f"{seconds:.0f} s"
