"""Records the examples of the OpenAPI document from a service with the sample show.

``scripts/openapi --record`` builds a database by the release gate, so that there is a release to be
looked at, serves it with the sample show, and walks through all there is to ask.

What was accepted and what was answered is kept by the name of its schema in
``app/api/examples.json``; the document has them from there. Keys and times are replaced by others
that stay the same from one recording to the next.
"""

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final
from urllib.parse import quote, urlsplit

import httpx

from app.entities import discovered
from app.installation.lists import CONNECTOR_TYPES, FRAME_RATES, LISTS, RESOLUTIONS
from app.model.entity import Entity

FILE: Final = Path(__file__).parents[1] / "app" / "api" / "examples.json"
_UUID: Final = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_TIME: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
_MINUTE: Final = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d UTC")
_FOLDER: Final = re.compile(r"host=[^&\"]+/run\b")
_PATIENCE: Final = 120  # seconds for a service to start, or to answer beside other work
_FEW: Final = 2
_LONG: Final = 300
_SERVING: Final = re.compile(r'"url": ?"(http[^"]+)"')
_DIGEST: Final = re.compile(r"\b[0-9a-f]{64}\b")
_JSON: Final = "application/json"
_MADE: Final = "00000000-0000-4000-8000-00000000"
"""The first figures of the uuids that the examples choose themselves."""


class Recorder:
    """Sends requests and keeps one example of each schema of the document."""

    def __init__(self, client: httpx.Client) -> None:
        self.client = client
        self.document = client.get("/openapi.json").json()
        self.examples: dict[str, Any] = {}
        self._paths = [
            (re.compile(re.sub(r"\{\w+\}", "[^/]+", path)), methods)
            for path, methods in sorted(self.document["paths"].items(), key=_least_open)
        ]
        self._codes = {
            schema["properties"]["code"]["const"]: name
            for name, schema in self.document["components"]["schemas"].items()
            if "const" in schema.get("properties", {}).get("code", {})
        }

    def __call__(self, method: str, path: str, body: Any = None) -> Any:
        """Send a request, keep its body and its answer, and return the answer.

        Raise httpx.HTTPStatusError if it is refused.
        """
        answer = self.client.request(method, quote(path, safe="/?=&"), json=body)
        answer.raise_for_status()
        operation = self._operation(method, path)
        if body is not None:
            self._keep(_name(operation["requestBody"]["content"][_JSON]["schema"]), body)
        schema = operation["responses"][str(answer.status_code)]["content"][_JSON]["schema"]
        value = answer.json()
        if schema.get("type") == "array" and "$ref" in schema["items"]:
            self._keep(_name(schema["items"]), value[0] if value else None)
        else:
            self._keep(_name(schema) or operation["operationId"], value)
        return value

    def refuse(self, method: str, path: str, body: Any = None, **more: Any) -> None:
        """Send a request that is a mistake, and keep what it is told."""
        answer = self.client.request(method, quote(path, safe="/?=&"), json=body, **more)
        assert answer.is_error, answer.text
        self._keep(self._codes[answer.json()["code"]], answer.json())

    def _keep(self, name: str, example: Any) -> None:
        if name and example is not None:
            self.examples.setdefault(name, example)

    def _operation(self, method: str, path: str) -> dict[str, Any]:
        plain = urlsplit(path).path
        for pattern, methods in self._paths:
            if pattern.fullmatch(plain) and method.lower() in methods:
                return dict(methods[method.lower()])
        return {}


def _least_open(item: tuple[str, Any]) -> tuple[int, str]:
    return item[0].count("{"), item[0]


def _name(schema: dict[str, Any]) -> str:
    return str(schema.get("$ref", "")).rpartition("/")[2]


