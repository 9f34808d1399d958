"""JSON is read with a byte order mark or without one; in another encoding it is refused clearly."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

import httpx
import pytest

from app.cli import load_show
from app.cli.startup import BadShow
from app.model.entity import Row
from app.rules.json_text import read_json
from app.settings import PROJECT
from tests.support.bodies import ALL, SCOPED, minimal, named

every = pytest.mark.parametrize("entity", ALL, ids=named)
JSON: Final = {"content-type": "application/json"}
WIDE: Final = ["utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le", "utf-32-be"]


def marked(body: Any) -> bytes:
    return json.dumps(body, ensure_ascii=False).encode("utf-8-sig")


@every
def test_every_body_may_begin_with_a_mark(
    client: httpx.Client, production: dict[str, Any], entity: type[Row]
) -> None:
    root = f"/api/{entity.collection}"
    scope = {"productionId": production["id"]} if entity in SCOPED else {}
    note = {"note": "Ü", "name": "Ü"} if entity in SCOPED else {"name": "Ü"}
    row = client.post(root, content=marked({**minimal(entity), **scope, **note}), headers=JSON)
    assert row.status_code == 201, row.text
    path = f"{root}/{row.json()['uuid']}"
    for method in ("PATCH", "PUT"):
        body = {"version": row.json()["version"], "id": f"{method} {row.json()['uuid']}"}
        row = client.request(method, path, content=marked(body), headers=JSON)
        assert (row.status_code, row.json()["id"]) == (200, body["id"])
    person = client.request("DELETE", path, content=marked({"userId": "anna"}))
    assert person.status_code == 200
    restored = client.post(f"{path}/restore", content=marked({}), headers=JSON)
    assert restored.status_code == 200


def test_so_may_bulk_renumber_and_sync(client: httpx.Client, production: dict[str, Any]) -> None:
    show = f"/api/productions/{production['uuid']}"
    for path, body in (
        ("cameras/bulk", {"operations": [{"op": "create", "data": {"name": "x"}}]}),
        ("cameras/renumber", {"prefix": "CAM"}),
        ("sync", {"mutations": [], "since": 0}),
    ):
        answer = client.post(f"{show}/{path}", content=marked(body), headers=JSON)
        assert answer.status_code == 200, answer.text


@pytest.mark.parametrize("encoding", WIDE)
def test_other_encodings_are_refused_by_name(
    client: httpx.Client, production: dict[str, Any], encoding: str
) -> None:
    content = json.dumps({"name": "x", "mutations": [], "operations": []}).encode(encoding)
    show = f"/api/productions/{production['uuid']}"
    for method, path in (("POST", "/api/productions"), ("PATCH", show), ("PUT", show),
                         ("DELETE", show), ("POST", f"{show}/sync"),
                         ("POST", f"{show}/cameras/bulk")):  # fmt: skip
        answer = client.request(method, path, content=content, headers=JSON)
        body = answer.json()
        assert (answer.status_code, body["code"]) == (400, "BROKEN_JSON")
        assert f"{encoding[:6].upper()}, send UTF-8" in body["message"]


@pytest.mark.parametrize("content", [b"\xef\xbb\xbf", b"\xef\xbb\xbf\xef\xbb\xbf{}", b"\xef\xbb{}",
                                     b"{}\xef\xbb\xbf", b"\x00", b"\xff", b"\xff\xfe"])  # fmt: skip
def test_a_mark_elsewhere_is_no_json(client: httpx.Client, content: bytes) -> None:
    answer = client.post("/api/productions", content=content, headers=JSON)
    assert (answer.status_code, answer.json()["code"]) == (400, "BROKEN_JSON")


def test_a_mark_inside_a_text_stays() -> None:
    assert read_json('{"a": "\ufeffb"}'.encode()) == {"a": "\ufeffb"}


def test_a_file_may_begin_with_a_mark(tmp_path: Path) -> None:
    file = tmp_path / "show.json"
    show = load_show.read(load_show.SAMPLE)
    file.write_bytes(marked(show))
    assert load_show.read(file) == show
    file.write_bytes(json.dumps(show).encode("utf-16"))
    with pytest.raises(BadShow, match="send UTF-8"):
        load_show.read(file)


def test_a_show_is_loaded_from_standard_input(shared_database: str) -> None:
    sent = marked({"production": {"name": "Piped"}, "cameras": [{"name": "Ü"}]})
    done = subprocess.run(
        [sys.executable, "-m", "app", "load", "-"], cwd=PROJECT, input=sent, capture_output=True,
        env={"DATABASE_URL": shared_database, "PATH": "/usr/bin:/bin"}, check=True, timeout=110,
    )  # fmt: skip
    assert b"Loaded 'Piped'" in done.stderr
    assert done.stdout.startswith(b"SHOW")
