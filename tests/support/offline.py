"""Batches of offline work as a client sends them, and all that a production holds after them."""

from typing import Any
from uuid import uuid4

import httpx

from app.model.entity import Row
from tests.support import databases
from tests.support.bodies import minimal

Made = dict[str, Any]
ROWS = (
    "SELECT json_build_array(uuid, id, version, is_deleted, note)::text FROM {table} "
    "WHERE production_uuid = $1 ORDER BY uuid"
)
LOG = (
    "SELECT json_build_array(seq, operation, entity_uuid, version, changes)::text FROM changes "
    "WHERE production_uuid = $1 ORDER BY seq"
)


def mutation(op: str, entity: type[Row], **members: Any) -> Made:
    """Return a mutation with an id of its own."""
    return {"mutationId": str(uuid4()), "op": op, "collection": entity.collection, **members}


def making(entity: type[Row], uuid: str | None = None, **members: Any) -> Made:
    """Return a create with a uuid of the client's."""
    return mutation("create", entity, uuid=uuid or str(uuid4()), data=minimal(entity, **members))


def changing(entity: type[Row], key: str, version: int | None = None, /, **members: Any) -> Made:
    """Return an update, from a version if one is given."""
    base = {} if version is None else {"version": version}
    return mutation("update", entity, key=key, data=members, **base)


def deleting(entity: type[Row], key: str, version: int | None = None) -> Made:
    """Return a delete, from a version if one is given."""
    base = {} if version is None else {"version": version}
    return mutation("delete", entity, key=key, **base)


def send(client: httpx.Client, production: Made, *mutations: Any, **members: Any) -> httpx.Response:
    """Send a batch."""
    path = f"/api/productions/{production['uuid']}/sync"
    return client.post(path, json={"mutations": mutations, **members})


def synced(client: httpx.Client, production: Made, *mutations: Any, **members: Any) -> Any:
    """Send a batch that is answered with a 200; give the answer."""
    return send(client, production, *mutations, **members).raise_for_status().json()


def statuses(body: Any) -> list[str]:
    """Return the status of each result."""
    return [result["status"] for result in body["results"]]


async def log_of(url: str, production: str) -> list[object]:
    """Return all that a production's log says of what was done."""
    return await databases.column(url, LOG, production)
