"""Another company's show does not exist: in no list, by no key, in no label, count or tag."""

import asyncio
from collections.abc import Iterator
from typing import Any, Final, NamedTuple

import httpx
import pytest
from pydantic import SecretStr

from app.access.caller import Role
from tests.support.callers import PEPPERS, bearer, subject_of, token
from tests.support.service import PlainClient, ServiceClient, created, service

CREW, OPERATOR = "a-token-for-the-crew", "a-token-for-operators"
NEVER = "01900000-0000-7000-8000-00000000dead"
Row = dict[str, Any]


class Two(NamedTuple):
    """Two companies, each with a show and a camera of the same label; who sees all, and a viewer.

    ``crew`` has the show ``theirs``, and the client ``ours`` belongs to the other company.
    """

    crew: httpx.Client
    ours: httpx.Client
    viewer: httpx.Client
    operator: httpx.Client
    own: Row
    theirs: Row
    own_camera: Row
    their_camera: Row
    subject: str


@pytest.fixture(scope="module")
def served(shared_database: str) -> Iterator[tuple[str, ServiceClient]]:
    tokens = {"access_token": SecretStr(CREW), "operator_token": SecretStr(OPERATOR)}
    with service(shared_database, token_peppers=PEPPERS, **tokens) as client:
        client.headers.update(bearer(CREW))
        yield shared_database, client


@pytest.fixture
def two(served: tuple[str, ServiceClient]) -> Iterator[Two]:
    url, crew = served
    own, theirs = (created(crew, "productions", name=name) for name in ("Ours", "Theirs"))
    own_camera, their_camera = (
        created(crew, "cameras", name="x", id="CAM 7", productionId=show["uuid"])
        for show in (own, theirs)
    )
    editor = asyncio.run(token(url, Role.EDITOR, own))
    viewer = asyncio.run(token(url, Role.VIEWER, own))
    with (
        PlainClient(timeout=30, base_url=crew.base_url, headers=bearer(editor)) as ours,
        PlainClient(timeout=30, base_url=crew.base_url, headers=bearer(viewer)) as looking,
        PlainClient(timeout=30, base_url=crew.base_url, headers=bearer(OPERATOR)) as operator,
    ):
        yield Two(
            crew, ours, looking, operator, own, theirs, own_camera, their_camera, subject_of(editor)
        )


def shown(answer: httpx.Response, *keys: str) -> tuple[int, str]:
    """Return status and body, with the keys that were asked for and the request's id taken out."""
    text = answer.text
    for key in keys:
        text = text.replace(key, "<key>")
    return answer.status_code, text


READS = (
    "/api/productions/{show}", "/api/productions/{show}/show", "/api/productions/{show}/history",
    "/api/productions/{show}/changes", "/api/productions/{show}/changes/stream",
    "/api/productions/{show}/events", "/api/productions/{show}/events/since/0",
    "/api/productions/{show}/events/entity/{row}", "/api/productions/{show}/export",
    "/api/productions/{show}/label-clashes", "/api/productions/{show}/sync/runs",
    "/api/cameras/production/{show}", "/api/cameras/{row}", "/api/cameras/{row}/history",
    "/api/cameras/CAM 7?production={show}", "/api/device-ports/device/{row}",
    "/api/productions/{show}/checks", "/api/cameras/{row}/trace", "/api/cameras/{row}/impact",
)  # fmt: skip
_DELETING = {"operations": [{"op": "delete", "key": "x"}]}
WRITES: Final[tuple[tuple[str, str, Any], ...]] = (
    ("PATCH", "/api/productions/{show}", {"showName": "x", "version": 1}),
    ("DELETE", "/api/productions/{show}", None),
    ("POST", "/api/productions/{show}/restore", {"version": 1}),
    ("POST", "/api/productions/{show}/copy", {}),
    ("POST", "/api/productions/{show}/changes/1/undo", {}),
    ("POST", "/api/productions/{show}/changes/1/undo-request", {}),
    ("POST", "/api/productions/{show}/sync", {"mutations": [], "since": 0}),
    ("POST", "/api/productions/{show}/cameras/bulk", _DELETING),
    ("POST", "/api/productions/{show}/cameras/renumber", {"uuids": [NEVER], "prefix": "C"}),
    ("PUT", "/api/cameras/{row}", {"name": "x", "version": 1}),
    ("PATCH", "/api/cameras/CAM 7?production={show}", {"name": "x", "version": 1}),
    ("DELETE", "/api/cameras/{row}", None),
    ("POST", "/api/cameras/{row}/restore", {"version": 1}),
    ("POST", "/api/cameras", {"name": "x", "productionId": "{show}"}),
    ("POST", "/api/device-ports/device/{row}/sync", {"productionId": "{show}", "ports": []}),
)  # fmt: skip


