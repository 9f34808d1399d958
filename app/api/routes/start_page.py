"""The routes of people: the root leads to the API's pages, which work without internet."""

from functools import cache
from typing import Final

from fastapi import APIRouter
from fastapi.openapi.docs import get_swagger_ui_html
from fastapi.responses import HTMLResponse, JSONResponse, Response

router: Final = APIRouter()
_PAGES: Final = "/docs"
_LINKS: Final = {
    "pages": _PAGES, "openapi": "/openapi.json", "health": "/health", "shows": "/api/productions",
}  # fmt: skip
_ASSETS: Final = "/static-offline-docs"  # where fastapi_offline serves them
_OPTIONS: Final = {
    "docExpansion": "none", "tryItOutEnabled": True, "persistAuthorization": True,
    "displayRequestDuration": True, "defaultModelsExpandDepth": 0,
}  # fmt: skip
# Swagger UI takes seconds to begin, and puts its own in this place.
_PLACE: Final = '<div id="swagger-ui">'
_MEANWHILE: Final = (
    '<main style="font-family: sans-serif; padding: 3rem 1.5rem"><h1>Signalbook</h1>'
    "<p>The pages of the API are being opened …</p></main>"
)


@router.get("/", include_in_schema=False)
async def start_page() -> Response:
    """Lead a browser to the pages; the body is for who follows no redirects, such as curl."""
    return JSONResponse(_LINKS, 307, {"location": _PAGES})


@router.get(_PAGES, include_in_schema=False)
async def pages() -> Response:
    """Show the API's document, and try its operations."""
    return HTMLResponse(_html())


@cache
def _html() -> str:
    page = get_swagger_ui_html(
        openapi_url=_LINKS["openapi"], title="Signalbook: the API", swagger_ui_parameters=_OPTIONS,
        swagger_js_url=f"{_ASSETS}/swagger-ui-bundle.js",
        swagger_css_url=f"{_ASSETS}/swagger-ui.css",
        swagger_favicon_url=f"{_ASSETS}/favicon.png",
    )  # fmt: skip
    return bytes(page.body).decode().replace(_PLACE, f"{_PLACE}{_MEANWHILE}")
