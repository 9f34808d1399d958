"""What the OpenAPI document says beyond what FastAPI derives."""

from typing import Any, Final

from fastapi import FastAPI

from app.api.errors import Problem

DESCRIPTION: Final = """
Every entity has a `uuid`, which identifies it for ever, and an `id` ("CAM 1"), which is for
people: editable, and free again after a delete. Wherever a path takes a `{key}`, either will do,
as long as exactly one live row holds the label.

Members that a request does not know are ignored and named in `X-Ignored-Fields`. Absent members
stay untouched; `null` and `""` empty an optional one. An edit that says which `version` it
started from is refused with a 409 where somebody else was faster; the answer carries what it
was, what they made of it, and what you sent.

Errors are `application/problem+json`; `code` is stable, `error` and `message` are for people.
"""


def install(app: FastAPI) -> None:
    """Make the document once, with the schema of problems that the routes refer to."""
    derive = app.openapi

    def document() -> dict[str, Any]:
        if app.openapi_schema is None:
            made = derive()
            problem = Problem.model_json_schema()
            made.setdefault("components", {}).setdefault("schemas", {})["Problem"] = problem
            app.openapi_schema = made
        return app.openapi_schema

    app.openapi = document  # type: ignore[method-assign]  # FastAPI documents this override
