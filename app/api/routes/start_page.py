"""The route of the root: it leads people to the pages, and says to others what there is."""

from typing import Final

from fastapi import APIRouter
from fastapi.responses import JSONResponse, Response

router: Final = APIRouter()
_PAGES: Final = "/docs"
_LINKS: Final = {
    "pages": _PAGES, "openapi": "/openapi.json", "health": "/health", "shows": "/api/productions",
}  # fmt: skip


@router.get("/", include_in_schema=False)
async def start_page() -> Response:
    """Lead a browser to the pages; the body is for who follows no redirects, such as curl."""
    return JSONResponse(_LINKS, 307, {"location": _PAGES})
