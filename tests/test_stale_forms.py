"""A client that keeps only the version of an answer goes on showing its old form.

What it sends back of that form, others have changed since: it must not go back.
"""

from typing import Any
from uuid import uuid4

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.model.entity import Row
from tests.support.bodies import ALL, REPRESENTATIVES, SCOPED, full, minimal, named, optional

Made = dict[str, Any]
every = pytest.mark.parametrize("entity", ALL, ids=named)
scoped = pytest.mark.parametrize("entity", SCOPED, ids=named)
KEPT = {"both": ("version", "fieldVersions"), "version": ("version",), "map": ("fieldVersions",)}


def texts(entity: type[Row]) -> tuple[str, str, str]:
    """Return three members that every row of the type has: theirs, and two of the form's user."""
    if entity not in SCOPED:
        return "venue", "client", "room"
    ends = {entity.wire(name) for name in (*entity.ends(), *entity.ends().values())}
    ends |= {entity.wire(device.kind) for device in entity.device_references}
    taken = {"note", *ends, *map(entity.wire, entity.synonyms.values())}
    texts = [name for name, word in optional(entity).items() if word == "str"]
    texts += [name for name, value in minimal(entity).items() if value == "A name"]
    return "note", "id", next(name for name in texts if name not in taken)


class OldForm:
    """A client with a form of its own: of an answer it keeps only what ``kept`` names."""

    def __init__(
        self, client: httpx.Client, entity: type[Row], row: Made, kept: str, door: str
    ) -> None:
        self.client, self.entity, self.row, self.door = client, entity, row, door
        self.form = {k: v for k, v in row.items() if k not in {"updatedAt", *KEPT["both"]}}
        self.kept = KEPT[kept]
        self.base: Made = {"version": row["version"]}

    def save(self, **typed: Any) -> httpx.Response:
        self.form |= typed
        answer = self.send({**self.form, **self.base, "userId": "anna"})
        if answer.status_code in {200, 409}:
            self.keep(answer.json())
        return answer

    def send(self, body: Made) -> httpx.Response:
        path = f"/api/{self.entity.collection}/{self.row['uuid']}"
        if self.door in {"PUT", "PATCH"}:
            return self.client.request(self.door, path, json=body)
        production = f"/api/productions/{self.row.get('productionUuid', self.row['uuid'])}"
        if self.door == "bulk":
            step = {"op": "update", "key": self.row["uuid"], "data": body}
            path = f"{production}/{self.entity.collection}/bulk"
            answer = self.client.post(path, json={"operations": [step], "atomic": False})
        else:
            step = {"op": "update", "uuid": self.row["uuid"], "mutationId": str(uuid4()),
                    "collection": self.entity.collection, "data": body}  # fmt: skip
            answer = self.client.post(f"{production}/sync", json={"mutations": [step]})
        [result] = answer.raise_for_status().json()["results"]
        if "error" in result:
            return httpx.Response(result["error"]["status"], json=result["error"])
        return httpx.Response(200, json=result["entity"])

    def keep(self, answer: Made) -> None:
        if "serverData" in answer:
            answer = answer["serverData"]
        self.base = {name: answer[name] for name in self.kept if answer[name]}
        self.base = self.base or {"version": answer["version"]}


def stored(client: httpx.Client, entity: type[Row], row: Made) -> Made:
    path = f"/api/{entity.collection}/{row['uuid']}"
    return dict(client.get(path).raise_for_status().json())


def edit(client: httpx.Client, entity: type[Row], row: Made, /, **members: Any) -> Made:
    """Edit as another user, who sees the row as it is."""
    path, version = (
        f"/api/{entity.collection}/{row['uuid']}",
        stored(client, entity, row)["version"],
    )
    body = {**members, "version": version, "userId": "bob", "userName": "Bob"}
    return dict(client.patch(path, json=body).raise_for_status().json())


@pytest.mark.parametrize("door", ["PUT", "PATCH", "bulk", "sync"])
@pytest.mark.parametrize("kept", KEPT)
@every
def test_what_an_old_form_still_shows_does_not_go_back(
    client: httpx.Client, make: Any, entity: type[Row], kept: str, door: str
) -> None:
    if door == "bulk" and entity not in SCOPED:
        pytest.skip("a production is in no bulk")
    theirs, mine, other = texts(entity)
    row = make(entity.collection, **full(entity, note="A") if entity in SCOPED else full(entity))
    form = OldForm(client, entity, row, kept, door)
    edit(client, entity, row, **{theirs: "B"})
    for number, member in enumerate((mine, other, mine, other)):
        assert form.save(**{member: f"Typed {number}"}).status_code == 200
    after = stored(client, entity, row)
    assert (after[theirs], after[mine], after[other]) == ("B", "Typed 2", "Typed 3")
    assert form.save().json()["version"] == after["version"], "saved again it changes nothing"


