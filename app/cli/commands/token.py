"""``python -m app token``: make, list and revoke tokens."""

import asyncio
import json
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import typer

from app.access import tokens
from app.access.audit.audit_entries import AuditEntry, note_in
from app.access.caller import Role
from app.access.peppers import Peppers
from app.cli.load_show import opened
from app.cli.startup import say, started
from app.database.database import Database
from app.entities import root
from app.errors import Invalid, NotFound
from app.settings import Settings
from app.store.write_context import WriteContext


def run(*, word: str, **options: Any) -> None:
    """Do what the word says, on the database of the settings."""
    work: Any = {"create": _create, "list": _list, "revoke": _revoke}[word]

    async def run_opened(settings: Settings, url: str) -> None:
        async with opened(settings, url) as database:
            await work(database, settings, **options)

    with started() as (settings, url):
        asyncio.run(run_opened(settings, url))


async def _create(
    database: Database, settings: Settings, *, label: str, role: str, user_id: str, user_name: str,
    productions: list[str] | None, days: int | None, who: str,
) -> None:  # fmt: skip
    for name, text in (("label", label), ("userId", user_id), ("userName", user_name)):
        if not text.strip() or len(text) > 200 or not text.isprintable():
            raise Invalid.at(name, "must have 1 to 200 characters, none of them a line break")
    if productions and role == "operator":
        raise Invalid.at("role", "an operator is one of the whole installation, not of a show")
    async with database.transaction() as connection:
        new = tokens.NewToken(
            label, user_id, user_name, Role[role.upper()], who,
            await _uuids(WriteContext(connection), productions),
            datetime.now(UTC) + timedelta(days=days) if days else None,
        )  # fmt: skip
        token = await tokens.create(connection, Peppers(settings), new)
    typer.echo(token)
    say(f"This is the token of {label}: keep it now, it is shown only this once.")


async def _uuids(context: WriteContext, productions: list[str] | None) -> list[UUID] | None:
    if not productions:
        return None
    return [(await context.read(root(), key)).uuid for key in productions]


async def _list(database: Database, _: Settings, *, as_json: bool) -> None:
    async with database.connection() as connection:
        rows = await connection.fetch(tokens.EVERY_TOKEN)
    if as_json:
        typer.echo(json.dumps([_described(row) for row in rows], ensure_ascii=False))
        return
    for row in rows:
        where = "every show" if row["every_production"] else "its shows"
        typer.echo(f"{row['key']}  {row['role']} of {where}, {_state(row)}  {row['label']}")


def _described(row: Any) -> dict[str, Any]:
    moments = ("created_at", "expires_at", "last_used_at", "revoked_at")
    return {**row, **{name: row[name] and row[name].isoformat() for name in moments}}


def _state(row: Any) -> str:
    if row["revoked_at"] is not None:
        return f"revoked {row['revoked_at']:%Y-%m-%d %H:%M} UTC"
    if row["expires_at"] is not None and row["expires_at"] <= datetime.now(UTC):
        return f"expired {row['expires_at']:%Y-%m-%d %H:%M} UTC"
    used = row["last_used_at"]
    return f"last used {used:%Y-%m-%d %H:%M} UTC" if used else "never used"


async def _revoke(database: Database, _: Settings, *, key: str, who: str) -> None:
    async with database.transaction() as connection:
        label = await connection.fetchval(tokens.REVOKE, key)
        if label is not None:
            details = {"token": key, "label": label}
            await note_in(connection, AuditEntry("token.revoked", user_name=who, details=details))
    if label is None:
        words = "There is no valid token with that key: token list shows them."
        raise NotFound(words, error="No such token")
    say(f"Revoked: {label}.")