def record(client: httpx.Client) -> dict[str, Any]:
    """Return the examples that a service with a fresh sample show gives."""
    ask = Recorder(client)
    show = ask("GET", "/api/productions")[0]["uuid"]
    for entity in discovered().values():
        if issubclass(entity, Entity):
            _record_type(ask, entity, show)
    _record_show(ask, show)
    _record_ports(ask, show)
    _record_signals(ask, show)
    _record_formats(ask)
    _record_settings(ask)
    _record_equipment(ask)
    _record_errors(ask, show)
    for path in ("/health", "/livez", "/api/health", "/api/server/info"):
        ask("GET", path)
    _record_operations(ask)
    _record_memberships(ask, show)
    ask.examples["stream_changes"] = _event(ask.examples["Feed"]["changes"][0])
    # A real one would be another each time.
    until = "2027-05-16T08:03:24.000Z"
    ask.examples["Ticket"] = {"ticket": "WyJ0b2tlbjo0.u1Zx", "expiresAt": until}
    # Nobody has a token here, so nobody would be signed in.
    ask.examples["PageSession"] = {
        "userId": "anna", "userName": "Anna", "role": "editor", "signedIn": True,
    }  # fmt: skip
    # The credentials and addresses of the recording would be of no use to anybody.
    ask.examples["AuditPage"] = {
        "entries": [{
            "uuid": "01a2a6f0-9d31-7c52-8f3a-5f2f0c1b7e44", "at": "2027-05-16T08:03:24.000Z",
            "event": "token.created", "outcome": "ok", "subject": "setting:OPERATOR_TOKEN",
            "userId": "operator", "userName": "Operator", "address": "203.0.113.7",
            "requestId": "0d8fb7107f9f4999026dbbebf8e454d6",
            "details": {"token": "k7m2q9x4t1w8z3c6", "label": "Truck 1", "role": "editor",
                        "productions": None, "expires": None},
        }],
        "next": None,
    }  # fmt: skip
    return _steady(ask.examples)


def _record_type(ask: Recorder, entity: type[Entity], show: str) -> None:
    """Walk a row of one type through its life."""
    path, many = f"/api/{entity.collection}", f"/api/productions/{show}/{entity.collection}"
    own = {**entity.example}
    ask("GET", f"{path}/production/{show}")
    created = ask("POST", path, {"productionId": "SHOW 1", **own})
    row = f"{path}/{created['uuid']}"
    ask("GET", row)
    changed = {"version": created["version"], "note": "Checked on the day.", "userName": "Anna"}
    ask("PATCH", row, changed)
    ask("GET", f"{row}/history")
    other = own | {name: f"{own[name]}0" for name in map(entity.wire, entity.unique)}
    ask("POST", f"{many}/bulk", {
        "operations": [
            {"op": "create", "data": other},
            {"op": "update", "key": created["uuid"], "data": {"note": "Spare."}},
        ],
        "userName": "Anna",
    })  # fmt: skip
    ask("POST", f"{many}/renumber", {"prefix": entity.prefix, "start": 1, "userName": "Anna"})
    ask("DELETE", row, {"userName": "Anna"})
    ask("POST", f"{row}/restore", {"userName": "Anna"})


def _record_ports(ask: Recorder, show: str) -> None:
    """Read the ports of a device, and save them as they are."""
    ccu = ask("GET", f"/api/ccus/production/{show}")[0]
    path = f"/api/device-ports/device/{ccu['uuid']}"
    names = ("uuid", "portLabel", "ioType", "direction")
    ports = [{name: port[name] for name in names} for port in ask("GET", path)]
    ask("POST", f"{path}/sync", {"productionId": show, "ports": ports, "userName": "Anna"})


def _record_signals(ask: Recorder, show: str) -> None:
    """Ask what the signal flow of the show is."""
    send = ask("GET", f"/api/sends/production/{show}")[3]["uuid"]
    ask("GET", f"/api/sends/{send}/trace")
    ask("GET", f"/api/sends/{send}/impact")
    ask("GET", f"/api/productions/{show}/checks")


