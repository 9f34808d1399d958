"""``python -m app release status``: where the database stands, and what to do next."""

import json
from typing import Any, Final

import typer

from app.cli import commands
from app.cli.startup import answered, gate_url, say, service_role
from app.releases.status.next_command import describe_session, unreachable
from app.releases.status.status import status
from app.releases.verdict import Stopped
from app.settings import Settings

_LOOKED_BY: Final = {
    "gate": ", by the gate (--look looks now)",
    "app": ", by a serving app (--look looks now)",
    "question": ", just now",
}


def run(*, as_json: bool, look: bool) -> None:
    """Print the status; with ``look`` the live schema is looked at now."""

    async def examined(settings: Settings, url: str) -> dict[str, Any]:
        address, role = gate_url(settings, url), service_role(settings, url)
        members = await status(address, within=5.0, look=look, role=role)
        if members["drift"] is None and members["running"] is None:
            # The migrations are slow to load, and needed only here.
            members = await commands.run("look", url=address, status=members, role=role)
        return members

    def refuse(verdict: Stopped) -> None:
        following = unreachable(verdict.words).as_json()
        if as_json:
            typer.echo(json.dumps({"verdict": verdict.verdict.name, "nextCommand": following}))
        say("\n".join([f"signalbook: {verdict.words}", *do_next(following)[1:]]))

    members = answered(examined, refuse)
    if as_json:
        typer.echo(json.dumps(members, default=str))
    else:
        typer.echo("\n".join(described(members)))


def described(status: dict[str, Any]) -> list[str]:
    """Return the status in lines."""
    needs = f"this image needs {status['needed']}, its newest is {status['head']}"
    lines = [
        f"revision   {status['revision'] or 'nothing'} ({status['state'] or 'not known'}); {needs}",
        f"pending    {_pending(status['pending'])}",
        f"drift      {_drift(status)}",
        f"soak       {_soak(status['soak'])}",
        *_running(status["running"]),
        *(f"overridden {o['rule']} by {o['who']}: {o['why']}" for o in status["overrides"] or ()),
        *_next(status["next"]),
    ]
    if status["unread"]:
        lines.append(f"unread     {', '.join(status['unread'])}: locked, or too slow")
    for run in (status["runs"] or ())[:5]:
        verdict = run["verdict"] or "running"
        words = (run["words"] or "").partition("\n")[0]
        lines.append(f"run {run['id']:<6} {run['word']} by {run['who']}: {verdict}. {words}")
    return [*lines, *do_next(status["nextCommand"])]


def do_next(following: dict[str, Any]) -> list[str]:
    """Return the advice, and below it the command to run."""
    lines = [f"do next    {following['words']}"]
    return [*lines, f"           {following['command']}"] if following["command"] else lines


def _pending(pending: list[dict[str, Any]] | None) -> str:
    if pending is None:
        return "not known"
    return ", ".join(revision["revision"] for revision in pending) or "nothing"


def _drift(status: dict[str, Any]) -> str:
    if status["drift"] is None:
        return "never looked at"
    words = "; ".join(finding["words"] for finding in status["drift"]) or "none"
    by = _LOOKED_BY.get(status.get("driftCheckedBy") or "", "")
    return f"{words}, at {status['driftCheckedAt']}{by}"


def _soak(soak: dict[str, Any] | None) -> str:
    if soak is None:
        return "none"
    seconds_left = soak["remainingSeconds"] or 0
    rest = f", {seconds_left / 3_600:.1f} h left" if seconds_left else ""
    reasons = "; ".join(soak["reasons"])
    return (
        f"{soak['state']}{rest} ({soak['table'] or 'new tables'}){': ' if reasons else ''}{reasons}"
    )


def _next(pending: dict[str, Any] | None) -> list[str]:
    if pending is None or not pending.get("digest"):
        return []
    decision = pending.get("decision")
    decided = f"{decision['decision']} by {decision['who']}" if decision else "not decided"
    return [
        f"next       {', '.join(pending['revisions'])}, {decided}; digest {pending['digest'][:12]}"
    ]


def _running(running: dict[str, Any] | None) -> list[str]:
    if running is None:
        return ["running    nothing"]
    lines = [f"running    run {running['run']}, {running['stage']}, since {running['since']}"]
    if statement := running.get("statement"):
        lines.append(f"           {statement['seconds']:.1f} s: {statement['sql'].splitlines()[0]}")
        lines += _last_try(statement)
    lines += [f"           waits for pid {w['pid']} ({_holder(w)})" for w in running["waitsFor"]]
    lines += [
        f"           blocks pid {b['pid']} for {b['seconds']:.1f} s" for b in running["blocks"]
    ]
    return [*lines, f"           {running['safeWords']}"]


def _holder(session: dict[str, Any]) -> str:
    about = describe_session(
        session["application"], session["state"], session["transactionSeconds"]
    )
    return ": ".join(filter(None, (about, session["query"])))


def _last_try(statement: dict[str, Any]) -> list[str]:
    """Return who was last in the way of a statement that is tried again."""
    last = statement["lastBlocker"]
    if last is None:
        return []
    about = describe_session(last["application"], last["state"], None)
    last_seen = f"last in the way was pid {last['pid']} ({about}), seen at {last['at']}"
    return [f"           try {statement['tries']}; {last_seen}"]
