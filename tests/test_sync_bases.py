"""Edits of one client that start from one base, in several batches.

What it wrote itself it has seen, and what others wrote in between it has not.
"""

from typing import Any
from uuid import uuid4

import httpx
import pytest

from app.model.entity import Row
from tests.support import databases
from tests.support.bodies import minimal
from tests.support.offline import Made, changing, deleting, statuses, synced
from tests.test_sync import CAMERAS, SOURCES, put, scoped, title


@scoped
def test_to_take_back_an_own_edit_is_no_echo(
    client: httpx.Client, production: Made, make: Any, entity: type[Row]
) -> None:
    """A, then B here, C there, then A again here: the last two are in conflict."""
    row = make(entity.collection, **minimal(entity, note="A"))
    first = changing(entity, row["uuid"], 1, note="B")
    synced(client, production, first)
    put(client, entity, row, version=2, note="C")
    back = changing(entity, row["uuid"], 1, note="A")
    body = synced(client, production, first, back)
    assert statuses(body) == ["duplicate", "conflict"]
    [conflict] = body["results"][1]["error"]["conflicts"]
    assert (conflict["baseValue"], conflict["clientValue"], conflict["serverValue"]) == (
        "B", "A", "C",
    )  # fmt: skip


@pytest.mark.parametrize("by", ["version", "fieldVersions"])
@scoped
def test_to_repeat_an_own_edit_is_no_conflict(
    client: httpx.Client, production: Made, make: Any, entity: type[Row], by: str
) -> None:
    """A form repeats what its user typed before, which others have seen and changed since."""
    row, name = make(entity.collection, **minimal(entity, note="A")), title(entity)
    base: Made = {"version": 1} if by == "version" else {"fieldVersions": {"note": 1}}
    first = {**changing(entity, row["uuid"], note="B"), **base}
    synced(client, production, first)
    put(client, entity, row, version=2, note="C")
    form = {**changing(entity, row["uuid"], **{name: "Mine", "note": "B"}), **base}
    body = synced(client, production, first, form)
    assert statuses(body) == ["duplicate", "merged"]
    after = body["results"][1]["entity"]
    assert (after[name], after["note"]) == ("Mine", "C")


def outputs_of(row: Made) -> list[str]:
    return sorted(output["id"] for output in row["outputs"])


@pytest.mark.parametrize("theirs", ["note", "outputs"])
@pytest.mark.parametrize("when", ["before", "between"])
def test_to_take_an_own_output_away_again_is_no_echo(
    client: httpx.Client, production: Made, make: Any, theirs: str, when: str
) -> None:
    kept, mine, other = (
        {"uuid": str(uuid4()), "id": word, "connector": "SDI"} for word in ("KEPT", "MINE", "OTHER")
    )
    row = make("sources", name="S", type="x", outputs=[kept])
    first = changing(SOURCES, row["uuid"], 1, outputs=[kept, mine])
    second = changing(SOURCES, row["uuid"], 1, outputs=[kept])
    others = {"note": "Theirs"} if theirs == "note" else {"outputs": [kept, other]}
    if when == "between":
        synced(client, production, first)
    put(client, SOURCES, row, version=1, **others)
    body = synced(client, production, first, second)
    left = outputs_of(body["results"][1]["entity"])
    if theirs == "note":
        assert left == ["KEPT"]
    elif when == "between":
        assert left == ["KEPT", "OTHER"]
    else:
        assert {"KEPT", "OTHER"} <= {*left}, "of others nothing is lost"
    assert statuses(body)[1] == "merged"


def test_an_own_list_after_one_of_others_is_not_taken_for_a_deletion(
    client: httpx.Client, production: Made, make: Any
) -> None:
    kept, one, two, other = (
        {"uuid": str(uuid4()), "id": word, "connector": "SDI"} for word in ("K", "1", "2", "O")
    )
    row = make("sources", name="S", type="x", outputs=[kept])
    put(client, SOURCES, row, version=1, outputs=[kept, other])
    first = changing(SOURCES, row["uuid"], 1, outputs=[kept, one])
    synced(client, production, first)
    put(client, SOURCES, row, version=3, note="Theirs")
    second = changing(SOURCES, row["uuid"], 1, outputs=[kept, one, two])
    body = synced(client, production, first, second)
    assert statuses(body) == ["duplicate", "merged"]
    assert outputs_of(body["results"][1]["entity"]) == ["1", "2", "K", "O"]


@pytest.mark.parametrize("gap", ["trimmed", "older service"])
async def test_where_the_log_has_a_gap_nothing_of_others_is_lost(
    client: httpx.Client, production: Made, make: Any, shared_database: str, gap: str
) -> None:
    row = make("cameras", name="x", note="A")
    first = changing(CAMERAS, row["uuid"], 1, name="Mine")
    synced(client, production, first)
    if gap == "trimmed":
        put(client, CAMERAS, row, version=2, note="C")
        sql = "DELETE FROM changes WHERE entity_uuid = $1 AND version > 1"
    else:
        sql = "UPDATE cameras SET version = version + 1, note = 'C' WHERE uuid = $1"
    await databases.execute(shared_database, sql, row["uuid"])
    edit = changing(CAMERAS, row["uuid"], 1, note="B")
    body = synced(client, production, first, edit, deleting(CAMERAS, row["uuid"], 1))
    assert statuses(body) == ["duplicate", "conflict", "conflict"]
    assert client.get(f"/api/cameras/{row['uuid']}").json()["note"] == "C"