def _record_show(ask: Recorder, show: str) -> None:
    """Ask what there is to know of a whole show, and write what concerns it alone."""
    path = f"/api/productions/{show}"
    version = ask("GET", path)["version"]
    ask("POST", "/api/productions", {**discovered()["productions"].example})
    ask("PATCH", path, {"version": version, "room": "Hall 3", "userName": "Anna"})
    opened = ask("GET", f"{path}/show")
    exported = ask("GET", f"{path}/export")
    ask("POST", "/api/productions/import?uuids=new", _small(exported))
    ask("POST", f"{path}/copy", {
        "showName": "Northwind Partner Summit 2028", "loadIn": "2028-05-15",
        "collections": ["cameras", "ccus", "checklistItems"], "userName": "Anna",
    })  # fmt: skip
    camera = opened["cameras"][0]
    ask("PATCH", f"/api/cameras/{camera['uuid']}", {"id": opened["cameras"][1]["id"]})
    ask("GET", f"{path}/label-clashes")
    ask("PATCH", f"/api/cameras/{camera['uuid']}", {"id": camera["id"], "userName": "Anna"})
    latest = ask("GET", f"{path}/changes?since=0&limit=1")["latest"]
    ask("POST", f"{path}/changes/{latest}/undo", {"userName": "Bob"})
    bulk = {"operations": [{"op": "delete", "key": opened["cameras"][2]["uuid"]}]}
    ask("POST", f"{path}/cameras/bulk", bulk)
    ask("POST", f"{path}/changes/{latest + 2}/undo-request", {"userName": "Bob"})
    ask("GET", f"{path}/events")
    sync = {
        "clientId": "laptop-7", "since": latest + 3, "userName": "Anna",
        "mutations": [{
            "mutationId": "m1", "op": "create", "collection": "ccus", "uuid": f"{_MADE}0001",
            "data": {"name": "STAGE LEFT"},
        }],
    }  # fmt: skip
    run = ask("POST", f"{path}/sync", sync)["runUuid"]
    ask("GET", f"{path}/sync/runs")
    ask("GET", f"{path}/sync/runs/{run}")


def _small(exported: dict[str, Any]) -> dict[str, Any]:
    """Return a show of one CCU and its camera, with the members that a person would write."""
    row = {**discovered()["cameras"].example, "ccuId": "CCU 1"}
    return {
        "format": exported["format"], "production": {"showName": "Summer Gala"},
        "ccus": [{"id": "CCU 1", "name": "STAGE"}], "cameras": [row],
    }  # fmt: skip


def _record_formats(ask: Recorder) -> None:
    """Walk a format of users through its life."""
    path = "/api/formats"
    ask("GET", path)
    raster = {"hRes": 2688, "vRes": 96, "frameRate": 59.94, "isInterlaced": False}
    created = ask("POST", path, {**raster, "blanking": "NONE", "userName": "Anna"})
    own = f"{path}/{created['uuid']}"
    ask("GET", own)
    ask("PATCH", own, {"version": created["version"], "frameRate": 60, "userName": "Anna"})
    ask("DELETE", own, {"userName": "Anna"})


def _record_settings(ask: Recorder) -> None:
    """Change each list and bring it back, and store a setting."""
    path = "/api/settings"
    ask("GET", path)
    for words in LISTS:
        own = f"{path}/{words.path}"
        ask("GET", own)
        word = {CONNECTOR_TYPES: "HDMI 2.1", FRAME_RATES: "119.88"}.get(words, "CUSTOM")
        ask("POST", own, {"rate" if words is FRAME_RATES else "name": word})
        ask("DELETE", f"{own}/{word}")
        member = {FRAME_RATES: "rates", RESOLUTIONS: "resolutions"}.get(words, "types")
        ask("PUT", f"{own}/reorder", {member: [words.defaults[1], words.defaults[0]]})
        ask("POST", f"{own}/restore-defaults")
    for method in ("PATCH", "PUT"):
        ask(method, path, {"theme": "dark", "userName": "Anna"})


