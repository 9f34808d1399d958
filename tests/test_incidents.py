"""What real requests meet counts against the health: repeated, lately, and not a client's doing."""

import asyncio

import httpx
import pytest

from app.health.incidents import LEAST, WINDOW, Incidents
from tests.support.databases import execute
from tests.support.service import service

# Refuses what the look of /health does not do: a show of this name.
PICKY = (
    "CREATE FUNCTION picky() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
    "IF NEW.show_name = 'sick' THEN RAISE EXCEPTION USING ERRCODE = '{}', MESSAGE = 'no'; END IF; "
    "RETURN NEW; END $$; CREATE TRIGGER picky BEFORE INSERT ON productions "
    "FOR EACH ROW EXECUTE FUNCTION picky()"
)


class Seconds:
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


def failing(client: httpx.Client, times: int) -> list[int]:
    """Ask for what fails, so often; give the statuses."""
    body = {"name": "sick"}
    return [client.post("/api/productions", json=body).status_code for _ in range(times)]


@pytest.mark.parametrize(
    ("state", "status", "words"),
    [
        ("XX000", 500, "INTERNAL"),
        ("42P01", 503, "SCHEMA_MISMATCH 42P01"),
        ("26000", 503, "POOLER 26000"),
        ("42P05", 503, "POOLER 42P05"),
        ("25006", 503, "DATABASE_AWAY 25006"),
        ("53200", 503, "OUT_OF_MEMORY 53200"),
        ("53300", 503, "TOO_MANY_CONNECTIONS 53300"),
    ],
)
def test_requests_that_fail_make_the_service_unhealthy(
    own_database: str, state: str, status: int, words: str
) -> None:
    asyncio.run(execute(own_database, PICKY.format(state)))
    with service(own_database) as client:
        assert failing(client, LEAST - 1) == [status] * (LEAST - 1)
        assert client.get("/health").status_code == 200, "a moment's trouble"
        failing(client, 1)
        answer = client.get("/health")
        assert answer.status_code == 503
        assert f"({words} {LEAST} times)" in answer.json()["cause"]
        assert f"{LEAST} of {LEAST} requests" in answer.json()["cause"]
        assert client.get("/api/health").status_code == 503


def test_one_full_disk_is_enough(own_database: str) -> None:
    asyncio.run(execute(own_database, PICKY.format("53100")))
    with service(own_database) as client:
        assert failing(client, 1) == [503]
        assert "DISK_FULL 1 times" in client.get("/health").json()["cause"]


@pytest.mark.parametrize("state", ["40001", "55P03", "57014", "23505", "22001"])
def test_what_a_client_did_or_a_busy_moment_does_not_count(own_database: str, state: str) -> None:
    asyncio.run(execute(own_database, PICKY.format(state)))
    with service(own_database) as client:
        statuses = failing(client, 10)
        assert all(status >= 400 for status in statuses)
        assert client.get("/health").status_code == 200


def test_few_among_many_are_a_moment_s_trouble(own_database: str) -> None:
    asyncio.run(execute(own_database, PICKY.format("XX000")))
    with service(own_database) as client:
        for _ in range(10 * LEAST + 10):
            client.get("/api/productions").raise_for_status()
        failing(client, LEAST)
        assert client.get("/health").status_code == 200


def test_it_is_over_when_they_cease() -> None:
    clock = Seconds()
    incidents = Incidents(clock)
    for _ in range(LEAST):
        incidents.count_request()
        incidents.count_failure("INTERNAL")
    assert incidents.summary() is not None
    clock.now += WINDOW + 1
    assert incidents.summary() is None
    incidents.count_request()
    assert incidents.summary() is None


def test_it_stays_small() -> None:
    clock = Seconds()
    incidents = Incidents(clock)
    for number in range(10_000):
        clock.now += 0.1
        incidents.count_request()
        incidents.count_failure(f"CODE {number}")
    assert len(incidents._seconds) == WINDOW  # noqa: SLF001  # its memory is what is looked at
    assert all(len(second[2]) <= 21 for second in incidents._seconds)  # noqa: SLF001  # its bound