def ask(client: httpx.Client, method: str, path: str, body: Any, show: str, row: str) -> Any:
    path = path.replace("{show}", show).replace("{row}", row)
    if isinstance(body, dict) and "productionId" in body:
        body = {**body, "productionId": show}
    return shown(client.request(method, path, json=body), show, row)


@pytest.mark.parametrize("key", ["uuid", "id"])
@pytest.mark.parametrize(
    ("method", "path", "body"), [*(("GET", path, None) for path in READS), *WRITES]
)
def test_a_foreign_show_is_answered_like_one_that_never_was(
    two: Two, method: str, path: str, body: Any, key: str
) -> None:
    never = {"uuid": NEVER, "id": "NEVER 1"}[key]
    foreign = ask(two.ours, method, path, body, two.theirs[key], two.their_camera["uuid"])
    unknown = ask(two.ours, method, path, body, never, NEVER)
    assert foreign == unknown
    assert foreign[0] in {400, 404} or foreign[1] == "[]"
    again = two.crew.get(f"/api/cameras/{two.their_camera['uuid']}").json()
    assert again == two.their_camera


def test_tags_and_counts_tell_of_own_shows_alone(two: Two) -> None:
    listed = two.ours.get("/api/productions")
    assert [show["uuid"] for show in listed.json()] == [two.own["uuid"]]
    created(two.crew, "productions", name="One more of theirs")
    tag = {"if-none-match": listed.headers["etag"]}
    assert two.ours.get("/api/productions", headers=tag).status_code == 304
    change = {"showName": "Ours, again", "version": two.own["version"]}
    two.ours.patch(f"/api/productions/{two.own['uuid']}", json=change).raise_for_status()
    assert two.ours.get("/api/productions", headers=tag).status_code == 200


def test_a_label_means_the_own_row(two: Two) -> None:
    answer = two.ours.get("/api/cameras/CAM 7")
    assert answer.json()["uuid"] == two.own_camera["uuid"]
    assert two.crew.get("/api/cameras/CAM 7").status_code == 409
    edit = {"name": "by its label", "version": 1}
    assert two.ours.patch("/api/cameras/cam 7", json=edit).json()["name"] == "by its label"
    within = f"/api/cameras/CAM 7?production={two.own['id']}"
    assert two.ours.get(within).json()["uuid"] == two.own_camera["uuid"]


def test_who_makes_a_show_is_its_editor_and_hears_of_no_other_label(two: Two) -> None:
    twin = created(two.ours, "productions", name="Gala", id=two.theirs["id"])
    assert twin["id"] == two.theirs["id"]  # theirs has that label, and nobody here is told so
    assert two.ours.get(f"/api/productions/{twin['id']}").json() == twin
    created(two.ours, "cameras", name="x", productionId=twin["id"])
    again = two.ours.post("/api/productions", json={"name": "Gala", "id": twin["id"]})
    assert again.json()["code"] == "DUPLICATE_ID"
    suggested = again.json()["suggestedId"]
    assert suggested not in {twin["id"], two.own["id"]}
    members = two.operator.get("/api/admin/memberships", params={"subject": two.subject}).json()
    assert {m["productionUuid"]: m["role"] for m in members}[twin["uuid"]] == "editor"


def test_a_copy_and_an_import_belong_to_who_made_them(two: Two) -> None:
    copied = two.ours.post(f"/api/productions/{two.own['id']}/copy", json={}).raise_for_status()
    document = two.ours.get(f"/api/productions/{two.own['id']}/export").json()
    brought = two.ours.post("/api/productions/import?uuids=new", json=document).raise_for_status()
    for made in (copied.json(), brought.json()):
        assert two.ours.get(f"/api/productions/{made['uuid']}/show").status_code == 200
        assert two.viewer.get(f"/api/productions/{made['uuid']}/show").status_code == 404