@scoped
def test_whoever_typed_the_old_value_again_gets_it(
    client: httpx.Client, make: Any, entity: type[Row]
) -> None:
    """Another user, a value alone, a row sent back whole, and the form itself after another one."""
    theirs, mine, _ = texts(entity)
    row = make(entity.collection, **full(entity, note="A"))
    form = OldForm(client, entity, row, "both", "PUT")
    for name in ("bob", "nobody", "row", "form"):
        edit(client, entity, row, **{theirs: "B"})
        answer = form.save(**{mine: f"Before {name}"}).json()
        assert answer[theirs] == "B"
        if name == "form":
            form.save(**{theirs: "C"})
            after = form.save(**{theirs: "A"}).json()
        elif name == "bob":
            after = edit(client, entity, row, **{**answer, theirs: "A"})
        else:
            whole = answer if name == "row" else {}
            after = form.send({**whole, theirs: "A", "version": answer["version"]}).json()
        assert after[theirs] == "A", name


TYPED = st.dictionaries(st.integers(0, 2), st.sampled_from("ABC"), max_size=2)
STEPS = st.lists(
    st.tuples(st.just("bob"), TYPED, st.booleans())
    | st.tuples(st.sampled_from(["answered", "lost"]), TYPED, st.booleans()),
    min_size=3, max_size=9,
)  # fmt: skip


@settings(max_examples=40, deadline=None, suppress_health_check=[*HealthCheck])
@given(
    st.sampled_from(REPRESENTATIVES), st.sampled_from(["PUT", "PATCH", "sync"]),
    st.sampled_from([*KEPT]), STEPS,
)  # fmt: skip
def test_no_value_goes_back_that_nobody_typed(
    client: httpx.Client, make: Any, entity: type[Row], door: str, kept: str, steps: Any
) -> None:
    """A form that never takes over a value, answers that get lost, and a second editor."""
    names = texts(entity)
    members = full(entity) | {name: f"{name} A" for name in names}
    if entity in SCOPED:
        members["productionId"] = make("productions", name="A show of its own")["id"]
    row = make(entity.collection, **members)
    form = OldForm(client, entity, row, kept, door)
    saved, answered = dict(form.form), row
    for who, typed, whole in steps:
        values = {names[number]: f"{names[number]} {letter}" for number, letter in typed.items()}
        before = stored(client, entity, row)
        if who == "bob":
            after = edit(client, entity, row, **{**(before if whole else {}), **values})
            assert {name: after[name] for name in values} == values
            continue
        base = form.base
        answer = form.save(**values)
        changed = {name for name in names if form.form[name] != saved[name]}
        after = stored(client, entity, row)
        back = {name for name in names if after[name] not in {before[name], form.form[name]}}
        gone = {name for name in names if after[name] != before[name]}
        assert not back
        assert gone <= changed
        if answer.status_code == 409:
            assert {c["fieldName"] for c in answer.json()["conflicts"]} <= changed
            if who == "lost":
                form.base = base
                continue
            answer, before = form.save(), after
            after = stored(client, entity, row)
            assert {name for name in names if after[name] != before[name]} <= changed
        assert answer.status_code == 200, "what a conflict says leads out of it"
        for name in changed:
            assert after[name] in {form.form[name], before[name]}
            if after[name] != form.form[name]:
                assert form.form[name] == answered[name], "what it was answered counts as seen"
        if who == "lost":
            form.base = base
        else:
            saved, answered = dict(form.form), after


def test_an_old_list_and_an_old_reference_do_not_go_back(client: httpx.Client, make: Any) -> None:
    outputs = [{"id": f"OUT {n}", "connector": "SDI"} for n in (1, 2)]
    entity = next(entity for entity in SCOPED if entity.collection == "sources")
    row = make("sources", name="x", type="x", outputs=outputs)
    form = OldForm(client, entity, row, "version", "PUT")
    first, second = row["outputs"]
    edit(client, entity, row, outputs=[{**first, "connector": "DP"}, second])
    form.save(name="Typed")
    after = form.save(outputs=[first, {**second, "connector": "HDMI"}]).json()
    assert [output["connector"] for output in after["outputs"]] == ["DP", "HDMI"]
    refused = form.save(outputs=[{**first, "connector": "VGA"}, second])
    assert refused.status_code == 409
    after = form.save().json()
    assert [output["connector"] for output in after["outputs"]] == ["VGA", "SDI"]

    ccus = [make("ccus", name="x", id=f"CCU {letter}") for letter in "AB"]
    entity = next(entity for entity in SCOPED if entity.collection == "cameras")
    row = make("cameras", name="x", ccuId="CCU A")
    form = OldForm(client, entity, row, "both", "PUT")
    edit(client, entity, row, ccuUuid=ccus[1]["uuid"])
    for number in range(3):
        after = form.save(name=f"Typed {number}").json()
        assert (after["ccuId"], after["name"]) == ("CCU B", f"Typed {number}")
