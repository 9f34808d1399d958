"""A show that is called otherwise by now: who still says its former label means this show."""

from typing import Any

import httpx
import pytest

from app.model.entity import Row
from tests.support.bodies import minimal
from tests.support.offline import Made, changing, making, mutation, statuses, synced
from tests.support.service import created
from tests.test_sync import CAMERAS, put, scoped


def called(client: httpx.Client, production: Made, label: str) -> None:
    path = f"/api/productions/{production['uuid']}"
    body = {"id": label, "version": production["version"]}
    client.put(path, json=body).raise_for_status()


@scoped
def test_offline_work_survives_a_renaming_of_its_show(
    client: httpx.Client, production: Made, make: Any, entity: type[Row]
) -> None:
    row, old = make(entity.collection, **minimal(entity)), production["id"]
    called(client, production, f"{old} NOW")
    body = synced(
        client, production,
        making(entity, productionId=old),
        changing(entity, row["uuid"], 1, productionId=old, note="Mine"),
        making(entity, productionId=f"{old} NEVER"),
    )  # fmt: skip
    assert statuses(body) == ["applied", "applied", "rejected"]
    assert body["results"][2]["error"]["code"] == "WRONG_PRODUCTION"


def test_a_batch_may_rename_its_show(client: httpx.Client, production: Made, make: Any) -> None:
    row, old, new = make("cameras", name="x"), production["id"], f"{production['id']} NOW"
    renaming = mutation("update", CAMERAS, key=old, version=1, data={"id": new})
    again = mutation("update", CAMERAS, key=old, version=1, data={"note": "Mine"})
    shows = [{**one, "collection": "productions"} for one in (renaming, again)]
    edits = [changing(CAMERAS, row["uuid"], 1, productionId=said, note=said) for said in (old, new)]
    news = [making(CAMERAS, productionId=said) for said in (old, new)]
    assert statuses(synced(client, production, *shows, *edits, *news)) == ["applied"] * 6


def test_a_form_from_before_the_renaming_can_be_saved(
    client: httpx.Client, production: Made, make: Any
) -> None:
    row = make("cameras", name="x")
    called(client, production, f"{production['id']} NOW")
    after = put(client, CAMERAS, row, **{**row, "note": "Mine"})
    assert (after["note"], after["productionId"]) == ("Mine", f"{production['id']} NOW")


@pytest.mark.parametrize("said", ["another's now", "never ours"])
def test_another_show_is_still_refused(
    client: httpx.Client, production: Made, make: Any, said: str
) -> None:
    row, label = make("cameras", name="x"), production["id"]
    if said == "another's now":
        called(client, production, f"{label} NOW")
        created(client, "productions", name="Another", id=label)
    else:
        label = created(client, "productions", name="Another")["id"]
    answer = client.put(f"/api/cameras/{row['uuid']}", json={"productionId": label, "note": "x"})
    assert (answer.status_code, answer.json()["code"]) == (400, "WRONG_PRODUCTION")
