"""The routes of people: the root leads to the API's pages, which work without internet."""

import asyncio
from functools import cache
from pathlib import Path
from typing import Final

import fastapi_offline
from fastapi import APIRouter, Request
from fastapi.openapi.docs import get_swagger_ui_html
from fastapi.responses import HTMLResponse, JSONResponse, Response

from app.api import document
from app.api.content_policy import CONTENT_POLICY, page_policy

router: Final = APIRouter()
root: Final = APIRouter()
"""What stands at ``/`` where no web application does."""
ASSETS: Final = "/static-offline-docs"
"""The path of Swagger UI's own files; ``FILES`` is the folder that holds them."""
FILES: Final = Path(fastapi_offline.__file__).parent / "static"
_PAGES: Final = "/docs"
_LINKS: Final = {
    "pages": _PAGES, "openapi": "/openapi.json", "health": "/health", "shows": "/api/productions",
}  # fmt: skip
_OPTIONS: Final = {
    "docExpansion": "none", "tryItOutEnabled": True, "persistAuthorization": True,
    "displayRequestDuration": True, "defaultModelsExpandDepth": 0,
}  # fmt: skip
# Swagger UI takes seconds to begin, and puts its own in this place.
_PLACE: Final = '<div id="swagger-ui">'
_MEANWHILE: Final = (
    "<style>main { font-family: sans-serif; padding: 3rem 1.5rem }</style>"
    "<main><h1>Signalbook</h1><p>The pages of the API are being opened …</p></main>"
)


@root.get("/", include_in_schema=False)
async def start_page() -> Response:
    """Lead a browser to the pages; the body is for who follows no redirects, such as curl."""
    return JSONResponse(_LINKS, 307, {"location": _PAGES})


@router.get(_LINKS["openapi"], include_in_schema=False)
async def openapi_document(request: Request) -> Response:
    """Answer with the API's document. Others are served while it is made."""
    content = await asyncio.to_thread(document.content, request.app)
    return Response(content, media_type="application/json")


@router.get(_PAGES, include_in_schema=False)
async def pages() -> Response:
    """Show the API's document, and try its operations."""
    return HTMLResponse(_html(), headers={CONTENT_POLICY: page_policy(_html())})


@cache
def _html() -> str:
    page = get_swagger_ui_html(
        openapi_url=_LINKS["openapi"], title="Signalbook: the API", swagger_ui_parameters=_OPTIONS,
        swagger_js_url=f"{ASSETS}/swagger-ui-bundle.js",
        swagger_css_url=f"{ASSETS}/swagger-ui.css",
        swagger_favicon_url=f"{ASSETS}/favicon.png",
    )  # fmt: skip
    return bytes(page.body).decode().replace(_PLACE, f"{_PLACE}{_MEANWHILE}")
