"""A private socket through which PostgreSQL's own programs reach a database.

The embedded pg_dump speaks no TLS, and libpq reads a URL in its own way; here this process does
both. When it dies, however it dies, the programs' connections end with it.
"""

import asyncio
import os
import ssl
import struct
from asyncio import StreamReader, StreamWriter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from app.database.url import DatabaseUrl

CHUNK: Final = 256 * 1024  # bytes

_PORT: Final = 5432  # a part of the socket's name, nothing else
_SSL_REQUEST: Final = struct.pack("!ii", 8, 80_877_103)
_SASL: Final = struct.pack("!i", 10)
_CHANNEL_BOUND: Final = b"SCRAM-SHA-256-PLUS"

Ends = tuple[StreamReader, StreamWriter]


@asynccontextmanager
async def open_tool_socket(
    database: DatabaseUrl, application_name: str
) -> AsyncIterator[dict[str, str]]:
    """Open the socket; yield the whole environment in which libpq's programs find the database.

    The password travels in that environment alone.
    """
    serving: set[asyncio.Task[None]] = set()

    async def serve(reader: StreamReader, writer: StreamWriter) -> None:
        if task := asyncio.current_task():
            serving.add(task)
            task.add_done_callback(serving.discard)
        # A program that is cut off tells it itself; cancelled, we have nothing to tell either.
        with suppress(OSError, EOFError, TimeoutError, asyncio.CancelledError):
            await _join(database, (reader, writer))
        writer.close()

    with TemporaryDirectory(prefix="signalbook-") as folder:  # which nobody else may enter
        path = Path(folder) / f".s.PGSQL.{_PORT}"
        server = await asyncio.start_unix_server(serve, path, limit=CHUNK)
        try:
            yield _environment(database, folder, application_name)
        finally:
            server.close()
            for task in tuple(serving):
                task.cancel()
            await asyncio.gather(*serving, return_exceptions=True)


async def pour(source: StreamReader, target: StreamWriter) -> None:
    """Copy everything to the target, then close it. End early when either side goes away."""
    with suppress(OSError):
        while chunk := await source.read(CHUNK):
            target.write(chunk)
            await target.drain()
    target.close()


def _environment(database: DatabaseUrl, folder: str, application_name: str) -> dict[str, str]:
    environment = {
        "PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC", "PGHOST": folder, "PGPORT": str(_PORT),
        "PGUSER": database.user, "PGDATABASE": database.database, "PGPASSFILE": f"{folder}/none",
        "PGSSLMODE": "disable", "PGAPPNAME": application_name, "PGOPTIONS": database.options,
    }  # fmt: skip
    secret = {} if database.password is None else {"PGPASSWORD": database.password}
    return environment | secret


async def _join(database: DatabaseUrl, program: Ends) -> None:
    async with asyncio.timeout(database.timeout):
        reader, writer, encrypted = await _opened(database)
    try:
        async with asyncio.TaskGroup() as both:
            both.create_task(pour(program[0], writer))
            if encrypted:
                await _unbind(reader, program[1])
            await pour(reader, program[1])
    except* (OSError, EOFError):
        pass
    finally:
        writer.close()


async def _opened(database: DatabaseUrl) -> tuple[StreamReader, StreamWriter, bool]:
    """Connect to the server; return also whether the connection is encrypted."""
    if database.host.startswith("/"):
        path = f"{database.host}/.s.PGSQL.{database.port}"
        return *await asyncio.open_unix_connection(path, limit=CHUNK), False
    tls = database.tls.argument()
    reader, writer = await asyncio.open_connection(database.host, database.port, limit=CHUNK)
    if tls == "disable":
        return reader, writer, False
    if not database.tls.direct:
        writer.write(_SSL_REQUEST)
        if await reader.readexactly(1) != b"S":
            if tls in {"prefer", "allow"}:
                return reader, writer, False
            writer.close()
            raise ConnectionError("The server speaks no TLS.")
    context = tls if isinstance(tls, ssl.SSLContext) else _unverified()
    await writer.start_tls(context, server_hostname=database.host)
    return reader, writer, True


def _unverified() -> ssl.SSLContext:
    """Return a context that encrypts without checking who answers, as libpq does by default."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_alpn_protocols(["postgresql"])
    return context


async def _unbind(reader: StreamReader, writer: StreamWriter) -> None:
    """Copy the server's sign-in messages, without the method that is bound to the encryption.

    The program's own connection has none, and libpq would suspect an attack.
    """
    kind = b""
    while kind not in {b"R", b"E"}:
        kind, length = struct.unpack("!ci", await reader.readexactly(5))
        body = await reader.readexactly(length - 4)
        if kind == b"R" and body.startswith(_SASL):
            body = body.replace(_CHANNEL_BOUND + b"\0", b"")
        writer.write(kind + struct.pack("!i", len(body) + 4) + body)
    await writer.drain()
