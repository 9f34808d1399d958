"""The routes of the installation's settings, and of the four lists among them."""

from typing import Annotated, Any, Final

from fastapi import Path, Response
from pydantic import (
    AfterValidator,
    AliasChoices,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    WithJsonSchema,
)

from app.api.dependencies import DatabaseDep, IdempotentWriterDep, IfNoneMatchDep, WriterDep
from app.api.idempotent import IDEMPOTENCY_KEY
from app.api.openapi import IF_NONE_MATCH, answers, conditional, documented
from app.api.responses import ReadResponse, json_response
from app.api.routes.routers import api_router
from app.errors import Conflict, Invalid, KeyReused, NotFound
from app.installation import list_edits, lists, settings
from app.installation.lists import LISTS, WordList
from app.model.fields import Label
from app.model.schemas import DeleteBody, Key, RequestModel
from app.rules.etags import entity_tag, matches
from app.rules.formats import rate_of_json, rate_text
from app.store.write_context import WriteContext

router: Final = api_router("/settings", "Settings")
_SLOT: Final = "the settings"
"""What these writes wait for among themselves, in each process."""
Name = Annotated[str, Path(description="The word, percent-encoded: a slash is %2F.")]
Order = Annotated[list[Key], Field(max_length=list_edits.MOST)]


def _refuse_dots(name: str) -> str:
    """Return a name. Raises ValueError for one that no path can end in, so nobody could remove."""
    if name in {".", ".."}:
        raise ValueError("only dots: type a text")
    return name


def _number_text(value: object) -> object:
    """Return a rate that was sent as a number as text."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return value
    return rate_text(rate_of_json(value))


NewWord = Annotated[Label, AfterValidator(_refuse_dots)]
NewRate = Annotated[
    NewWord, BeforeValidator(_number_text), WithJsonSchema({"type": ["string", "number"]})
]


class WordBody(RequestModel):
    """A word for a list."""

    model_config = ConfigDict(json_schema_extra={"example": {"name": "HDMI 2.1"}})

    name: NewWord
    """The word as pages show it."""


class RateBody(RequestModel):
    """A frame rate for its list."""

    model_config = ConfigDict(json_schema_extra={"example": {"rate": "119.88"}})

    rate: NewRate = Field(validation_alias=AliasChoices("rate", "name"))
    """The rate as pages show it, text or a number; `name` is understood too."""


class TypesOrder(RequestModel):
    """The order of a list of types."""

    model_config = ConfigDict(json_schema_extra={"example": {"types": ["SDI", "HDMI"]}})

    types: Order
    """The words that come first, in their order; the others follow as they were."""


class RatesOrder(RequestModel):
    """The order of the frame rates."""

    model_config = ConfigDict(json_schema_extra={"example": {"rates": ["59.94", "50"]}})

    rates: Order
    """The rates that come first, in their order; the others follow as they were."""


class ResolutionsOrder(RequestModel):
    """The order of the resolutions."""

    model_config = ConfigDict(json_schema_extra={"example": {"resolutions": ["3840x2160"]}})

    resolutions: Order
    """The resolutions that come first, in their order; the others follow as they were."""


class SettingsUpdate(DeleteBody):
    """Values by key: any further members, or one as `key` and `value`. Null removes a key."""

    model_config = ConfigDict(json_schema_extra={"example": {"theme": "dark", "userName": "Anna"}})

    key: str | None = None
    """The key of `value`, as another way to send one."""
    value: Any = None
    """What is stored under `key`: any JSON."""

    def values(self) -> dict[str, Any]:
        """Return what is to be stored by key. Raises Invalid."""
        values = dict(self.model_extra or {})
        if (self.key is None) != ("value" not in self.model_fields_set):
            missing = "key" if self.key is None else "value"
            raise Invalid.at(missing, "send key and value together, or an object of keys")
        return values if self.key is None else {**values, self.key: self.value}


class InstallationSettings(BaseModel):
    """What pages choose from, and what else they have stored."""

    model_config = ConfigDict(extra="allow")

    connectorTypes: list[str]
    """The connectors to choose from, in their order."""
    sourceTypes: list[str]
    """The kinds of sources to choose from, in their order."""
    frameRates: list[str]
    """The frame rates to choose from, in their order."""
    resolutions: list[str]
    """The resolutions to choose from, in their order."""


_BODIES: Final[dict[str, tuple[type[WordBody | RateBody], type[RequestModel], str]]] = {
    "connector-types": (WordBody, TypesOrder, "types"),
    "source-types": (WordBody, TypesOrder, "types"),
    "frame-rates": (RateBody, RatesOrder, "rates"),
    "resolutions": (WordBody, ResolutionsOrder, "resolutions"),
}
"""Of each list the body with a new word, the body with an order, and the order's member."""


def _read_response(body: bytes, if_none_match: bytes) -> Response:
    etag = f"W/{entity_tag(body)}"
    unchanged = matches(if_none_match, etag)
    return ReadResponse(None if unchanged else [body], etag, compressible=True)


