"""Dates: bare or full ISO in; UTC with milliseconds and Z out; text that looks like one is text."""

from typing import Any

import httpx
import pytest

from app.model.entity import Row
from tests.support.bodies import ALL, minimal, named, optional

DATED = [(e, n) for e in ALL for n, kind in optional(e).items() if kind == "datetime"]
dated = pytest.mark.parametrize(
    ("entity", "member"), DATED, ids=[f"{e.collection}-{n}" for e, n in DATED]
)


@pytest.mark.parametrize(
    ("sent", "comes_back"),
    [
        ("2027-03-01", "2027-03-01T00:00:00.000Z"),
        ("2027-03-01T08:30:00Z", "2027-03-01T08:30:00.000Z"),
        ("2027-03-01T08:30:00.123456Z", "2027-03-01T08:30:00.123Z"),
        ("2027-03-01T08:30:00+02:00", "2027-03-01T06:30:00.000Z"),
        ("2027-03-01T08:30", "2027-03-01T08:30:00.000Z"),
        ("2027-03-01t08:30:00z", "2027-03-01T08:30:00.000Z"),
        ("0001-01-01", "0001-01-01T00:00:00.000Z"),
        ("9999-12-31T23:59:59.999Z", "9999-12-31T23:59:59.999Z"),
        ("", None),
        (None, None),
    ],
)
@dated
def test_dates_come_back_in_one_form(
    make: Any, entity: type[Row], member: str, sent: str | None, comes_back: str | None
) -> None:
    assert make(entity.collection, **minimal(entity, **{member: sent}))[member] == comes_back


@pytest.mark.parametrize(
    "sent",
    ["tomorrow", "2027-13-01", "2027-02-30", 1_800_000_000, True, [], {}, "2027-03-01T25:00",
     "0001-01-01T00:00+14:00", "9999-12-31T23:00-05:00", "1" * 5_000, "2027-03-01\x00"],
    ids=str,
)  # fmt: skip
@dated
def test_what_is_no_date_is_refused(
    client: httpx.Client, production: dict[str, Any], entity: type[Row], member: str, sent: Any
) -> None:
    body = {"productionId": production["id"], **minimal(entity), member: sent}
    answer = client.post(f"/api/{entity.collection}", json=body)
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["path"] == member


@pytest.mark.parametrize("entity", ALL, ids=named)
def test_a_name_that_looks_like_a_date_stays_text(make: Any, entity: type[Row]) -> None:
    name = next(iter(minimal(entity)))
    for text in ("2026-03-01", "2026-03-01 rehearsal", "2026-03-01T00:00:00Z"):
        assert make(entity.collection, **{**minimal(entity), name: text})[name] == text
