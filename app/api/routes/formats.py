"""The routes of the installation's formats: those that ship, and those of its users."""

from fractions import Fraction
from functools import partial
from typing import Annotated, Any, Final

from fastapi import Path, Response
from pydantic import BeforeValidator, ConfigDict, Field, WithJsonSchema

from app.access.sender import Sender
from app.api.dependencies import (
    DatabaseDep,
    IdempotentWriterDep,
    IfMatchDep,
    IfNoneMatchDep,
    SenderDep,
    WriterDep,
)
from app.api.idempotent import IDEMPOTENCY_KEY
from app.api.json_requests import actor_in
from app.api.openapi import IF_MATCH, IF_NONE_MATCH, AnswerModel, conditional, documented
from app.api.responses import ReadResponse, created_response, json_response
from app.api.routes.entities import Deleted, Person
from app.api.routes.routers import api_router
from app.errors import (
    BadRequest,
    Conflict,
    Forbidden,
    Invalid,
    KeyReused,
    NotFound,
    PreconditionFailed,
)
from app.installation import formats
from app.installation.formats import FormatEdit
from app.model.fields import MaybeFlag, blank_or
from app.model.schemas import DeleteBody, MaybeVersion, WireMoment, known_uuid
from app.rules.etags import entity_tag, matches
from app.rules.formats import MOST_PIXELS, Blanking, rate_of_json
from app.store.write_context import WriteContext

router: Final = api_router("/formats", "Formats")
_DELETED: Final = b'{"success":true}'
_SLOT: Final = "the formats"
"""What these writes wait for among themselves, in each process."""
_KEY_WORDS: Final = "The uuid of the format."
Key = Annotated[str, Path(description=_KEY_WORDS)]


def _pixels(value: object) -> object:
    """Read a number of pixels that a form sends as text; "" is none."""
    if isinstance(value, str):
        text = value.strip()
        return int(text) if text.isascii() and text.isdecimal() and len(text) <= 9 else text or None
    return value


def _rate(value: object) -> Fraction | None:
    """Read a rate, a number or its text, exactly; "" is none. Raises ValueError."""
    if value is None or value == "":
        return None
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise ValueError("a rate is a number, such as 59.94")  # noqa: TRY004  # Pydantic's own
    return rate_of_json(value)


_Pixels = Annotated[int, Field(strict=True, ge=1, le=MOST_PIXELS)]
MaybePixels = Annotated[
    _Pixels | None, BeforeValidator(_pixels, json_schema_input_type=_Pixels | str | None)
]
MaybeRate = Annotated[
    Any, BeforeValidator(_rate), WithJsonSchema({"type": ["number", "string", "null"]})
]
MaybeBlanking = Annotated[Blanking | None, blank_or(Blanking)]


class FormatMembers(DeleteBody):
    """What makes a format; its id follows from it."""

    h_res: MaybePixels = Field(None, alias="hRes")
    """The width in pixels."""
    v_res: MaybePixels = Field(None, alias="vRes")
    """The height in pixels: the lines of both fields, where it is interlaced."""
    frame_rate: MaybeRate = Field(None, alias="frameRate")
    """The rate as the trade writes it, a number or its text: frames per second, or fields per
    second where it is interlaced. 59.94 and 23.976 stand for 60000/1001 and 24000/1001. Below 40 an
    interlaced rate counts frames."""
    is_interlaced: MaybeFlag = Field(None, alias="isInterlaced")
    """Whether a frame comes as two fields; false where nothing is sent."""
    blanking: MaybeBlanking = None
    """Reduced blanking by VESA CVT 1.1 (RBv1), 1.2 (RBv2) or 2.0 (RBv3), or NONE."""

    def edit(self, sender: Sender, **start: Any) -> FormatEdit:
        """Return what is said of the format; ``start`` is what it started from."""
        person = actor_in(self, sender).row_value
        return FormatEdit(self.h_res, self.v_res, self.frame_rate, self.is_interlaced,
                          self.blanking, person=person, **start)  # fmt: skip


class FormatCreate(FormatMembers):
    """A format to be made: `hRes`, `vRes` and `frameRate` are needed."""

    model_config = ConfigDict(json_schema_extra={"example": {
        "hRes": 2688, "vRes": 96, "frameRate": 59.94, "isInterlaced": False, "blanking": "NONE",
        "userName": "Anna",
    }})  # fmt: skip


class FormatUpdate(FormatMembers):
    """What changes of a format: absent members stay untouched."""

    model_config = ConfigDict(json_schema_extra={"example": {
        "version": 1, "frameRate": 60, "userName": "Anna",
    }})  # fmt: skip

    version: MaybeVersion = None


