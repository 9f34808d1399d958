"""A running service: the real application behind a real socket, in a thread of the test."""

import asyncio
import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, cast

import httpx
import uvicorn.server
from fastapi import FastAPI
from pydantic import SecretStr

from app.database.database import Database
from app.database.url import DatabaseUrl
from app.health.check import Health, examine
from app.main import create_app
from app.server import Server, uvicorn_config
from app.settings import Settings
from tests.support.pgbouncer import pgbouncer


def settings(**changes: Any) -> Settings:
    """Return the settings of tests: quick to notice, quiet, and never from the environment."""
    base: dict[str, Any] = {
        "environment": "test", "health_cache": 0, "health_timeout": 60.0, "pool_size": 10,
        "log_level": "ERROR",
        # All tests come from one address, and many send wrong tokens.
        "refusals_per_minute": 1_000_000,
    }  # fmt: skip
    return Settings.model_construct(**{**Settings().model_dump(), **base, **changes})


class _Hasty:
    """``asyncio`` for Uvicorn, which sleeps a tenth of a second at each turn of its shutdown."""

    def __getattr__(self, name: str) -> Any:
        return getattr(asyncio, name)

    async def sleep(self, seconds: float) -> None:
        """Sleep for a tenth of what was asked."""
        await asyncio.sleep(seconds / 10)


cast("Any", uvicorn.server).asyncio = _Hasty()


@contextmanager
def running(app: FastAPI) -> Iterator[str]:
    """Serve an application on a port of the loopback; give its root URL."""
    listening = socket.create_server(("127.0.0.1", 0), backlog=512)
    config = uvicorn_config(app, 10_000, log_config=None, timeout_graceful_shutdown=2)
    server = Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
    thread.start()
    try:
        while not server.started and thread.is_alive():
            time.sleep(0.01)
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(10)
        listening.close()


class PlainClient(httpx.Client):
    """A client for HTTP without TLS: certificates take longer to load than many requests."""

    def __init__(self, **how: Any) -> None:
        super().__init__(verify=False, trust_env=False, **how)  # see above


class ServiceClient(PlainClient):
    """A client that has the application it asks at hand."""

    service_app: FastAPI


@contextmanager
def service(url: str, **changes: Any) -> Iterator[ServiceClient]:
    """Serve a database; give a client of it.

    With TEST_THROUGH_PGBOUNCER set, the service reaches it through a pooler in transaction mode
    that its URL announces.
    """
    with ExitStack() as stack:
        if os.environ.get("TEST_THROUGH_PGBOUNCER"):
            changes.setdefault("database_unpooled_url", SecretStr(url))
            url = f"{stack.enter_context(pgbouncer(url))}?pgbouncer=true"
        app = create_app(settings(**changes), DatabaseUrl.parse(url))
        root = stack.enter_context(running(app))
        client = stack.enter_context(ServiceClient(base_url=root, timeout=30))
        client.service_app = app
        yield client


def created(client: httpx.Client, collection: str, /, **body: Any) -> dict[str, Any]:
    """Create a row over HTTP and give it."""
    row: dict[str, Any] = client.post(f"/api/{collection}", json=body).raise_for_status().json()
    return row


async def examined(url: str) -> Health:
    """Examine a database as a service that runs on it does."""
    database = Database(DatabaseUrl.parse(url), settings())
    await database.open()
    try:
        return await examine(database, 10)
    finally:
        await database.close()