def test_a_new_label_names_no_foreign_show(two: Two) -> None:
    edit = {"id": two.theirs["id"], "version": two.own["version"]}
    answer = two.ours.patch(f"/api/productions/{two.own['uuid']}", json=edit).raise_for_status()
    assert "labelClash" not in answer.json()


def test_nobody_is_sent_the_answer_to_another(two: Two) -> None:
    body = {"name": "x", "productionId": two.own["uuid"]}
    key = {"idempotency-key": f"key-{two.own['uuid']}"}
    first = two.crew.post("/api/cameras", json=body, headers=key)
    second = two.ours.post("/api/cameras", json=body, headers=key)
    assert (first.status_code, second.status_code) == (201, 201)
    assert first.json()["uuid"] != second.json()["uuid"]
    assert "idempotency-replayed" not in second.headers
    again = two.ours.post("/api/cameras", json=body, headers=key)
    assert again.headers["idempotency-replayed"] == "true"
    assert again.json() == second.json()


def test_a_viewer_reads_and_writes_nothing(two: Two) -> None:
    assert two.viewer.get(f"/api/productions/{two.own['id']}/show").status_code == 200
    for method, path, body in WRITES:
        status, text = ask(two.viewer, method, path, body, two.own["uuid"], two.own_camera["uuid"])
        assert (status, "FORBIDDEN" in text) == (403, True), path


def test_a_viewer_sees_no_secret(two: Two) -> None:
    key = "a-key-of-a-stream-0815"
    stream = created(two.ours, "streams", name="x", productionId=two.own["uuid"], streamKey=key)
    paths = (f"/api/streams/{stream['uuid']}", f"/api/streams/production/{two.own['uuid']}",
             f"/api/productions/{two.own['uuid']}/show")  # fmt: skip
    for path in paths:
        ours = two.ours.get(path)
        theirs = two.viewer.get(path, headers={"if-none-match": ours.headers["etag"]})
        assert key in ours.text
        if theirs.status_code == 200:
            assert key not in theirs.text
        assert key not in two.viewer.get(path).text


def test_a_role_counts_as_soon_as_it_is_given(two: Two) -> None:
    path = f"/api/productions/{two.theirs['uuid']}"
    body = {"subject": two.subject, "production": two.theirs["uuid"], "role": "viewer"}
    assert two.ours.get(path).status_code == 404
    two.operator.put("/api/admin/memberships", json=body).raise_for_status()
    assert eventually(lambda: two.ours.get(path).status_code, 200)
    assert two.ours.patch(path, json={"showName": "x", "version": 1}).status_code == 403
    which = {"subject": two.subject, "production": two.theirs["uuid"]}
    two.operator.delete("/api/admin/memberships", params=which).raise_for_status()
    assert eventually(lambda: two.ours.get(path).status_code, 404)


def eventually(ask: Any, wanted: Any) -> bool:
    """Ask until the announcement has come; PostgreSQL carries it a moment after the answer."""
    return any(ask() == wanted for _ in range(2_000))


def test_what_belongs_to_no_show_is_read_by_all_and_changed_by_who_may_everywhere(
    two: Two,
) -> None:
    for path in ("/api/equipment", "/api/formats", "/api/settings"):
        assert two.viewer.get(path).status_code == 200
    assert two.ours.patch("/api/settings", json={"theme": "dark"}).status_code == 403
    assert two.crew.patch("/api/settings", json={"theme": "dark"}).status_code == 200


def test_a_device_that_has_a_foreign_one_s_uuid_has_none_of_its_ports(two: Two) -> None:
    """Clients make uuids, and another type's row may take one that is known."""
    uuid = two.their_camera["uuid"]
    ports = [{"portLabel": "SDI 1", "direction": "OUTPUT", "ioType": "SDI"}]
    body = {"productionId": two.theirs["uuid"], "ports": ports}
    path = f"/api/device-ports/device/{uuid}"
    two.crew.post(f"{path}/sync", json=body).raise_for_status()
    created(two.ours, "ccus", name="x", uuid=uuid, productionId=two.own["uuid"])
    assert two.ours.get(path).json() == []
    own = {"productionId": two.own["uuid"], "ports": []}
    assert two.ours.post(f"{path}/sync", json=own).json() == []
    assert len(two.crew.get(path).json()) == 1
