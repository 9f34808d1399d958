"""Whatever is renumbered, renamed, swapped, deleted and restored: connections keep their devices.

One show, random operations. Afterwards every connection names the uuids that it was made with, and
its labels are the ones that those rows have today: in lists, in the whole show, in the log, in the
answers of syncs and restores, and for a subscriber that only takes what it is sent.
REFERENCES_ROWS sets how many rows the show has (10), REFERENCES_EXAMPLES how many shows (8).
"""

import asyncio
import os
from collections.abc import Mapping
from typing import Any, Final
from uuid import UUID

import httpx
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from app.entities import discovered
from app.live.feed.derived_rows import with_derived
from app.live.feed.entries import read_page
from tests.support.bodies import minimal
from tests.support.offline import changing, synced
from tests.support.service import created
from tests.test_writer import opened

Made = dict[str, Any]
ROWS: Final = int(os.environ.get("REFERENCES_ROWS", "10"))
EXAMPLES: Final = int(os.environ.get("REFERENCES_EXAMPLES", "8"))
# The word that a connection says for each type, in some of its spellings.
WORDS: Final = {
    "cameras": "camera", "ccus": "CCU", "sends": "sends", "cable-snakes": "SNAKE",
    "sources": "COMPUTER",
}  # fmt: skip
KINDS: Final = [*WORDS]
ENDS: Final = {
    "sourceId": "sourceUuid", "intermediateId": "intermediateUuid",
    "destinationId": "destinationUuid",
}  # fmt: skip
rows = st.integers(0, ROWS // len(KINDS) - 1)
operations = st.one_of(
    st.tuples(st.just("renumber"), st.sampled_from(KINDS), st.randoms(use_true_random=False)),
    st.tuples(st.sampled_from(["swap"]), st.sampled_from(KINDS), rows, rows),
    st.tuples(st.sampled_from(["rename", "offline"]), st.sampled_from(KINDS), rows,
              st.sampled_from(["A", "B", "SRC 1-OUT1", "CAM 1"])),
    st.tuples(st.just("output"), st.just("sources"), rows),
    st.tuples(st.sampled_from(["delete", "restore", "first"]),
              st.sampled_from([*KINDS, "connections"]), rows),
)  # fmt: skip


class Show:
    """A show with as many connections as devices, and the uuids that each was made with."""

    def __init__(self, client: httpx.Client) -> None:
        self.client = client
        self.production = created(client, "productions", name="Show")
        each = ROWS // len(KINDS)
        self.made: dict[str, list[Made]] = {
            kind: [self._make(kind) for _ in range(each)] for kind in KINDS
        }
        self.typed: set[str] = set()
        devices = [(kind, row) for kind in KINDS for row in self.made[kind]]
        self.made["connections"] = [
            self._connect(self.made["sources"][n % each], devices[n], devices[-n - 1])
            for n in range(len(devices))
        ]
        self.first = {row["uuid"]: self.ends(row) for row in self.made["connections"]}

    def _make(self, kind: str) -> Made:
        more = {"outputs": [{"connector": "SDI"}]} if kind == "sources" else {}
        body = minimal(discovered()[kind], productionId=self.production["uuid"], **more)
        return created(self.client, kind, **body)

    def _connect(self, source: Made, through: tuple[str, Made], to: tuple[str, Made]) -> Made:
        return created(
            self.client, "connections", productionId=self.production["uuid"],
            sourceId=source["id"], sourceOutputId=source["outputs"][0]["id"],
            intermediateType=WORDS[through[0]], intermediateId=through[1]["id"],
            destinationType=WORDS[to[0]], destinationId=to[1]["id"],
        )  # fmt: skip

    def ends(self, row: Mapping[str, Any]) -> list[Any]:
        assert row["unresolved"] == []
        return [row[member] for member in (*ENDS.values(), "sourceOutputUuid")]

    def post(self, path: str, **body: Any) -> httpx.Response:
        answer = self.client.post(f"/api/{path}", json=body)
        assert answer.status_code in {200, 404, 409, 422}, answer.text
        return answer

    def listed(self, kind: str) -> list[Made]:
        path = f"/api/{kind}/production/{self.production['uuid']}"
        found: list[Made] = self.client.get(path).json()
        return found

    def run(self, operation: Any) -> None:
        word, kind, *more = operation
        live = self.listed(kind)
        row = self.made[kind][more[0]] if isinstance(more[0], int) else {}
        path = f"{kind}/{row.get('uuid')}"
        if word == "renumber":
            more[0].shuffle(live)
            where = f"productions/{self.production['uuid']}/{kind}/renumber"
            if live:
                self.post(where, order=[one["uuid"] for one in live])
        elif word == "swap":
            self._swap(kind, live, *(self.made[kind][n]["uuid"] for n in more))
        elif word == "rename":
            self.client.patch(f"/api/{path}", json={"id": more[1]})
        elif word == "offline":
            mutation = changing(discovered()[kind], row["uuid"], id=more[1])
            synced(self.client, self.production, mutation)
        elif word == "output":
            self.typed.add(row["uuid"])
            typed = {"outputs": [{**row["outputs"][0], "id": f"TYPED {len(live)}"}]}
            self.client.patch(f"/api/{path}", json=typed)
        elif word == "delete":
            self.client.delete(f"/api/{path}")
        else:
            answer = self.post(f"{path}/restore", **({"version": 1} if word == "first" else {}))
            if kind == "connections" and answer.status_code == 200:
                assert self.ends(answer.json()) == self.first[row["uuid"]]

    def _swap(self, kind: str, live: list[Made], one: str, other: str) -> None:
        labels = {row["uuid"]: row["id"] for row in live}
        if one == other or not {one, other} <= labels.keys():
            return
        pairs = ((one, labels[other]), (other, labels[one]))
        steps = [{"op": "update", "key": key, "data": {"id": label}} for key, label in pairs]
        self.post(f"productions/{self.production['uuid']}/{kind}/bulk", operations=steps)

    def labels(self) -> dict[str, str]:
        """Return the label of every device and output by uuid; the last one of what is deleted."""
        found: dict[str, str] = {}
        path = f"/api/productions/{self.production['uuid']}/changes"
        since, page = 0, {"latest": 1}
        while since < page["latest"]:
            page = self.client.get(path, params={"since": since, "limit": 1000}).json()
            for change in page["changes"]:
                since, row = change["seq"], change["entityData"]
                elements = row.get("outputs") or []
                for one in [row, *(elements if isinstance(elements, list) else [])]:
                    if "uuid" in one:
                        found[one["uuid"]] = one["id"]
                if change["collection"] == "connections":
                    assert self.ends(row) == self.first[row["uuid"]]
        return found

    def check(self, row: Mapping[str, Any], labels: Mapping[str, str]) -> None:
        assert self.ends(row) == self.first[row["uuid"]]
        for label, uuid in {**ENDS, "sourceOutputId": "sourceOutputUuid"}.items():
            assert row[label] == labels[row[uuid]], label


async def _received(url: str, production: str) -> dict[str, Any]:
    """Return the connections of a subscriber that took all entries and the rows beside them."""
    rows: dict[str, Any] = {}
    async with opened(url) as database:
        since, latest = 0, 1
        while since < latest:
            page = await read_page(database, UUID(production), since)
            assert page is not None
            for entry in await with_derived(database, UUID(production), page.entries):
                if entry.collection == "connections":
                    rows[entry.entity] = entry.body
                rows |= {d.uuid: d.body for d in entry.derived if d.collection == "connections"}
            since, latest = page.through, page.latest
    return rows


@pytest.fixture(scope="module")
def loop() -> Any:
    with asyncio.Runner() as runner:
        yield runner


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=[*HealthCheck], database=None)
@given(plan=st.lists(operations, min_size=3, max_size=12))
# A page of the log may hold a renaming, and behind it an edit of the same row's outputs.
@example(plan=[("rename", "sources", 0, "A"), ("output", "sources", 0)])
@example(plan=[("rename", "sources", 1, "A"), ("output", "sources", 1)])
def test_connections_stay_at_the_devices_they_were_made_with(
    client: httpx.Client, shared_database: str, loop: Any, plan: list[Any]
) -> None:
    show = Show(client)
    for operation in plan:
        show.run(operation)
    labels, listed = show.labels(), show.listed("connections")
    for row in listed:
        show.check(row, labels)
    whole = client.get(f"/api/productions/{show.production['uuid']}/show").json()
    assert whole["connections"] == listed
    # Generated output ids go by their source's label.
    for source in show.listed("sources"):
        if source["uuid"] in show.typed:
            continue
        assert [output["id"] for output in source["outputs"]] == [f"{source['id']}-OUT1"]
    received = loop.run(_received(shared_database, show.production["uuid"]))
    assert {row["uuid"]: row for row in listed}.items() <= received.items()