def _record_equipment(ask: Recorder) -> None:
    """Read the devices that ship, and walk one of users through its life."""
    path = "/api/equipment"
    shipped = ask("GET", f"{path}?q=micro converter hdmi")[0]
    ask("GET", f"{path}/{shipped['uuid']}")
    created = ask("POST", path, {
        "category": "CONVERTER", "manufacturer": "Example", "model": "HD Cross",
        "inputs": [{"type": "3G-SDI", "label": "SDI IN"}],
        "outputs": [{"type": "HDMI", "label": "HDMI OUT"}], "userName": "Anna",
    })  # fmt: skip
    row = f"{path}/{created['uuid']}"
    hdmi = {"type": "HDMI", "label": "HDMI OUT", "format": "1080p59.94"}
    ask("PATCH", row, {"version": created["version"], "outputs": [hdmi], "userName": "Anna"})
    ask("DELETE", row, {"userName": "Anna"})


def _record_errors(ask: Recorder, show: str) -> None:
    """Make the mistakes that a client can make."""
    many, cameras = f"/api/productions/{show}", "/api/cameras"
    first, second = ask("GET", f"{cameras}/production/{show}")[:2]
    row, start = f"{cameras}/{first['uuid']}", first["version"]
    new = {"productionId": "SHOW 1", "name": "JIB"}
    ask.refuse("GET", f"{cameras}/CAM 99")
    ask.refuse("POST", cameras, {**new, "id": first["id"]})
    ask.refuse("POST", cameras, {**new, "uuid": first["uuid"]})
    ask.refuse("POST", cameras, {**new, "productionId": "SHOW 99"})
    ask.refuse("POST", cameras, {"productionId": "SHOW 1", "maxZoom": "long"})
    ask("PATCH", row, {"version": start, "name": "CRANE", "userName": "Anna"})
    ask.refuse("PATCH", row, {"version": start, "name": "JIB", "userName": "Bob"})
    ask.refuse("PATCH", row, {"name": "JIB"}, headers={"if-match": '"1-1"'})
    ask.refuse("PATCH", row, {"productionId": "SHOW 2"})
    ask.refuse("PATCH", many, {"room": "Hall 4"})
    ask("PATCH", row, {"id": second["id"]})
    ask.refuse("GET", f"{cameras}/{second['id']}")
    ask("PATCH", row, {"id": first["id"]})
    ask.refuse("PUT", cameras)
    ask.refuse("GET", f"{many}/events/since/yesterday")
    ask.refuse("GET", f"{many}/changes?since=999999")
    bulk = {"operations": [{"op": "delete", "key": "CAM 99"}]}
    ask.refuse("POST", f"{many}/cameras/bulk", bulk)
    mutation = {"mutationId": "m9", "op": "delete", "collection": "cameras", "key": "CAM 99"}
    ask.refuse("POST", f"{many}/sync", {"atomic": True, "mutations": [mutation]})
    key = {"idempotency-key": f"{_MADE}0002"}
    ask.client.post(cameras, json=new, headers=key)
    ask.refuse("POST", cameras, {**new, "name": "CRANE"}, headers=key)
    ask.refuse("POST", cameras, content=b"{", headers={"content-type": _JSON})
    ask.refuse("POST", cameras, content=b"name: JIB", headers={"content-type": "text/yaml"})
    ask.refuse("POST", cameras, content=b" " * 6_000_000, headers={"content-type": _JSON})


def _event(change: dict[str, Any]) -> str:
    """Return a change as the stream of events sends it."""
    return f"id: {change['seq']}\nevent: change\ndata: {json.dumps(change)}\n\n"


