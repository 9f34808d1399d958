"""The uuids of what connections name, carried over and kept while both services write."""

import importlib.util
from typing import Any

import httpx

from app.entities import device_types
from app.releases.migrations.alembic_runner import downgrade, upgrade
from app.releases.migrations.revisions import FOLDER, needed
from app.store.references import device_type
from tests.legacy import connected, quiet
from tests.older_service import OlderService
from tests.support.service import service

BEFORE, REVISION = "0032_vision_switchers_switch", "0033_connections_devices"
Row = dict[str, Any]


async def older_show(connection: Any) -> OlderService:
    """Make a show of the older service: two connections that are whole, and three that are not."""
    older = OlderService(connection, "x")
    for table, name in (
        ("productions", "show"), ("ccus", "ccu a"), ("cameras", "CAM 1"), ("sources", "source"),
        ("source_outputs", "source-OUT1"), ("sends", "DST 1"), ("sends", "DST 2"),
        ("routers", "RTR 1"),
    ):  # fmt: skip
        await older.insert(table, name)
    whole = {
        "destination_type": "sends", "destination_id": older.id("DST 1"),
        "intermediate_type": "Camera", "intermediate_id": older.id("CAM 1"),
        "source_output_id": older.id("source-OUT1"),
    }  # fmt: skip
    await older.insert("connections", "whole", **whole)
    router = {"destination_type": "Router", "destination_id": older.id("RTR 1")}
    await older.insert("connections", "routed", **whole | router)
    await older.insert("connections", "text", **whole | {"destination_type": "BANANA"})
    await older.insert("connections", "lost", **whole | {"destination_id": "NOBODY"})
    await older.insert("connections", "loose", **whole | {"source_output_id": "NO OUTPUT"})
    return older


def listed(client: httpx.Client, collection: str) -> dict[str, Row]:
    """Return the show's rows by what follows "x " in their labels."""
    (show,) = client.get("/api/productions").json()
    rows = client.get(f"/api/{collection}/production/{show['uuid']}").json()
    return {row["id"].removeprefix("x "): row for row in rows}


def unresolved(rows: dict[str, Row]) -> dict[str, list[str]]:
    return {name: row["unresolved"] for name, row in rows.items()}


async def test_what_names_one_row_gets_its_uuid_and_the_rest_is_listed(empty_database: str) -> None:
    await upgrade(empty_database, BEFORE, say=quiet)
    async with connected(empty_database) as connection:
        await older_show(connection)
    lines: list[str] = []
    await upgrade(empty_database, needed(), say=lines.append)
    told = [line for line in lines if "names no row" in line]
    assert [line.split(":")[0] for line in told] == ["x loose of x show", "x lost of x show"]
    for last in (needed(), "head"):
        await upgrade(empty_database, last, say=quiet)
        with service(empty_database) as client:
            rows, sends = listed(client, "connections"), listed(client, "sends")
            cameras, sources = listed(client, "cameras"), listed(client, "sources")
            routers = listed(client, "routers")
        (output,) = sources["source"]["outputs"]
        assert unresolved(rows) == {
            "whole": [], "routed": [], "text": ["destination"], "lost": ["destination"],
            "loose": ["sourceOutput"],
        }  # fmt: skip
        assert rows["whole"]["destinationUuid"] == sends["DST 1"]["uuid"]
        assert rows["routed"]["destinationUuid"] == routers["RTR 1"]["uuid"]
        assert rows["text"]["destinationUuid"] is None
        for name in ("whole", "text", "lost"):
            assert rows[name]["intermediateUuid"] == cameras["CAM 1"]["uuid"]
            assert rows[name]["sourceOutputUuid"] == output["uuid"]


async def test_both_services_write_and_each_finds_the_other_side_filled(
    empty_database: str,
) -> None:
    await upgrade(empty_database, needed(), say=quiet)
    async with connected(empty_database) as connection:
        older = await older_show(connection)
        with service(empty_database) as client:
            sends = listed(client, "sends")
            await older.update("connections", "lost", destination_id=older.id("DST 2"))
            assert (
                listed(client, "connections")["lost"]["destinationUuid"] == sends["DST 2"]["uuid"]
            )
            # A device gets another name, and the older service writes its old row once more.
            path = f"/api/sends/{sends['DST 1']['uuid']}"
            client.patch(path, json={"id": "x WALL"}).raise_for_status()
            await older.update("sends", "DST 2", id=older.id("DST 1"))
            await older.upsert("connections", "note")
            await older.update("connections", "whole", note="n", destination_id=older.id("DST 1"))
            rows = listed(client, "connections")
            assert rows["whole"]["destinationUuid"] == sends["DST 1"]["uuid"]
            assert rows["whole"]["destinationId"] == "x WALL"
            assert rows["lost"]["destinationId"] == "x DST 1"
            # What this service links, the older reads by the label.
            loose = f"/api/connections/{rows['loose']['uuid']}"
            linked = {"destinationUuid": sends["DST 2"]["uuid"], "version": 1}
            client.patch(loose, json=linked).raise_for_status()
            query = "SELECT destination_id FROM connections WHERE id = 'x loose'"
            assert await connection.fetchval(query) == "x DST 1"
            free = {"destinationType": "PATCHBAY", "destinationId": "x WALL"}
            client.patch(loose, json=free).raise_for_status()
            assert listed(client, "connections")["loose"]["destinationUuid"] is None
        await downgrade(empty_database, BEFORE, say=quiet)
        assert await connection.fetchval(query) == "x WALL"


def revision_words() -> dict[str, tuple[str, ...]]:
    path = FOLDER / "versions" / f"{REVISION}.py"
    spec = importlib.util.spec_from_file_location(REVISION, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    words: dict[str, tuple[str, ...]] = module.WORDS
    return words


def test_the_revision_takes_the_words_that_the_service_takes() -> None:
    words, kinds = revision_words(), {str(kind.__tablename__): kind for kind in device_types()}
    assert words.keys() == kinds.keys()
    for name, kind in kinds.items():
        assert {device_type(word) for word in words[name]} == {kind}
        spelled = (kind.entity_type, kind.collection, kind.event_type, kind.prefix, kind.noun)
        for word in (*spelled, *kind.path_aliases):
            assert "".join(filter(str.isalnum, word.lower())) in words[name], word
