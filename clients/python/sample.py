"""What a client of Signalbook does, in Python; run it against a service.

Create, list, edit together, many at once, catch up, offline work, delete:
``python sample.py http://127.0.0.1:3010``.
"""

import os
import sys
from http import HTTPStatus
from uuid import uuid4

from signalbook_client import AuthenticatedClient
from signalbook_client.api.camera import (
    bulk_cameras,
    create_camera,
    delete_camera,
    get_camera,
    list_cameras,
    update_camera,
)
from signalbook_client.api.changes import list_changes
from signalbook_client.api.production import create_production, delete_production
from signalbook_client.api.sync import sync_production
from signalbook_client.models import (
    Camera,
    CameraBulk,
    CameraBulkAnswer,
    CameraBulkCreate,
    CameraBulkRow,
    CameraBulkUpdate,
    CameraCreate,
    CameraUpdate,
    CameraUpdated,
    Deleted,
    Feed,
    Mutation,
    MutationCollection,
    MutationDataType0,
    MutationOp,
    NotFoundError,
    Production,
    ProductionCreate,
    Sync,
    SyncAnswer,
    VersionConflictError,
)

address = sys.argv[1] if len(sys.argv) > 1 else "http://127.0.0.1:3010"
token = os.environ.get("ACCESS_TOKEN")
client = AuthenticatedClient(address, token or "")
if not token:  # a service without tokens asks for none, and refuses one that is wrong
    del client.get_httpx_client().headers["Authorization"]

# A show, and a camera in it. Without an id it gets the next free label.
show = create_production.sync(
    client=client, body=ProductionCreate(show_name="The sample of a client", client=None)
)
assert isinstance(show, Production), show
production = str(show.uuid)
camera = create_camera.sync(
    client=client, body=CameraCreate(production_id=production, name="LONG LENS CENTER")
)
assert isinstance(camera, Camera), camera
assert camera.id == "CAM 1"
key = str(camera.uuid)

# The list, and the same list again: 304, there is nothing new.
listed = list_cameras.sync_detailed(production, client=client)
assert isinstance(listed.parsed, list)
assert [each.uuid for each in listed.parsed] == [camera.uuid]
unchanged = list_cameras.sync_detailed(
    production, client=client, if_none_match=listed.headers["etag"]
)
assert unchanged.status_code == HTTPStatus.NOT_MODIFIED

# Two people began at version 1. Different fields are merged …
anna = update_camera.sync(
    key, client=client, body=CameraUpdate(version=1, name="JIB", user_name="Anna")
)
assert isinstance(anna, CameraUpdated), anna
bob = update_camera.sync(
    key, client=client, body=CameraUpdate(version=1, lens_type="22x7.6", user_name="Bob")
)
assert isinstance(bob, CameraUpdated), bob
assert (bob.name, bob.lens_type) == ("JIB", "22x7.6")

# … the same field is a conflict.
refused = update_camera.sync(
    key, client=client, body=CameraUpdate(version=1, name="CRANE", user_name="Bob")
)
assert isinstance(refused, VersionConflictError), refused
assert refused.current_version == 3

# Many at once: all or nothing.
many = bulk_cameras.sync(
    production,
    client=client,
    idempotency_key=str(uuid4()),
    body=CameraBulk(
        operations=[
            CameraBulkCreate(op="create", data=CameraBulkRow(name="HANDHELD 1")),
            CameraBulkUpdate(op="update", key=key, data=CameraUpdate(note="on the riser")),
        ]
    ),
)
assert isinstance(many, CameraBulkAnswer), many
assert [each.status for each in many.results] == ["created", "updated"]

# What was done since: the feed, from any number on.
feed = list_changes.sync(production, client=client, since=0)
assert isinstance(feed, Feed), feed
assert feed.changes[-1].seq == feed.latest

# Work that was done offline, sent as one batch; sent again, it is not done again.
work = MutationDataType0()
work.additional_properties = {"name": "ROOF"}
batch = Sync(
    client_id="the sample",
    since=feed.next_,
    mutations=[
        Mutation(
            mutation_id=str(uuid4()),
            op=MutationOp.CREATE,
            collection=MutationCollection.CAMERAS,
            uuid=uuid4(),
            data=work,
        )
    ],
)
for status in ("applied", "duplicate"):
    synced = sync_production.sync(production, client=client, body=batch)
    assert isinstance(synced, SyncAnswer), synced
    assert [result.status for result in synced.results] == [status]

# Gone from every list; a restore would bring it back.
deleted = delete_camera.sync(key, client=client)
assert isinstance(deleted, Deleted), deleted
assert isinstance(get_camera.sync(key, client=client), NotFoundError)
delete_production.sync(production, client=client)
print("The whole sample was done.")
