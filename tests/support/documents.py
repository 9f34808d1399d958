"""The OpenAPI document as it is committed; ``test_openapi`` holds it to the application's own.

To make it takes many seconds, and each worker would make it while it collects tests.
"""

import json
from typing import Any, Final

from scripts.openapi_document import FILE

DOCUMENT: Final[dict[str, Any]] = json.loads(FILE.read_text(encoding="utf-8"))
OPERATIONS: Final = [
    (path, method, operation)
    for path, methods in DOCUMENT["paths"].items()
    for method, operation in methods.items()
]