def _record_operations(ask: Recorder) -> None:
    """Ask what operators ask of a database that the gate has built."""
    ask("GET", "/api/admin/migration-status")
    run = ask("GET", "/api/admin/releases")[0]
    ask("GET", f"/api/admin/releases/{run['id']}")
    plan = f"/api/admin/releases/plans/{run['digest']}"
    ask("GET", plan)
    decision = {"decision": "approve", "who": "Ann", "why": "rehearsed, and the crew is told"}
    ask.refuse("POST", f"{plan}/decisions", decision)
    ask.examples["Decided"] = {
        **decision, "id": 1, "digest": run["digest"], "at": run["finishedAt"], "rehearsal": 1,
        "destroys": None, "valid": True,
    }  # fmt: skip


def _record_memberships(ask: Recorder, show: str) -> None:
    """Grant somebody a role in the show, and take it again."""
    path, subject = "/api/admin/memberships", "issuer:anna@example.com"
    ask("PUT", path, {"subject": subject, "production": show, "role": "editor"})
    ask("DELETE", f"{path}?subject={subject}&production={show}")


def _shortened(value: Any) -> Any:
    """Return a value whose lists and texts are short enough to be read."""
    if isinstance(value, dict):
        return {name: _shortened(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_shortened(inner) for inner in value[:_FEW]]
    if isinstance(value, str) and len(value) > _LONG:
        return f"{value[:_LONG]}…"
    return value


def _steady(examples: dict[str, Any]) -> dict[str, Any]:
    """Replace keys and times by others that do not differ from one recording to the next."""
    text = json.dumps(_shortened(dict(sorted(examples.items()))), ensure_ascii=False)
    text = _FOLDER.sub("host=/run/postgresql", _MINUTE.sub("2027-05-16 08:00 UTC", text))
    for number, uuid in enumerate(_each(_UUID, text)):
        if not uuid.startswith(_MADE):
            text = text.replace(uuid, f"019b0000-0000-7000-8000-{number:012x}")
    for number, digest in enumerate(_each(_DIGEST, text)):
        text = text.replace(digest, f"{number:064x}")
    for number, moment in enumerate(sorted(_each(_TIME, text))):
        if not moment.endswith("T00:00:00.000Z"):
            text = text.replace(moment, f"2027-05-16T{8 + number // 3600:02}:"
                                f"{number // 60 % 60:02}:{number % 60:02}.000Z")  # fmt: skip
    return dict(json.loads(text))


def _each(pattern: re.Pattern[str], text: str) -> Iterator[str]:
    return iter(dict.fromkeys(pattern.findall(text)))


@contextmanager
def served() -> Iterator[str]:
    """Serve a new database with the sample show; yield the address."""
    with TemporaryDirectory() as folder, (Path(folder) / "log").open("w+") as log:
        Path(folder).chmod(0o755)  # the account that runs PostgreSQL must reach it
        command = [sys.executable, "-m", "app"]
        # No setting of whoever runs this counts: what is written here must be nobody's database.
        env = {"PATH": os.environ["PATH"], "DATA_DIR": folder, "PORT": "0", "LOG_FORMAT": "json"}
        subprocess.run([*command, "release", "--new"], env=env, check=True, stderr=log)
        with subprocess.Popen([*command, "serve"], env=env, stderr=log) as process:
            try:
                give_up = time.monotonic() + _PATIENCE
                while not (url := _SERVING.search(Path(log.name).read_text())):
                    if process.poll() is not None or time.monotonic() > give_up:
                        raise RuntimeError(Path(log.name).read_text())
                    time.sleep(0.1)
                yield url[1]
            finally:
                process.terminate()


def main() -> None:
    """Write the file."""
    with served() as url, httpx.Client(base_url=url, timeout=_PATIENCE) as client:
        examples = record(client)
    FILE.write_text(json.dumps(examples, indent=1, ensure_ascii=False) + "\n")
    print(f"Wrote {FILE}: examples of {len(examples)} schemas.")  # said to who runs it
