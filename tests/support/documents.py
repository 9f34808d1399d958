"""The OpenAPI document as it is committed; ``test_openapi`` holds it to the application's own.

To make it takes many seconds, and each worker would make it while it collects tests.
"""

import json
from typing import Any, Final

from app.entities import discovered
from scripts.openapi_document import FILE, text


def _document() -> dict[str, Any]:
    """Return the committed document, or one made now where a test has added a type."""
    committed: dict[str, Any] = json.loads(FILE.read_text(encoding="utf-8"))
    is_whole = all(f"/api/{collection}" in committed["paths"] for collection in discovered())
    return committed if is_whole else dict(json.loads(text()))


DOCUMENT: Final = _document()
OPERATIONS: Final = [
    (path, method, operation)
    for path, methods in DOCUMENT["paths"].items()
    for method, operation in methods.items()
]