@router.get("", operation_id="get_settings", summary="Get all settings",
            responses=conditional(InstallationSettings) | documented(),
            openapi_extra={"parameters": [IF_NONE_MATCH]})  # fmt: skip
async def get_settings(database: DatabaseDep, if_none_match: IfNoneMatchDep) -> Response:
    """Answer with the lists and all that was stored."""
    return _read_response(await settings.read_settings(database), if_none_match)


async def put_settings(body: SettingsUpdate, writer: WriterDep) -> Response:
    """Store values by key."""
    values = body.values()
    settings.check(values)

    async def store(context: WriteContext) -> bytes:
        return await settings.store_settings(context.connection, values)

    return json_response(await writer.in_transaction(_SLOT, store))


for _method, _verb in (("PATCH", "update"), ("PUT", "put")):
    _alias = {"x-alias-of": "PATCH"} if _method == "PUT" else {}
    router.add_api_route(
        "", put_settings, methods=[_method], operation_id=f"{_verb}_settings",
        summary="Store settings",
        description="Other keys stay untouched. The lists have routes of their own. PUT and PATCH "
        "do the same.",
        responses=answers(InstallationSettings, Conflict, Invalid), openapi_extra=_alias,
    )  # fmt: skip


def _add_routes(words: WordList) -> None:
    many = words.path.replace("-", "_")
    path, one = f"/{words.path}", many.removesuffix("s")
    _add_list(path, words, many)
    _add_word(path, words, one)
    _add_removal(path, words, one)
    _add_order(path, words, many)
    _add_defaults(path, words, many)


def _add_list(path: str, words: WordList, many: str) -> None:
    @router.get(path, operation_id=f"list_{many}", summary=f"List every {words.noun}",
                description="The words in their order.",
                responses=conditional(list[str]) | documented(),
                openapi_extra={"parameters": [IF_NONE_MATCH]})  # fmt: skip
    async def list_words(database: DatabaseDep, if_none_match: IfNoneMatchDep) -> Response:
        return _read_response(await lists.read_names(database, words), if_none_match)


def _add_word(path: str, words: WordList, one: str) -> None:
    schema: Any = _BODIES[words.path][0]

    @router.post(path, operation_id=f"add_{one}", summary=f"Add a {words.noun}",
                 description="It comes last. One that was removed comes back.",
                 responses=answers(list[str], Conflict, Invalid, KeyReused),
                 openapi_extra={"parameters": [IDEMPOTENCY_KEY]})  # fmt: skip
    async def add_word(body: schema, writer: IdempotentWriterDep) -> Response:
        edit = list_edits.add(body.rate if isinstance(body, RateBody) else body.name)

        async def work(context: WriteContext) -> bytes:
            context.require_lock()
            return await list_edits.edit_list(context.connection, words, edit)

        return await writer.write(
            words.path, work, lambda names: json_response(names, request_body=body)
        )


def _add_removal(path: str, words: WordList, one: str) -> None:
    # A word may have a slash, and the server decodes the path before it is matched.
    @router.delete(f"{path}/{{name:path}}", operation_id=f"remove_{one}",
                   summary=f"Remove a {words.noun}",
                   description="It leaves the list; what has the word keeps it.",
                   responses=answers(list[str], NotFound, Invalid))  # fmt: skip
    async def remove_word(name: Name, writer: WriterDep) -> Response:
        edit = list_edits.remove(name)

        async def work(context: WriteContext) -> bytes:
            return await list_edits.edit_list(context.connection, words, edit)

        return json_response(await writer.in_transaction(words.path, work))


def _add_order(path: str, words: WordList, many: str) -> None:
    _, order, member = _BODIES[words.path]
    schema: Any = order

    @router.put(f"{path}/reorder", operation_id=f"reorder_{many}",
                summary=f"Put every {words.noun} in order",
                description="Words that are not sent follow behind, in the order that they had.",
                responses=answers(list[str], Conflict, Invalid))  # fmt: skip
    async def reorder_words(body: schema, writer: WriterDep) -> Response:
        edit = list_edits.reorder(getattr(body, member), member)

        async def work(context: WriteContext) -> bytes:
            return await list_edits.edit_list(context.connection, words, edit)

        names = await writer.in_transaction(words.path, work)
        return json_response(names, request_body=body)


def _add_defaults(path: str, words: WordList, many: str) -> None:
    @router.post(f"{path}/restore-defaults", operation_id=f"restore_{many}",
                 summary=f"Bring every default {words.noun} back",
                 description="The list is then as it ships; all other words are removed.",
                 responses=answers(list[str], Conflict, Invalid, KeyReused),
                 openapi_extra={"parameters": [IDEMPOTENCY_KEY]})  # fmt: skip
    async def restore_defaults(writer: IdempotentWriterDep) -> Response:
        async def work(context: WriteContext) -> bytes:
            context.require_lock()
            return await list_edits.edit_list(
                context.connection, words, list_edits.restore_defaults
            )

        return await writer.write(words.path, work, json_response)


for _words in LISTS:
    _add_routes(_words)