class VideoFormat(AnswerModel):
    """A video format that everybody can choose: raster, rate, scan and blanking."""

    uuid: str
    """The key of the format. That of a system format is the same in every installation."""
    id: str
    """What people call it, made of its members: "1920 x 1080 @ 59.94i"."""
    hRes: int
    """The width in pixels."""
    vRes: int
    """The height in pixels."""
    frameRate: float
    """The rate as the trade writes it; fields per second where it is interlaced."""
    isInterlaced: bool
    """Whether a frame comes as two fields. Segmented frames ("psf" in the id) are whole ones."""
    blanking: Blanking
    """Reduced blanking by VESA CVT, or NONE."""
    isSystem: bool
    """Whether it ships with the service, so that nobody can change it."""
    version: int
    """Raised by each write."""
    isDeleted: bool
    """Whether it is gone from the list."""
    createdAt: WireMoment
    """When it was made."""
    updatedAt: WireMoment
    """When it was written last."""
    lastModifiedBy: str | None
    """Who wrote it last, if they said so."""


_ERRORS: Final = documented(NotFound, Forbidden, Conflict, PreconditionFailed, Invalid)


@router.get("", operation_id="list_formats", summary="List every format",
            description="Those of the system first, then by height and rate, the largest first.",
            responses=conditional(list[VideoFormat]) | documented(),
            openapi_extra={"parameters": [IF_NONE_MATCH]})  # fmt: skip
async def list_formats(database: DatabaseDep, if_none_match: IfNoneMatchDep) -> Response:
    """Answer with all live formats."""
    body = await formats.list_formats(database)
    etag = f"W/{entity_tag(body)}"
    unchanged = matches(if_none_match, etag)
    return ReadResponse(None if unchanged else [body], etag, compressible=True)


@router.get("/{key}", operation_id="get_format", summary="Get one format",
            responses=conditional(VideoFormat) | documented(NotFound, Invalid),
            openapi_extra={"parameters": [IF_NONE_MATCH]})  # fmt: skip
async def get_format(database: DatabaseDep, key: Key, if_none_match: IfNoneMatchDep) -> Response:
    """Answer with one format."""
    body = await formats.get_format(database, known_uuid(key))
    etag = entity_tag(body)
    return ReadResponse(None if matches(if_none_match, etag) else [body], etag)


@router.post("", status_code=201, operation_id="create_format", summary="Make a format",
             description="One that was deleted comes back under its old uuid.",
             responses={201: {"model": VideoFormat}, **documented(Conflict, Invalid, KeyReused)},
             openapi_extra={"parameters": [IDEMPOTENCY_KEY]})  # fmt: skip
async def create_format(
    body: FormatCreate, writer: IdempotentWriterDep, sender: SenderDep
) -> Response:
    """Make a format of what was sent."""
    needed = {"hRes": body.h_res, "vRes": body.v_res, "frameRate": body.frame_rate}
    if missing := [name for name, value in needed.items() if value is None]:
        words = ", ".join(missing)
        raise BadRequest(f"A format needs hRes, vRes and frameRate; missing: {words}.")

    async def create(context: WriteContext) -> bytes:
        context.require_lock()
        return await formats.create_format(context.connection, body.edit(sender))

    return await writer.write(_SLOT, create, partial(created_response, body))


async def update_format(
    key: Key, body: FormatUpdate, writer: WriterDep, sender: SenderDep, if_match: IfMatchDep
) -> Response:
    """Change a format of users."""

    async def update(context: WriteContext) -> bytes:
        edit = body.edit(sender, version=body.version, if_match=if_match)
        return await formats.update_format(context.connection, known_uuid(key), edit)

    row = await writer.in_transaction(_SLOT, update)
    return json_response(row, etag=entity_tag(row), request_body=body)


for _method, _verb in (("PATCH", "update"), ("PUT", "put")):
    _alias = {"x-alias-of": "PATCH"} if _method == "PUT" else {}
    router.add_api_route(
        "/{key}", update_format, methods=[_method], operation_id=f"{_verb}_format",
        summary="Change a format",
        description="Its id follows. One of the system cannot be changed. PUT and PATCH do the "
        "same.",
        responses={200: {"model": VideoFormat}, **_ERRORS},
        openapi_extra={"parameters": [IF_MATCH], **_alias},
    )  # fmt: skip


@router.delete("/{key}", operation_id="delete_format", summary="Delete a format",
               description="It leaves the list; what refers to it keeps its uuid. One of the "
               "system cannot be deleted.",
               responses={200: {"model": Deleted},
                          **documented(NotFound, Forbidden, PreconditionFailed, Invalid)},
               openapi_extra={"parameters": [IF_MATCH]})  # fmt: skip
async def delete_format(
    key: Key, writer: WriterDep, sender: SenderDep, if_match: IfMatchDep,
    body: DeleteBody | None = None,
    userId: Person = None, userName: Person = None,  # noqa: ARG001, N803  # the wire's names
) -> Response:  # fmt: skip
    """Delete a format of users."""
    named = body or DeleteBody()
    person = sender.actor(named.user_id or userId or None, None, named.last_modified_by).row_value

    async def delete(context: WriteContext) -> None:
        await formats.delete_format(context.connection, known_uuid(key), person, if_match)

    await writer.in_transaction(_SLOT, delete)
    return json_response(_DELETED, request_body=body)
