"""Serves a built web application from our own origin: FRONTEND_DIR.

Its files are read once, when the service starts. So a request only ever looks a path up in a table,
and none leads outside the folder.
"""

import gzip
import mimetypes
import re
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Final
from urllib.parse import quote

import structlog
from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from app.api.content_policy import CONTENT_POLICY, page_policy
from app.api.responses import accepts_gzip, header
from app.settings import BadSettings

_log: Final = structlog.get_logger()
_INDEX: Final = "/index.html"
# Paths of the service itself, which no application takes over.
_RESERVED: Final = re.compile(
    r"/(api|health|livez|docs|openapi\.json|socket\.io|static-offline-docs|sign-in|sign-out)(/.*)?",
    re.DOTALL,
)
_TEXT: Final = re.compile(r"text/|application/(json|javascript|manifest\+json|wasm)|image/svg\+xml")
_WORTH_IT: Final = 1_400  # a shorter file fits into a packet or two as it is
# A name with the hash of its content, as build tools write it: index-DiwrgTda.js, main.3f2a1b9c.css
_HASHED: Final = re.compile(r"[.-](?=[\w-]*\d)(?=[\w-]*[A-Za-z])[\w-]{8,}\.\w+$", re.ASCII)
_FOR_EVER: Final = "public, max-age=31536000, immutable"
# What is behind a sign-in belongs to nobody else's cache. The browser asks each time.
_EACH_TIME: Final = "private, no-cache"


def is_reserved(path: str) -> bool:
    """Whether a path is the service's own, whatever application it serves."""
    return bool(_RESERVED.fullmatch(path))


def is_page(scope: Scope) -> bool:
    """Whether somebody opens a page of the application."""
    is_read = scope["type"] == "http" and scope["method"] in {"GET", "HEAD"}
    return is_read and not is_reserved(scope["path"]) and b"text/html" in header(scope, b"accept")


def sign_in_redirect(scope: Scope) -> Response:
    """Return the way to the sign-in page, and from there back here."""
    path, query = scope["raw_path"].decode("latin-1"), scope["query_string"].decode("latin-1")
    there = quote(f"{path}?{query}" if query else path, safe="")
    headers = {"location": f"/sign-in?next={there}", "cache-control": "no-store"}
    return Response(status_code=303, headers=headers)


class _File:
    """A file with the headers that it is sent with, and compressed where that pays."""

    def __init__(self, path: str, content: bytes, policy: str) -> None:
        kind = mimetypes.guess_type(path)[0] or "application/octet-stream"
        self.content, self.compressed = content, b""
        self.headers = {
            "content-type": f"{kind}; charset=utf-8" if kind.startswith("text/") else kind,
            "etag": f'W/"{sha256(content).hexdigest()[:32]}"',
            "cache-control": _FOR_EVER if _HASHED.search(path) else _EACH_TIME,
            CONTENT_POLICY: policy,
        }
        if _TEXT.match(kind) and len(content) >= _WORTH_IT:
            self.headers["vary"] = "Accept-Encoding"
            self.compressed = gzip.compress(content, mtime=0)


class Frontend:
    """Answers what no route of ours does: with a file, or for a deep link with the index.

    Whatever it does not answer goes on to ``otherwise``.
    """

    def __init__(self, folder: Path, otherwise: ASGIApp) -> None:
        self._otherwise = otherwise
        contents = dict(_contents(folder))
        if _INDEX not in contents:
            raise BadSettings(
                f"FRONTEND_DIR={folder} holds no index.html: name the folder that the "
                "application was built into."
            )
        pages = {path: page_policy(text.decode("utf-8", "replace"))
                 for path, text in contents.items() if path.endswith(".html")}  # fmt: skip
        self._files = {
            path: _File(path, content, pages.get(path, pages[_INDEX]))
            for path, content in contents.items()
        }
        _log.info("frontend", folder=str(folder), files=len(contents))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or hand the request on."""
        file = None
        if scope["type"] == "http" and scope["method"] == "GET":
            file = self._find(scope["path"], header(scope, b"accept"))
        if file is None:
            await self._otherwise(scope, receive, send)
            return
        await _response(file, Headers(scope=scope))(scope, receive, send)

    def _find(self, path: str, accept: bytes) -> _File | None:
        if is_reserved(path):
            return None
        if file := self._files.get(path) or self._files.get(f"{path.rstrip('/')}{_INDEX}"):
            return file
        # A script that is missing is no page; a label with a dot in it may be.
        is_page = "." not in path.rpartition("/")[2] or b"text/html" in accept
        return self._files[_INDEX] if is_page else None


def _contents(folder: Path) -> Iterator[tuple[str, bytes]]:
    """Yield path and content of each file in a folder, but hidden ones and links out of it."""
    root = folder.resolve()
    for file in sorted(root.rglob("*")):
        parts = file.relative_to(root).parts
        is_hidden = any(part.startswith(".") and part != ".well-known" for part in parts)
        if file.is_file() and not is_hidden and file.resolve().is_relative_to(root):
            yield f"/{'/'.join(parts)}", file.read_bytes()


def _response(file: _File, request: Headers) -> Response:
    tags = [tag.strip() for tag in request.get("if-none-match", "").split(",")]
    if file.headers["etag"] in tags:
        return Response(status_code=304, headers=file.headers)
    coding = request.get("accept-encoding", "").encode("latin-1")
    if file.compressed and accepts_gzip(coding):
        return Response(file.compressed, headers={**file.headers, "content-encoding": "gzip"})
    return Response(file.content, headers=file.headers)
