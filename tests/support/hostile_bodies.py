"""Bodies that are meant to keep the service busy: hostile values, and where a body may hold them.

Each value is JSON of at most ``SIZE`` bytes, below the largest body that the service reads.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import httpx

SIZE: Final = 4_800_000


def _filled(item: bytes, size: int = SIZE) -> bytes:
    return b"[" + b",".join([item] * (size // (len(item) + 1) - 2)) + b"]"


def _members(count: int, prefix: str = "k") -> bytes:
    return b"{" + b",".join(b'"%b%d":1' % (prefix.encode(), n) for n in range(count)) + b"}"


def _nested(depth: int) -> bytes:
    return b"[" * depth + b"]" * depth


def _text(characters: str, size: int = SIZE) -> bytes:
    return f'"{characters * (size // len(characters.encode()) - 2)}"'.encode()


VALUES: Final[Mapping[str, Callable[[], bytes]]] = {
    "empty objects": lambda: _filled(b"{}"),
    "empty lists": lambda: _filled(b"[]"),
    "whole numbers": lambda: _filled(b"1"),
    "short texts": lambda: _filled(b'"a"'),
    "400,000 members": lambda: _members(400_000),
    "members within the limits": lambda: b"[%b]" % b",".join(
        _members(4_900, f"k{n}_") for n in range(12)
    ),
    "objects within the limits": lambda: b"[%b]" % b",".join([_filled(b"{}", 14_000)] * 10),
    "a list of 5,000 of the wrong kind": lambda: _filled(b"true", 24_900),
    "5,000 objects": lambda: _filled(b"{}", 14_900),
    "a repeated name": lambda: b"{" + b",".join([b'"a":{}'] * 600_000) + b"}",
    "huge numbers": lambda: _filled(b"1e308"),
    "a huge number": lambda: b"1e308",
    "whole numbers of 4,000 digits": lambda: _filled(b"9" * 4_000),
    "deep lists": lambda: _filled(_nested(190)),
    "too deep": lambda: b"[%b,%b]" % (_nested(100_000), _filled(b"[]", 2_000_000)),
    "a long name": lambda: b'{"%b":1}' % (b"n" * (SIZE - 100)),
    "a long text": lambda: _text("é"),
    "marks of two classes": lambda: _text("\u0315\u0300"),
    "marks within the limits": lambda: _text("\u0315\u0300", 199_000),
    "joiners": lambda: _text("a\u200d\u00e9\u200d", 190_000),
    "invisible characters": lambda: _text("\u200b\u2060\u00ad", 190_000),
    "escapes": lambda: b'"' + b"\\u00e9" * 799_000 + b'"',
    "quotes": lambda: b'"' + b'\\"' * 2_399_000 + b'"',
    "many quotes, cut off": lambda: b'"' * 4_000_000,
    "blanks": lambda: b" " * (SIZE - 100) + b"1",
    "all that a row's text takes": lambda: _text("\U0001f3a5", 399_000),
}  # fmt: skip


@dataclass(frozen=True)
class Place:
    """A route, and a body of it with a gap for a value."""

    name: str
    method: str
    path: str
    before: str
    after: str

    def body(self, value: bytes) -> bytes:
        return self.before.encode() + value + self.after.encode()


@dataclass(frozen=True)
class ShowKeys:
    """The uuids that paths name: a show, and rows of it."""

    show: str
    source: str
    connection: str
    camera: str
    router: str


def places(keys: ShowKeys) -> Iterator[Place]:
    """Yield a body of each family of routes, with its gap where most work is to be had."""
    show, rows = keys.show, f"/api/productions/{keys.show}"
    own = f'{{"productionId":"{show}",'
    data = '{"name":"x","outputs":'
    yield Place("create", "POST", "/api/sources", f'{own}"name":"x","type":"A","outputs":', "}")
    yield Place("create: text", "POST", "/api/cameras", f'{own}"name":"x","note":', "}")
    yield Place("create: label", "POST", "/api/cameras", f'{own}"name":"x","id":', "}")
    yield Place("create: unknown", "POST", "/api/cameras", f'{own}"name":"x","more":', "}")
    yield Place("create: all", "POST", "/api/ccus", "", "")
    yield Place("update: list", "PATCH", f"/api/sources/{keys.source}", '{"outputs":', "}")
    yield Place("update: free", "PATCH", f"/api/connections/{keys.connection}",
                '{"signalPath":', "}")  # fmt: skip
    yield Place("update: free list", "PATCH", f"/api/productions/{show}", '{"sourceTypes":', "}")
    yield Place("update: text", "PATCH", f"/api/cameras/{keys.camera}", '{"note":', "}")
    yield Place("update: label", "PATCH", f"/api/sources/{keys.source}", '{"id":', "}")
    yield Place("update: versions", "PATCH", f"/api/cameras/{keys.camera}",
                '{"name":"y","fieldVersions":', "}")  # fmt: skip
    yield Place("delete", "DELETE", f"/api/cameras/{keys.show}", '{"userName":', "}")
    yield Place("restore", "POST", f"/api/cameras/{keys.camera}/restore", '{"version":', "}")
    yield Place("undo", "POST", f"{rows}/changes/1/undo", '{"userName":', "}")
    yield Place("bulk", "POST", f"{rows}/ccus/bulk", '{"operations":', "}")
    yield Place(
        "bulk: each",
        "POST",
        f"{rows}/ccus/bulk",
        f'{{"atomic":false,"operations":[{{"op":"create","data":{data}',
        "}}]}",
    )
    yield Place("renumber", "POST", f"{rows}/cameras/renumber", '{"order":', "}")
    yield Place("sync", "POST", f"{rows}/sync", '{"mutations":', "}")
    mutation = '{"mutations":[{"mutationId":"m","op":"create","collection":"ccus","data":'
    yield Place("sync: each", "POST", f"{rows}/sync", f"{mutation}{data}", "}}]}")
    yield Place("import", "POST", "/api/productions/import",
                '{"production":{"showName":"x"},"sources":', "}")  # fmt: skip
    yield Place(
        "import: a row",
        "POST",
        "/api/productions/import",
        '{"production":{"showName":"x"},"ccus":[{"name":"x","outputs":',
        "}]}",
    )
    yield Place("copy", "POST", f"{rows}/copy", '{"collections":', "}")
    yield Place("ports of a device", "POST", f"/api/device-ports/device/{keys.router}/sync",
                f'{own}"ports":', "}")  # fmt: skip
    yield Place(
        "equipment",
        "POST",
        "/api/equipment",
        '{"category":"x","manufacturer":"x","model":"x","equipmentIOPorts":',
        "}",
    )
    yield Place("a word", "POST", "/api/settings/connector-types", '{"name":', "}")
    yield Place("order of words", "PUT", "/api/settings/connector-types/reorder", '{"order":', "}")
    yield Place("format", "POST", "/api/formats", '{"id":', "}")


async def show_keys(client: httpx.AsyncClient) -> ShowKeys:
    """Make a show with the rows that the paths name."""
    show = (await client.post("/api/productions", json={"name": "A show"})).json()["uuid"]

    async def row(collection: str, **members: Any) -> str:
        body = {"productionId": show, "name": "A row", **members}
        answer = await client.post(f"/api/{collection}", json=body)
        return str(answer.raise_for_status().json()["uuid"])

    source = await row("sources", type="LAPTOP")
    connection = await row(
        "connections", sourceType="source", sourceId=source, destinationType="x", destinationId="y"
    )
    return ShowKeys(show, source, connection, await row("cameras"), await row("routers"))


async def send(client: httpx.AsyncClient, place: Place, value: bytes) -> httpx.Response:
    """Send a body with a value in its place."""
    headers = {"content-type": "application/json"}
    return await client.request(
        place.method, place.path, content=place.body(value), headers=headers
    )
